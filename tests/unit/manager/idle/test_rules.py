"""The cluster's rules, from what an administrator wrote into etcd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.manager.idle.model import Checker
from backendai.manager.idle.rules import Rules, UtilizationRules, read_duration, read_rules

ALL = frozenset(Checker)
THRESHOLD = "checkers/utilization/resource-thresholds/{}/average"
WINDOW, GRACE = "checkers/utilization/time-window", "checkers/utilization/initial-grace-period"
OPERATOR = "checkers/utilization/thresholds-check-operator"
NETWORK = "checkers/network_timeout/threshold"


def test_nothing_is_limited_where_nothing_is_set() -> None:
    assert read_rules({}) == Rules(ALL)
    assert not read_rules({}).has_own_limits


def test_rules_are_read_as_administrators_write_them() -> None:
    rules = read_rules(
        {
            "enabled": "network_timeout, utilization",
            "app-streaming-packet-timeout": "5m",
            NETWORK: "10m",
            THRESHOLD.format("cpu_util"): "30",
            THRESHOLD.format("cuda_util"): "12.5",
            OPERATOR: "or",
            WINDOW: "1h",
            GRACE: "90",
        }
    )
    utilization = UtilizationRules({"cpu_util": 30.0, "cuda_util": 12.5}, 3600.0, 90.0, True)
    enabled = frozenset({Checker.NETWORK, Checker.UTILIZATION})
    assert rules == Rules(enabled, 600.0, utilization)


def test_a_window_and_a_grace_are_there_without_being_set() -> None:
    rules = read_rules({THRESHOLD.format("mem"): "1"})
    assert rules.utilization == UtilizationRules({"mem": 1.0}, 43200.0, 300.0)


@pytest.mark.parametrize("text", ["", " ", ","])
def test_nothing_is_enabled_by_an_empty_list(text: str) -> None:
    rules = read_rules({"enabled": text, NETWORK: "10m", THRESHOLD.format("mem"): "1"})
    assert rules == Rules(frozenset())


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ({"enabled": "utilization,sleep"}, "sleep"),
        ({NETWORK: "soon"}, "soon"),
        ({NETWORK: "999999999999w"}, "hundred years"),
        ({THRESHOLD.format("mem"): "much"}, "much"),
        ({THRESHOLD.format("mem"): "nan"}, "nan"),
        ({THRESHOLD.format("mem"): "101"}, "101"),
        ({THRESHOLD.format("mem"): "1", WINDOW: "-1h"}, "-1h"),
        ({THRESHOLD.format("mem"): "1", GRACE: "1y"}, "1y"),
        ({THRESHOLD.format("mem"): "1", GRACE: "9999999w"}, "hundred years"),
        ({THRESHOLD.format("mem"): "1", OPERATOR: "xor"}, "operator"),
    ],
)
def test_what_cannot_be_read_limits_nothing_and_is_told(pairs: dict[str, str], told: str) -> None:
    rules = read_rules(pairs)
    assert not rules.has_own_limits
    [problem] = rules.problems
    assert told in problem


def test_a_mistake_in_one_checker_leaves_the_other() -> None:
    rules = read_rules({NETWORK: "10m", THRESHOLD.format("mem"): "much"})
    assert (rules.network_seconds, rules.utilization, len(rules.problems)) == (600.0, None, 1)


@given(st.integers(0, 5000), st.sampled_from(["", "s", "m", "h", "d", "w"]))
def test_durations_have_units(count: int, unit: str) -> None:
    seconds = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[unit]
    assert read_duration("key", f"{count}{unit}") == count * seconds


WORDS = st.text("abz059./-_ ,", max_size=12)


@given(st.dictionaries(WORDS, WORDS, max_size=4))
def test_any_text_is_survived(pairs: dict[str, str]) -> None:
    read_rules({**pairs, **{f"checkers/{key}": value for key, value in pairs.items()}})
