"""Which status a node has, which offers are refused, which reports are unfit."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from backendai.common.contracts.agent import (
    GENERATION_MAX,
    AgentReport,
    DiskReport,
    KernelReport,
    KernelState,
)
from backendai.common.enums import AgentStatus
from backendai.common.ids import AgentId
from backendai.manager.agents.directory import choose_contacts, parse_offers
from backendai.manager.agents.health import (
    CLEAN_AFTER_SECONDS,
    DISKS_MAX,
    FLAPS_MAX,
    fault_of,
    flaps_after,
    judge,
    probation_seconds,
    refusal_of,
    use_of,
)
from backendai.manager.agents.model import AgentRow, Contact, Patience

PATIENCE = Patience(heartbeat_seconds=5, beats_missed_max=3, lost_after_seconds=600)


def make_row(status: str = "ALIVE", **changes: Any) -> AgentRow:
    values: dict[str, Any] = {"address": "n1:6001", "public_key": "", **changes}
    return AgentRow(id=AgentId("a1"), status=AgentStatus(status), **values)


@pytest.mark.parametrize(
    ("status", "silent", "steady", "flaps", "wanted"),
    [
        ("ALIVE", 14, 100, 0, "ALIVE"),
        ("ALIVE", 15, 100, 0, "SUSPECT"),
        ("SUSPECT", 599, 0, 1, "SUSPECT"),
        ("SUSPECT", 600, 0, 1, "LOST"),
        ("LOST", 20, 0, 1, "LOST"),
        ("LOST", 1, 1, 1, "SUSPECT"),
        ("SUSPECT", 1, 14, 1, "SUSPECT"),
        ("SUSPECT", 1, 15, 1, "ALIVE"),
        ("SUSPECT", 1, 15, 2, "SUSPECT"),
        ("SUSPECT", 1, 30, 2, "ALIVE"),
        ("TERMINATED", 0, 999, 0, "TERMINATED"),
    ],
)
def test_status(status: str, silent: float, steady: float, flaps: int, wanted: str) -> None:
    row = make_row(status, silent_seconds=silent, steady_seconds=steady, flaps=flaps)
    assert judge(row, PATIENCE) == wanted


def test_flaps_grow_with_each_fall_and_are_forgotten_in_time() -> None:
    assert flaps_after(make_row(flaps=1, status_seconds=20), AgentStatus.SUSPECT) == 2
    assert (
        flaps_after(make_row(flaps=4, status_seconds=CLEAN_AFTER_SECONDS), AgentStatus.SUSPECT) == 1
    )
    assert flaps_after(make_row("SUSPECT", flaps=2), AgentStatus.ALIVE) == 2
    assert flaps_after(make_row(flaps=FLAPS_MAX, status_seconds=1), AgentStatus.LOST) == FLAPS_MAX


def test_probation_doubles_and_is_bounded() -> None:
    spans = [probation_seconds(flaps, PATIENCE) for flaps in range(8)]
    assert spans == [15, 15, 30, 60, 120, 240, 240, 240]


def test_a_second_daemon_under_the_same_id_is_refused() -> None:
    twin = Contact(AgentId("a1"), "n2:6001", "")
    assert "claims the same id" in refusal_of(make_row(), twin, PATIENCE)
    assert not refusal_of(make_row(silent_seconds=15), twin, PATIENCE)
    assert not refusal_of(None, twin, PATIENCE)
    assert not refusal_of(make_row(), Contact(AgentId("a1"), "n1:6001", "other key"), PATIENCE)


def test_the_known_place_stays_while_an_offer_is_refused() -> None:
    twin = Contact(AgentId("a1"), "n2:6001", "")
    new = Contact(AgentId("a2"), "n3:6001", "")
    chosen, refusals = choose_contacts([make_row()], [twin, new], PATIENCE)
    assert chosen[AgentId("a1")].address == "n1:6001"
    assert chosen[AgentId("a2")] == new
    assert len(refusals) == 1


def test_bad_notices_are_left_out() -> None:
    offers = parse_offers(
        {
            "nodes/agents/a1": '{"addr": "n1:6001", "public_key": "", "instance": "x"}',
            "nodes/agents/a2": "nonsense",
            "nodes/agents/a3": '{"addr": "n3:6001", "public_key": "short"}',
        }
    )
    assert [offer.agent_id for offer in offers] == ["a1"]


@pytest.mark.parametrize(
    ("capacity", "word"),
    [
        ({"cpu": "4", "mem": "1024"}, ""),
        ({"cpu": "-1"}, "out of range"),
        ({"cpu": "NaN"}, "out of range"),
        ({"cpu": "Infinity"}, "out of range"),
        ({"mem": "1e30"}, "out of range"),
        ({"cpu": "many"}, "no amount"),
        ({"CPU!": "1"}, "no amount"),
    ],
)
def test_hostile_capacities_are_refused(capacity: dict[str, str], word: str) -> None:
    report = make_report(capacity=capacity)
    found = fault_of(report, "a1")
    assert word in found
    assert bool(found) == bool(word)
    assert "calls itself" in fault_of(report, "a2")


@pytest.mark.parametrize(
    ("generation", "is_taken"), [(-1, False), (1, True), (GENERATION_MAX, True), (2**63, False)]
)
def test_hostile_generations_are_refused(generation: int, is_taken: bool) -> None:
    kernel = KernelReport(
        kernel_id="k", session_id="s", generation=generation, state=KernelState.RUNNING
    )
    found = fault_of(make_report(kernels=[kernel]), "a1")
    assert is_taken is not ("out of range" in found)


def test_how_a_node_was_tells_its_disks_and_by_how_much_its_clock_is_ahead() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    disk = DiskReport(path="/", total_bytes=10, free_bytes=4)
    report = make_report(cpu_percent=5.0, told_at=now.timestamp() - 90, disks=[disk] * 20)
    used = use_of(report, now)
    assert used["clock_ahead_seconds"] == -90
    assert used["disks"] == [{"path": "/", "total_bytes": 10, "free_bytes": 4}] * DISKS_MAX
    assert "clock_ahead_seconds" not in use_of(make_report(), now), "an older agent tells no time"


def make_report(**changes: Any) -> AgentReport:
    report = AgentReport(
        agent_id="a1",
        instance="i",
        version=1,
        started_at=0,
        daemon_version="1",
        architecture="x86_64",
        region="",
        resource_group="default",
        backend="docker",
        engine_reachable=True,
        capacity={},
        kernels=[],
        images=[],
    )
    return msgspec.structs.replace(report, **changes)
