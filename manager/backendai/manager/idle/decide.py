"""PURE: what each checker finds of a session, whom to warn, and what has to end now.

Where something is not known there is no finding, and nothing ends that was not warned before.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from backendai.common.enums import SessionType

from .model import LIMIT_SECONDS_MAX, Case, Check, Checker, Notice, TimeType, Verdict, Warned
from .rules import Rules, UtilizationRules
from .utilization import CPU_UTIL, MEM_USE, add_sample, average, is_due

# Activity is written at most once a minute, and a moment later: a check waits for it so long.
NOTED_EVERY_SECONDS: Final = 60.0
NOTED_LATE_SECONDS: Final = NOTED_EVERY_SECONDS + 10.0
BEGIN: Final = "start"


def take_sample(case: Case, rules: Rules) -> Case:
    """The case with its sample counted in, where that is due."""
    utilization = rules.utilization
    if utilization is None or case.sample is None:
        return case
    if case.sample.at < _grace_ends_at(case, utilization):
        return case
    if not is_due(case.utilization, case.sample):
        return case
    return replace(
        case, utilization=add_sample(case.utilization, case.sample, utilization.window_seconds)
    )


def find_checks(case: Case, rules: Rules, now: datetime) -> tuple[Check, ...]:
    """What each enabled checker says that has a limit for this session."""
    found = (_lifetime(case), _network(case, rules), _utilization(case, rules.utilization, now))
    return tuple(check for check in found if check and check.checker in rules.enabled)


def judge(case: Case, rules: Rules, now: datetime) -> Verdict:
    """Warn at each stage once, and end what is over its time and was warned for long enough."""
    checks = find_checks(case, rules, now)
    warned: dict[Checker, Warned] = {}
    warnings: list[Notice] = []
    end: Check | None = None
    for check in checks:
        stage = _stage(check, now)
        if stage is None or check.settled_at is None:
            continue
        before = case.warned.get(check.checker)
        told = before or Warned(now, stage)
        ends_at = check.ends_at(told) or now
        if before is None or stage < before.stage_seconds:
            told = Warned(told.at, stage)
            warnings.append(Notice(check, ends_at))
        warned[check.checker] = told
        if before is not None and now >= ends_at and now >= check.settled_at:
            end = end or check
    return Verdict(checks, warned, tuple(warnings), end)


def last_activity(case: Case) -> tuple[datetime, str]:
    """When somebody last did something with the session, and what."""
    if case.active_at is None or case.active_at < case.settled_at:
        return case.settled_at, BEGIN
    return case.active_at, case.active_by


def _stage(check: Check, now: datetime) -> float | None:
    """Which warning the time that is left deserves, in seconds before the end."""
    if check.due_at is None or check.time_type is TimeType.GRACE_PERIOD:
        return None
    left = (check.due_at - now).total_seconds()
    return min((stage for stage in check.stages if left <= stage), default=None)


def _lifetime(case: Case) -> Check | None:
    limit = case.max_session_lifetime
    if not 0 < limit <= LIMIT_SECONDS_MAX:
        return None
    return Check(
        checker=Checker.LIFETIME,
        limit_seconds=limit,
        due_at=case.started_at + timedelta(seconds=limit),
        detail=f"It ran for the {limit} s that its keypair's policy allows.",
    )


def _network(case: Case, rules: Rules) -> Check | None:
    """A policy's limit of 0 means none, a negative one leaves it to the cluster.

    Only who works with an interactive session asks this API; others are at work by themselves.
    """
    limit = rules.network_seconds if case.idle_timeout < 0 else case.idle_timeout
    if not limit or limit > LIMIT_SECONDS_MAX or case.type is not SessionType.INTERACTIVE:
        return None
    at, what = last_activity(case)
    return Check(
        checker=Checker.NETWORK,
        limit_seconds=limit,
        due_at=at + timedelta(seconds=limit),
        slack_seconds=NOTED_LATE_SECONDS,
        detail=f"Nobody used it for {limit:g} s; what last counted is {what} at "
        f"{at.isoformat(timespec='seconds')}.",
        extra={"last_activity": {"at": at.isoformat(), "by": what}},
    )


def _utilization(case: Case, rules: UtilizationRules | None, now: datetime) -> Check | None:
    if rules is None or not (thresholds := _thresholds(case, rules)):
        return None
    check = Check(
        checker=Checker.UTILIZATION,
        limit_seconds=rules.window_seconds,
        due_at=_grace_ends_at(case, rules),
        time_type=TimeType.GRACE_PERIOD,
    )
    if now < _grace_ends_at(case, rules):
        return check
    levels = {
        resource: average(case.utilization, resource, now, rules.window_seconds)
        for resource in thresholds
    }
    check = replace(
        check, time_type=TimeType.EXPIRE_AFTER, extra={"resources": _told(levels, thresholds)}
    )
    full_at = _grace_ends_at(case, rules) + timedelta(seconds=rules.window_seconds)
    if now < full_at:
        return replace(check, due_at=full_at)
    known = {resource: level for resource, level in levels.items() if level is not None}
    low = [resource for resource, level in known.items() if level < thresholds[resource]]
    is_idle = bool(low) if rules.is_any else len(low) == len(levels)
    if len(known) < len(levels) or not is_idle:
        return replace(check, due_at=None)
    before = case.warned.get(Checker.UTILIZATION)
    told = ", ".join(f"{name} {known[name]:.1f} % of {thresholds[name]:g} %" for name in low)
    detail = f"Over {rules.window_seconds:g} s it used too little of what it holds: {told}."
    return replace(check, due_at=min(now, before.at if before else now), detail=detail)


def _thresholds(case: Case, rules: UtilizationRules) -> dict[str, float]:
    """Of what the session holds."""
    held = {CPU_UTIL, MEM_USE}
    held |= {f"{family}_{kind}" for family in case.accelerators for kind in ("util", "mem")}
    return {name: limit for name, limit in rules.thresholds.items() if name in held}


def _grace_ends_at(case: Case, rules: UtilizationRules) -> datetime:
    begun = max(case.settled_at, case.utilization.begun_at or case.settled_at)
    return begun + timedelta(seconds=rules.grace_seconds)


def _told(
    levels: Mapping[str, float | None], thresholds: Mapping[str, float]
) -> dict[str, list[Any]]:
    """Resource -> what was measured, and from where on that counts as used; percents."""
    return {
        name: [None if level is None else round(level, 2), thresholds[name]]
        for name, level in levels.items()
    }
