"""PURE: the cluster's rules for idle sessions, from `config/idle/…` in etcd.

What cannot be read switches off what it belongs to and is told: nothing is ended by a mistake.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .model import LIMIT_SECONDS_MAX, Checker

RULES_PATH: Final = "idle/"
WINDOW_DEFAULT: Final = "12h"
GRACE_DEFAULT: Final = "5m"
_NETWORK: Final = f"checkers/{Checker.NETWORK}/"
_UTILIZATION: Final = f"checkers/{Checker.UTILIZATION}/"
_THRESHOLDS: Final = _UTILIZATION + "resource-thresholds/"
_DURATION: Final = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?([smhdw]?)")
_UNIT_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class UtilizationRules:
    """`thresholds` are percents by resource. `is_any`: one of them below is enough, else all."""

    thresholds: Mapping[str, float]
    window_seconds: float
    grace_seconds: float
    is_any: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """`network_seconds` is the limit of policies that leave it to the cluster."""

    enabled: frozenset[Checker] = frozenset(Checker)
    network_seconds: float | None = None
    utilization: UtilizationRules | None = None
    problems: tuple[str, ...] = ()

    @property
    def has_own_limits(self) -> bool:
        """Whether a session may be ended whose policy sets no limit."""
        return self.utilization is not None or self.network_seconds is not None


def read_rules(pairs: Mapping[str, str]) -> Rules:
    """`pairs` are below `config/idle/`. Without `enabled` every checker works that has a limit."""
    problems: list[str] = []
    enabled = _enabled(pairs.get("enabled"), problems)
    network, utilization = None, None
    try:
        if Checker.NETWORK in enabled and (text := pairs.get(_NETWORK + "threshold")):
            network = read_duration(_NETWORK + "threshold", text)
    except ValueError as error:
        problems.append(str(error))
    try:
        if Checker.UTILIZATION in enabled:
            utilization = _utilization(pairs)
    except ValueError as error:
        problems.append(str(error))
    return Rules(enabled, network, utilization, tuple(problems))


def read_duration(key: str, text: str) -> float:
    """Seconds of `90`, `90s`, `10m`, `12h`, `7d`. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{key} = {text[:40]!r}: write a time such as 90s, 10m, 12h or 7d")
    seconds = float(found[1]) * _UNIT_SECONDS[found[2]]
    if seconds > LIMIT_SECONDS_MAX:
        raise ValueError(f"{key} = {text[:40]!r}: at most a hundred years")
    return seconds


def _enabled(text: str | None, problems: list[str]) -> frozenset[Checker]:
    if text is None:
        return frozenset(Checker)
    words = {word.strip() for word in text.split(",")} - {""}
    known = {checker.value for checker in Checker}
    allowed = ", ".join(sorted(known))
    problems += [f"enabled has {word[:40]!r}: write some of {allowed}" for word in words - known]
    return frozenset(Checker(word) for word in words & known)


def _utilization(pairs: Mapping[str, str]) -> UtilizationRules | None:
    """None without thresholds. Raises ValueError."""
    thresholds = {}
    for key, text in pairs.items():
        resource, _, kind = key.removeprefix(_THRESHOLDS).partition("/")
        if key.startswith(_THRESHOLDS) and resource and kind == "average" and text.strip():
            thresholds[resource] = _percent(key, text)
    if not thresholds:
        return None
    operator = pairs.get(_UTILIZATION + "thresholds-check-operator", "and").strip().lower()
    if operator not in ("and", "or"):
        raise ValueError(f"{_UTILIZATION}thresholds-check-operator: write and, or or")
    times = {}
    for name, default in (("time-window", WINDOW_DEFAULT), ("initial-grace-period", GRACE_DEFAULT)):
        times[name] = read_duration(_UTILIZATION + name, pairs.get(_UTILIZATION + name, default))
    if times["time-window"] <= 0:
        return None
    return UtilizationRules(
        dict(sorted(thresholds.items())),
        times["time-window"],
        times["initial-grace-period"],
        operator == "or",
    )


def _percent(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise ValueError(f"{key} = {text[:40]!r}: write percents from 0 to 100")
    return value
