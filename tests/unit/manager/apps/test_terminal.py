"""What clients of terminals and apps write."""

import pytest
import trafaret

from backendai.common.faults import BadRequest
from backendai.manager.apps.rest import _START
from backendai.manager.apps.terminal import read_frame

NESTED = "[" * 5000


@pytest.mark.parametrize("text", ["", "x", "{}", '{"type": "stdin", "chars": "%"}', NESTED])
def test_what_is_no_frame_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        read_frame(text)


def test_a_frame_with_something_deep_in_it_is_refused() -> None:
    with pytest.raises(BadRequest):
        read_frame(f'{{"type": "ping", "more": {NESTED}')


@pytest.mark.parametrize("text", ["x", "[]", '{"a": 1}', NESTED])
def test_arguments_that_are_no_map_are_told(text: str) -> None:
    with pytest.raises(trafaret.DataError):
        _START.check({"app": "jupyterlab", "arguments": text})
