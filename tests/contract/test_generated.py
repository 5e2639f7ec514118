"""Committed generated files equal what the code generates now."""

import pytest

from tests.contract.generate import GENERATED, ROOT


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_file_is_current(name: str) -> None:
    path = ROOT / name
    assert path.exists(), "run: python -m tests.contract.generate"
    assert path.read_text() == GENERATED[name](), "run: python -m tests.contract.generate"
