"""What is said of a cluster: each part well, not well, and what to do about it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backendai.common.enums import AgentStatus
from backendai.manager.alerts.facts import AgentFact
from backendai.manager.alerts.model import Alert, AlertKind, Key
from backendai.manager.doctor.judge_cluster import (
    VolumeSeen,
    Waiting,
    judge_alerts,
    judge_certificates,
    judge_daemon,
    judge_images,
    judge_managers,
    judge_node_clocks,
    judge_node_disks,
    judge_storage,
    judge_versions,
    judge_waiting,
)
from backendai.manager.doctor.model import Finding

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE, TWO = {"id": "m-1", "version": "1"}, {"id": "m-2", "version": "2"}
ALERT = Alert(1, Key(AlertKind.QUOTA_NEAR, "ann"), "Space of ann is 95 % full", NOW)


def node(**used: Any) -> AgentFact:
    return AgentFact("i-1", AgentStatus.ALIVE, "default", 0, used)


def disk(free: int) -> dict[str, Any]:
    return {"path": "/", "total_bytes": 100 << 30, "free_bytes": free << 30}


def ends(days: float) -> dict[str, datetime]:
    return {"https://a": NOW + timedelta(days=days), "https://b": NOW + timedelta(days=300)}


@pytest.mark.parametrize(
    ("find", "verdict", "told"),
    [
        (lambda: judge_managers([], None), "failed", "none lives"),
        (lambda: judge_managers([ONE], None), "failed", "none of them plans"),
        (lambda: judge_managers([ONE], "m-1:life"), "ok", "m-1 plans"),
        (lambda: judge_managers([ONE, TWO], "m-2:life"), "advice", "their releases differ"),
        (lambda: judge_versions({"i-1": "1"}, "1"), "ok", "all agents are of 1"),
        (lambda: judge_versions({"i-1": "0", "i-2": "1"}, "1"), "advice", "i-1 is of 0"),
        (lambda: judge_node_clocks([node(clock_ahead_seconds=-4.0)]), "ok", "1 of 1"),
        (lambda: judge_node_clocks([node()]), "ok", "0 of 1"),
        (lambda: judge_node_clocks([node(clock_ahead_seconds=-90.0)]), "failed", "90 s behind"),
        (lambda: judge_node_disks([node(disks=[disk(50)])]), "ok", "1 are below 90 %"),
        (lambda: judge_node_disks([node(disks=[disk(5)])]), "failed", "i-1:/ has 5.0 GiB left"),
        (lambda: judge_images(0), "advice", "none is known"),
        (lambda: judge_images(2), "ok", "2 known"),
        (lambda: judge_waiting([]), "ok", "no session waits"),
        (lambda: judge_waiting([Waiting("fit", 3, 60)]), "ok", "3 for fit"),
        (lambda: judge_waiting([Waiting("fit", 3, 7300)]), "advice", "the first 2 h"),
        (lambda: judge_alerts([]), "ok", "none is open"),
        (lambda: judge_alerts([ALERT]), "advice", "Space of ann is 95 % full"),
        (lambda: judge_storage({}, {}, []), "advice", "none is known"),
        (lambda: judge_storage({"local": "away"}, {}, []), "failed", "local: away"),
        (lambda: judge_storage({}, {"local": "no secret"}, []), "failed", "no secret"),
        (
            lambda: judge_storage({"local": ""}, {}, [VolumeSeen("local:v", 95, 100)]),
            "failed",
            "local:v is 95 % full",
        ),
        (lambda: judge_storage({"local": ""}, {}, [VolumeSeen("local:v", 5, 0)]), "ok", "0 %"),
        (lambda: judge_daemon("webserver", "http://w", "", "fix"), "ok", "http://w answers"),
        (lambda: judge_daemon("webserver", "http://w", "refused", "fix"), "failed", "refused"),
        (lambda: judge_certificates({}, NOW), "ok", "no address"),
        (lambda: judge_certificates(ends(200), NOW), "ok", "https://a for 200 days"),
        (lambda: judge_certificates(ends(5), NOW), "advice", "https://a for 5 days"),
        (lambda: judge_certificates(ends(-1), NOW), "failed", "over: https://a"),
    ],
)
def test_each_part_is_told_with_what_to_do(
    find: Callable[[], Finding], verdict: str, told: str
) -> None:
    found = find()
    assert (found.verdict, told in found.told) == (verdict, True), found
    assert bool(found.fix) is (verdict != "ok")
