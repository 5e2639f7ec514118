"""Who is warned and who is ended, whatever happened; the clock is a value."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backendai.common.enums import Reason, SessionType
from backendai.manager.idle.decide import (
    NOTED_LATE_SECONDS,
    find_checks,
    judge,
    last_activity,
    take_sample,
)
from backendai.manager.idle.model import (
    NOTICE_SECONDS_MAX,
    REASONS,
    Case,
    Check,
    Checker,
    Sample,
    TimeType,
)
from backendai.manager.idle.rules import Rules, UtilizationRules
from backendai.manager.idle.utilization import PARTS

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = 10.0
HOUR = 3600.0
UTILIZATION = UtilizationRules({"cpu_util": 30.0, "mem": 20.0}, HOUR, 300.0)
BUSY = Rules(utilization=UTILIZATION)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def make_case(**more: Any) -> Case:
    values: dict[str, Any] = {
        "session_id": uuid.UUID(int=1),
        "name": "demo",
        "access_key": "AK",
        "type": SessionType.INTERACTIVE,
        "started_at": START,
        "settled_at": START,
    }
    return Case(**{**values, **more})


def only(case: Case, rules: Rules, now: datetime) -> Check:
    [check] = find_checks(case, rules, now)
    return check


class Life:
    """A session that is looked at again and again; what happened is kept by the second."""

    def __init__(self, case: Case, rules: Rules) -> None:
        self.case, self.rules = case, rules
        self.warned: list[tuple[float, Checker, float]] = []
        self.ended: tuple[float, Check] | None = None

    def run(
        self,
        until: float,
        change: Callable[[Case, float], Case] = lambda case, _: case,
        since: float = 0.0,
        step: float = STEP,
    ) -> "Life":
        seconds = since
        while seconds <= until and self.ended is None:
            case = take_sample(change(self.case, seconds), self.rules)
            verdict = judge(case, self.rules, after(seconds))
            for notice in verdict.warnings:
                left = (notice.ends_at - after(seconds)).total_seconds()
                self.warned.append((seconds, notice.check.checker, left))
            self.case = replace(case, warned=verdict.warned)
            if verdict.end is not None:
                self.ended = (seconds, verdict.end)
            seconds += step
        return self


def test_without_limits_nothing_is_found() -> None:
    for kind in SessionType:
        verdict = judge(make_case(type=kind), Rules(), after(10**8))
        assert (verdict.checks, verdict.warnings, verdict.end) == ((), (), None)


def test_a_lifetime_ends_after_warnings() -> None:
    life = Life(make_case(max_session_lifetime=7200), Rules()).run(8000)
    assert life.ended is not None
    assert life.ended[0] == 7200
    assert REASONS[life.ended[1].checker] is Reason.IDLE_SESSION_LIFETIME
    assert [(at, left) for at, _, left in life.warned] == [(5400, 1800), (6900, 300)]


def test_a_lifetime_is_that_of_every_kind_of_session_and_not_prolonged_by_use() -> None:
    for kind in SessionType:
        case = make_case(type=kind, max_session_lifetime=600, active_at=after(590))
        assert Life(case, Rules()).run(1000).ended is not None


def test_a_lifetime_beyond_all_dates_is_none() -> None:
    assert find_checks(make_case(max_session_lifetime=2**63 - 1), Rules(), START) == ()


@pytest.mark.parametrize("kind", [SessionType.BATCH, SessionType.INFERENCE])
def test_only_interactive_sessions_have_a_network_timeout(kind: SessionType) -> None:
    case = make_case(type=kind, idle_timeout=60)
    assert find_checks(case, Rules(network_seconds=60), after(1000)) == ()


@pytest.mark.parametrize(
    ("policy", "cluster", "limit"),
    [
        (600, None, 600),
        (600, 60.0, 600),
        (0, 60.0, None),
        (-1, 60.0, 60),
        (-1, None, None),
        (2**63 - 1, 60.0, None),
    ],
)
def test_whose_network_timeout_counts(
    policy: int, cluster: float | None, limit: float | None
) -> None:
    checks = find_checks(make_case(idle_timeout=policy), Rules(network_seconds=cluster), START)
    assert [check.limit_seconds for check in checks] == ([limit] if limit else [])


def test_what_last_counted_is_named() -> None:
    case = make_case(idle_timeout=600, active_at=after(50), active_by="execute")
    assert only(case, Rules(), after(60)).due_at == after(650)
    assert last_activity(case) == (after(50), "execute")
    restarted = replace(case, settled_at=after(70))
    assert last_activity(restarted) == (after(70), "start")
    extra = only(case, Rules(), after(60)).extra
    assert extra == {"last_activity": {"at": after(50).isoformat(), "by": "execute"}}


def test_a_checker_that_is_not_enabled_finds_nothing() -> None:
    case = make_case(idle_timeout=60, max_session_lifetime=60)
    found = find_checks(case, Rules(enabled=frozenset({Checker.LIFETIME})), START)
    assert [check.checker for check in found] == [Checker.LIFETIME]


def test_activity_that_is_noted_a_minute_late_still_counts() -> None:
    def used(case: Case, seconds: float) -> Case:
        return replace(case, active_at=after(95)) if seconds >= 95 + 65 else case

    life = Life(make_case(idle_timeout=100), Rules()).run(190, used)
    assert life.ended is None


def test_a_limit_that_is_set_when_it_is_over_already_gives_notice_first() -> None:
    case = make_case(max_session_lifetime=3600)
    life = Life(case, Rules()).run(99_999, since=50_000)
    assert life.warned == [(50_000, Checker.LIFETIME, NOTICE_SECONDS_MAX)]
    assert life.ended is not None
    assert life.ended[0] == 50_000 + NOTICE_SECONDS_MAX


@settings(max_examples=60)
@given(
    timeout=st.integers(1, 4000),
    lifetime=st.integers(0, 9000),
    uses=st.lists(st.floats(0, 8000), max_size=6),
    missed=st.tuples(st.floats(0, 8000), st.floats(0, 3000)),
)
def test_nobody_is_ended_in_use_or_unwarned(
    timeout: int, lifetime: int, uses: list[float], missed: tuple[float, float]
) -> None:
    """Looks are missed for a while, as when the database is away."""

    def used(case: Case, seconds: float) -> Case:
        past = [at for at in uses if at <= seconds - NOTED_LATE_SECONDS]
        return replace(case, active_at=after(max(past)), active_by="execute") if past else case

    case = make_case(idle_timeout=timeout, max_session_lifetime=lifetime)
    life = Life(case, Rules()).run(missed[0], used)
    life.run(12_000, used, since=missed[0] + missed[1])
    assert life.ended is not None
    at, check = life.ended
    warned = [when for when, checker, _ in life.warned if checker is check.checker]
    assert at - warned[-1] >= 0
    assert at - warned[0] >= min(NOTICE_SECONDS_MAX, check.limit_seconds / 2) - 1e-6
    if check.checker is Checker.LIFETIME:
        assert at >= lifetime
    else:
        assert not [use for use in uses if at - timeout < use <= at - NOTED_LATE_SECONDS]
        assert at >= timeout


def feed(level: float | None, window: float = HOUR) -> Callable[[Case, float], Case]:
    """A session of one core of which so much of everything is used; None: nobody knows."""

    def change(case: Case, seconds: float) -> Case:
        if level is None:
            return replace(case, sample=None)
        sample = Sample(after(seconds), seconds * 10 * level, 1.0, {"mem": level})
        return replace(case, sample=sample)

    return change


def test_too_little_use_over_a_window_ends_a_session_after_a_notice() -> None:
    for kind in (SessionType.INTERACTIVE, SessionType.BATCH):
        life = Life(make_case(type=kind), BUSY).run(9000, feed(5.0))
        assert life.ended is not None
        at, check = life.ended
        assert REASONS[check.checker] is Reason.IDLE_UTILIZATION
        assert 300 + HOUR <= at <= 300 + HOUR + NOTICE_SECONDS_MAX
        assert "cpu_util 5.0 % of 30 %" in check.detail
        assert [when for when, _, _ in life.warned] == [300 + HOUR - 1800, 300 + HOUR - 300]


@pytest.mark.parametrize("window", [600.0, HOUR, 12 * HOUR])
def test_words_of_nodes_that_come_when_they_come_are_enough(window: float) -> None:
    """Looks each 11 s, words each 17 s and up to 20 s old."""
    rules = Rules(utilization=replace(UTILIZATION, window_seconds=window))
    life = Life(make_case(), rules)

    def told(case: Case, seconds: float) -> Case:
        at = max(0.0, (seconds - 3) // 17 * 17)
        return feed(5.0)(case, at)

    life.run(2 * window + 1000, told, step=11.0)
    assert life.ended is not None
    assert life.ended[0] <= 300 + window + window / PARTS + 2 * NOTICE_SECONDS_MAX


def test_enough_use_ends_nothing() -> None:
    life = Life(make_case(), BUSY).run(9000, feed(50.0))
    assert life.ended is None
    check = only(life.case, BUSY, after(9000))
    assert check.due_at is None
    assert check.extra is not None
    assert set(check.extra["resources"]) == {"cpu_util", "mem"}


def test_without_samples_there_is_no_verdict() -> None:
    assert Life(make_case(), BUSY).run(9000, feed(None)).ended is None
    cut = Life(make_case(), BUSY).run(3600, feed(1.0))
    assert cut.run(20_000, feed(None), since=3610).ended is None


def test_an_accelerator_of_which_nothing_is_known_keeps_the_session() -> None:
    utilization = replace(UTILIZATION, thresholds={"mem": 20.0, "cuda_util": 10.0})
    for is_any in (False, True):
        either = Rules(utilization=replace(utilization, is_any=is_any))
        with_gpu = make_case(accelerators=frozenset({"cuda"}))
        assert Life(with_gpu, either).run(9000, feed(1.0)).ended is None
        assert Life(make_case(), either).run(9000, feed(1.0)).ended is not None


@pytest.mark.parametrize(("is_any", "is_ended"), [(False, False), (True, True)])
def test_all_thresholds_or_any(is_any: bool, is_ended: bool) -> None:
    rules = Rules(
        utilization=replace(UTILIZATION, thresholds={"cpu_util": 30.0, "mem": 4.0}, is_any=is_any)
    )
    life = Life(make_case(), rules).run(9000, feed(5.0))
    assert (life.ended is not None) is is_ended


def test_work_that_begins_after_the_warning_saves_the_session() -> None:
    life = Life(make_case(), BUSY).run(300 + HOUR - 200, feed(5.0))
    assert len(life.warned) == 2
    at = 300 + HOUR - 190

    def busy(case: Case, seconds: float) -> Case:
        spent = at * 50 + (seconds - at) * 1000
        return replace(case, sample=Sample(after(seconds), spent, 1.0, {"mem": 100.0}))

    # The window's average passes the threshold some time later, within the notice or not at all.
    saved = Life(life.case, replace(BUSY, utilization=replace(UTILIZATION, thresholds={"mem": 6})))
    assert saved.run(20_000, busy, since=at).ended is None


def test_a_time_of_grace_and_an_extension_begin_anew() -> None:
    check = only(make_case(), BUSY, after(100))
    assert (check.time_type, check.due_at) == (TimeType.GRACE_PERIOD, after(300))
    life = Life(make_case(), BUSY).run(3000, feed(5.0))
    utilization = replace(life.case.utilization, begun_at=after(3000), buckets=())
    life.case = replace(life.case, utilization=utilization, warned={})
    assert only(life.case, BUSY, after(3010)).time_type is TimeType.GRACE_PERIOD
    life.run(20_000, feed(5.0), since=3010)
    assert life.ended is not None
    assert life.ended[0] >= 3000 + 300 + HOUR
