"""Bills that are not what the API gives are told as such."""

import msgspec
import pytest

from backendai.client.faults import UnexpectedAnswer
from backendai.client.transport import Answer
from backendai.client.usage import Usage
from tests.unit.client.scripted import open_channel


async def test_a_bill_of_another_shape_is_an_unexpected_answer() -> None:
    channel, _ = open_channel(Answer(200, body=msgspec.json.encode({"g_id": 7})))
    with pytest.raises(UnexpectedAnswer):
        await Usage(channel).project("7", "20260101", "20260102")


async def test_a_project_that_held_nothing_has_no_bill() -> None:
    channel, _ = open_channel(Answer(200, body=b"{}"))
    assert await Usage(channel).project("7", "20260101", "20260102") is None
