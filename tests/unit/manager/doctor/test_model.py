"""How what `mgr doctor` saw is judged."""

from dataclasses import replace

import pytest

from backendai.common.enums import AgentStatus
from backendai.common.ids import AgentId, KernelId, SystemIds
from backendai.manager.agents.model import AgentRow, Patience
from backendai.manager.db.revision import Schema
from backendai.manager.doctor.model import (
    DISK_BYTES_MIN,
    Verdict,
    advise,
    fail,
    is_sound,
    judge_agents,
    judge_clock,
    judge_disk,
    judge_drift,
    judge_mode,
    judge_schema,
    ok,
    skip,
    some,
)
from backendai.manager.lifecycle.store import DriftRow

WELL = AgentRow(id=AgentId("n1"), status=AgentStatus.ALIVE, address="n1:6001", public_key="")
PATIENCE = Patience()


def test_only_a_failure_makes_a_manager_unsound() -> None:
    assert is_sound([ok("a", "x"), advise("b", "y", "z"), *skip(["c", "d"], "b first")])
    assert not is_sound([ok("a", "x"), fail("b", "y", "z")])


@pytest.mark.parametrize(("mode", "is_ok"), [(0o600, True), (0o644, True), (0o620, False)])
def test_nobody_else_may_change_the_settings(mode: int, is_ok: bool) -> None:
    found = judge_mode("manager.toml", mode)
    assert (found.verdict is Verdict.OK, found.fix) == (
        is_ok,
        "" if is_ok else "chmod go-w manager.toml",
    )


@pytest.mark.parametrize(
    ("current", "fix"),
    [
        (Schema("0009", "0007"), ""),
        (None, "schema upgrade"),
        (Schema("0008", "0007"), "schema upgrade"),
        (Schema("0010", "0010"), "install"),
        (Schema("0010", "0009"), ""),
    ],
)
def test_the_schema_is_upgraded_or_the_release_is(current: Schema | None, fix: str) -> None:
    found = judge_schema(current, "0009")
    assert fix in found.fix
    assert (found.verdict is Verdict.OK) is (fix == "")


@pytest.mark.parametrize(
    ("ahead", "round_trip", "is_ok"),
    [(0.0, 0.0, True), (-4.9, 0.0, True), (6.0, 0.1, False), (-6.0, 0.1, False), (6.0, 4.0, True)],
)
def test_a_clock_is_wrong_by_more_than_the_answer_took(
    ahead: float, round_trip: float, is_ok: bool
) -> None:
    assert (judge_clock(ahead, round_trip).verdict is Verdict.OK) is is_ok


def test_each_folder_needs_room() -> None:
    assert judge_disk({"/a": DISK_BYTES_MIN}).verdict is Verdict.OK
    found = judge_disk({"/a": DISK_BYTES_MIN, "/b": 1})
    assert found.verdict is Verdict.FAILED
    assert "0.0 GiB free in /b" in found.told


def test_nodes_are_heard_silent_fenced_or_complain() -> None:
    silent = replace(WELL, id=AgentId("n2"), silent_seconds=PATIENCE.suspect_after_seconds)
    fenced = replace(silent, status=AgentStatus.TERMINATED)
    assert judge_agents([WELL, fenced], PATIENCE).told == "1 heard lately"
    assert judge_agents([fenced], PATIENCE).verdict is Verdict.ADVICE, "none is waited for"
    found = judge_agents([WELL, silent], PATIENCE)
    assert (found.verdict, found.told) == (Verdict.FAILED, "n2 not heard for 15 s")
    halted = judge_agents([replace(WELL, halted="6 of 6 stops")], PATIENCE)
    assert (halted.verdict, halted.told) == (Verdict.ADVICE, "n1 halted: 6 of 6 stops")


def test_drift_names_the_kernel_and_says_how_far_was_looked() -> None:
    kernel = KernelId(SystemIds().uuid())
    found = judge_drift([DriftRow(kernel, "n1", "cpu", "1", None)], is_whole=True)
    assert found.verdict is Verdict.FAILED
    assert f"kernel {kernel} on n1: cpu is not held, due is 1" in found.told
    assert "what nodes report" in judge_drift([], is_whole=True).told
    assert "not every node" in judge_drift([], is_whole=False).told


def test_of_many_some_are_named() -> None:
    assert some(str(number) for number in range(12)) == "0; 1; 2; 3; 4; 5; 6; 7; 8; 9; and 2 more"
