"""What counts as wrong, and what cannot be said."""

from datetime import UTC, datetime
from typing import Any

import pytest

from backendai.common.enums import AgentStatus
from backendai.manager.alerts.facts import (
    AgentFact,
    Limits,
    SessionFact,
    Space,
    join,
    judge_accelerators,
    judge_agents,
    judge_disks,
    judge_spaces,
)
from backendai.manager.alerts.model import AlertKind, Key, Look
from backendai.manager.idle.utilization import Container

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits(silent_seconds=60, full_percent=90)
LOST = Key(AlertKind.AGENT_LOST, "i-1")
QUOTA = Key(AlertKind.QUOTA_NEAR, "ann")


def agent(silent: float = 0, status: AgentStatus = AgentStatus.ALIVE, **used: Any) -> AgentFact:
    return AgentFact("i-1", status, "default", silent, used)


@pytest.mark.parametrize(
    ("fact", "is_open", "is_wrong"),
    [
        (agent(59), False, False),
        (agent(60), False, True),
        (agent(60, AgentStatus.TERMINATED), False, False),
        (agent(1, AgentStatus.SUSPECT), True, True),
        (agent(1, AgentStatus.SUSPECT), False, False),
        (agent(1), True, False),
    ],
)
def test_a_node_is_lost_until_it_is_trusted_again(
    fact: AgentFact, is_open: bool, is_wrong: bool
) -> None:
    found = judge_agents([fact], LIMITS, {LOST} if is_open else (), has_listened=True)
    assert (LOST in found.wrong) is is_wrong


def test_silence_that_nobody_listened_to_is_not_known() -> None:
    unknown = judge_agents([agent(600)], LIMITS, (), has_listened=False)
    assert (dict(unknown.wrong), set(unknown.unseen)) == ({}, {LOST})
    heard = judge_agents([agent(1)], LIMITS, {LOST}, has_listened=False)
    assert (dict(heard.wrong), set(heard.unseen)) == ({}, set()), "who is heard is not lost"


@pytest.mark.parametrize(
    ("used", "is_open", "is_wrong"),
    [
        (89, False, False),
        (90, False, True),
        (88, True, True),
        (86, True, False),
        (120, False, True),
    ],
)
def test_a_level_at_its_limit_does_not_begin_and_end_all_day(
    used: int, is_open: bool, is_wrong: bool
) -> None:
    open_keys = {QUOTA} if is_open else set()
    spaces = [Space("ann", used, 100), "bob"]
    found = judge_spaces(AlertKind.QUOTA_NEAR, "Space of", spaces, LIMITS, open_keys)
    assert (QUOTA in found.wrong) is is_wrong
    assert list(found.unseen) == [Key(AlertKind.QUOTA_NEAR, "bob")]


def test_without_a_limit_or_a_measure_nothing_is_near_it() -> None:
    spaces = [Space("a", 5, None), Space("b", None, 5), Space("c", 5, 0)]
    assert not judge_spaces(AlertKind.QUOTA_NEAR, "Space of", spaces, LIMITS, ()).wrong


def test_the_disks_of_a_node_are_told_by_their_place() -> None:
    disks = [
        {"path": "/", "total_bytes": 100, "free_bytes": 5},
        {"path": "/data", "total_bytes": 100, "free_bytes": 50},
        {"path": "/proc", "total_bytes": 0, "free_bytes": 0},
    ]
    found = judge_disks([agent(disks=disks)], LIMITS, ())
    assert list(found.wrong) == [Key(AlertKind.DISK_NEAR_FULL, "i-1:/")]
    assert not judge_disks([agent()], LIMITS, ()).wrong, "an older agent tells of none"


def session(*levels: float | None, slot: str = "cuda.device", at: datetime = NOW) -> SessionFact:
    told = [{} if one is None else {"cuda_util": one} for one in levels]
    held = tuple(
        Container({"cpu": "1", slot: "1"}, {"sampled_at": at.timestamp(), "accelerators": use})
        for use in told
    )
    return SessionFact("s-1", "train", "ann", held)


@pytest.mark.parametrize(
    ("fact", "verdict"),
    [
        (session(0.0), "wrong"),
        (session(0.0, 1.0), "wrong"),
        (session(0.0, 50.0), "well"),
        (session(None, 50.0), "well"),
        (session(None, 0.0), "unseen"),
        (session(0.0, at=datetime(2025, 1, 1, tzinfo=UTC)), "unseen"),
        (session(0.0, slot="mem"), "well"),
    ],
)
def test_accelerators_are_idle_where_none_of_a_session_does_anything(
    fact: SessionFact, verdict: str
) -> None:
    found, key = judge_accelerators([fact], NOW), Key(AlertKind.IDLE_ACCELERATOR, "s-1")
    told = "wrong" if key in found.wrong else "unseen" if key in found.unseen else "well"
    assert told == verdict


def test_looks_join() -> None:
    joined = join([Look({LOST: "a"}), Look({}, [QUOTA])])
    assert (dict(joined.wrong), set(joined.unseen)) == ({LOST: "a"}, {QUOTA})
