"""PURE: what checkers found, as it is kept, and in the words and shapes of the public API."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .model import REASONS, Case, Check, Checker, Notice, Verdict, Warned


def kept(verdict: Verdict) -> dict[str, Any]:
    """As it is kept: absolute times, so that it changes only with what was found."""
    return {check.checker.value: _kept(check, verdict.warned) for check in verdict.checks}


def idle_checks(checks: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """`idle_checks` of a session: seconds that remain now, to what, and what they depend on."""
    return {name: _told(one, now) for name, one in checks.items()}


def warning(case: Case, told: Notice, now: datetime) -> dict[str, Any]:
    """The data of the event that warns the owner."""
    return {
        "reason": REASONS[told.check.checker].value,
        "sessionName": case.name,
        "ownerAccessKey": case.access_key,
        "sessionId": str(case.session_id),
        "exitCode": None,
        "checker": told.check.checker.value,
        "endsAt": told.ends_at.isoformat(),
        "remaining": _seconds(told.ends_at, now),
    }


def _kept(check: Check, warned: Mapping[Checker, Warned]) -> dict[str, Any]:
    ends_at = check.ends_at(warned.get(check.checker))
    return {
        "at": None if ends_at is None else ends_at.isoformat(),
        "type": check.time_type.value,
        "extra": check.extra,
    }


def _told(one: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    at = one["at"]
    return {
        "remaining": None if at is None else _seconds(datetime.fromisoformat(at), now),
        "remaining_time_type": one["type"],
        "extra": one["extra"],
    }


def _seconds(at: datetime, now: datetime) -> int:
    return max(0, round((at - now).total_seconds()))
