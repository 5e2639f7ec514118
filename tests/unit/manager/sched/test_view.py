"""Units, and which asks no plan can tell apart."""

from decimal import Decimal

import pytest

from backendai.common.enums import PlacementStrategy, SessionResult, SessionType
from backendai.common.lifecycle import SessionStatus
from backendai.manager.sched.load import dependency_state, pending_timeout_of, strategy_of
from backendai.manager.sched.view import UNITS_MAX, DependencyState, show_units, to_units, units_of


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
