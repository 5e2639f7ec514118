"""Units, and which asks no plan can tell apart."""

from decimal import Decimal
from typing import Any

import pytest

from backendai.common.enums import PlacementStrategy, SessionResult, SessionType
from backendai.common.lifecycle import SessionStatus
from backendai.manager.sched.load import dependency_state, pending_timeout_of, strategy_of
from backendai.manager.sched.view import (
    UNITS_MAX,
    DependencyState,
    read_limits,
    show_units,
    to_units,
    units_of,
)


@pytest.mark.parametrize(
    ("slot", "amount", "units", "shown"),
    [
        ("cpu", "0.5", 500_000, "0.5"),
        ("cpu", "2", 2_000_000, "2"),
        ("mem", "1073741824", 2**30, "1g"),
        ("cuda.mem", "1048576", 2**20, "1m"),
        ("cuda.shares", "0.000001", 1, "0.000001"),
    ],
)
def test_units_are_whole_and_exact(slot: str, amount: str, units: int, shown: str) -> None:
    assert to_units(slot, amount) == units
    assert show_units(slot, units) == shown


def test_infinity_is_larger_than_any_node() -> None:
    assert to_units("mem", Decimal("Infinity")) == UNITS_MAX


def test_limits_are_read_as_people_write_them() -> None:
    assert read_limits({"mem": "5g", "cpu": 2, "cuda.shares": 0.5}) == (
        {"mem": 5 << 30, "cpu": 2_000_000, "cuda.shares": 500_000},
        "",
    )
    assert read_limits({"mem": "Infinity"}) == ({"mem": UNITS_MAX}, "")
    assert read_limits({}) == ({}, "")


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ({"mem": "a lot"}, "mem: 'a lot' is no size"),
        ({"cpu": None}, "cpu = None is no amount"),
        ({"cpu": True}, "cpu = True is no amount"),
        ({"cpu": "-1"}, "cpu: '-1' is no amount"),
        ({"cpu": "1e99999999"}, "cpu: '1e99999999' is no amount"),
        ({"cpu": {"max": 1}}, "cpu = {'max': 1} is no amount"),
        ({"C P U": "1"}, "'C P U' is no slot name"),
        (["cpu"], "no object of slot to amount"),
        (None, "no object of slot to amount"),
    ],
)
def test_limits_that_cannot_be_read_are_told(stored: object, told: str) -> None:
    limits, problem = read_limits(stored)
    assert limits == {}
    assert problem.startswith(told)


def test_zeros_are_left_out() -> None:
    assert units_of({"cpu": "1", "cuda.device": "0"}) == {"cpu": 1_000_000}


@pytest.mark.parametrize(
    ("status", "result", "kind", "state"),
    [
        ("RUNNING", "undefined", "batch", DependencyState.WAITING),
        ("TERMINATED", "success", "batch", DependencyState.DONE),
        ("TERMINATED", "failure", "batch", DependencyState.FAILED),
        ("TERMINATED", "undefined", "batch", DependencyState.FAILED),
        ("TERMINATED", "undefined", "interactive", DependencyState.DONE),
        ("CANCELLED", "undefined", "interactive", DependencyState.FAILED),
    ],
)
def test_when_a_dependency_is_done(
    status: str, result: str, kind: str, state: DependencyState
) -> None:
    found = dependency_state(SessionStatus(status), SessionResult(result), SessionType(kind))
    assert found is state


def test_options_of_groups_have_defaults() -> None:
    assert strategy_of({}) is PlacementStrategy.DISPERSED
    assert strategy_of({"placement": "concentrated"}) is PlacementStrategy.CONCENTRATED
    assert strategy_of({"placement": "upside-down"}) is PlacementStrategy.DISPERSED
    assert pending_timeout_of({}) is None
    assert pending_timeout_of({"pending_timeout_seconds": 60}) == 60.0
    assert pending_timeout_of({"pending_timeout_seconds": True}) is None


@pytest.mark.parametrize("stored", [{}, [], None, "x", {"placement": ["a"]}, {"placement": {}}])
def test_options_that_cannot_be_read_are_as_none(stored: Any) -> None:
    assert strategy_of(stored) is PlacementStrategy.DISPERSED
    assert pending_timeout_of(stored) is None


@pytest.mark.parametrize("seconds", [10**400, 10**18, 1e300])
def test_a_timeout_beyond_all_time_is_for_ever(seconds: float) -> None:
    assert pending_timeout_of({"pending_timeout_seconds": seconds}) is None
