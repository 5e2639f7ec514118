"""What counts as drift between the rows and the word of a node."""

from typing import Any

import pytest

from backendai.common.ids import AgentId, Generation
from backendai.manager.lifecycle.reap import compare_slots
from backendai.manager.lifecycle.store import DriftRow
from tests.unit.manager.lifecycle.test_decide import AGENT, KERNEL, case, told


def compare(slots: dict[str, str], **changes: Any) -> list[DriftRow]:
    return compare_slots(AGENT, [case("RUNNING", **changes)], [told("running", slots=slots)])


def test_equal_amounts_are_no_drift_however_they_are_written() -> None:
    assert compare({"cpu": "1"}) == []
    assert compare({"cpu": "1.0"}) == []


@pytest.mark.parametrize(
    ("slots", "wanted"),
    [
        ({"cpu": "2"}, DriftRow(KERNEL, AGENT, "cpu", "1", "2")),
        ({"cpu": "1", "mem": "64"}, DriftRow(KERNEL, AGENT, "mem", None, "64")),
        ({"mem": "0"}, DriftRow(KERNEL, AGENT, "cpu", "1", None)),
    ],
)
def test_other_amounts_are_told(slots: dict[str, str], wanted: DriftRow) -> None:
    assert compare(slots) == [wanted]


def test_what_one_side_alone_knows_is_on_its_way() -> None:
    other = {"cpu": "8"}
    assert compare({}) == []
    assert compare(other, generation=Generation(3)) == []
    assert compare(other, agent_id=AgentId("a2")) == []
    assert compare_slots(AGENT, [case("TERMINATED")], [told("running", slots=other)]) == []
    assert compare_slots(AGENT, [], [told("running", slots=other)]) == []
