"""A device is sick at once, and well only after it was so for a while."""

from backendai.agent.accelerators.conditions import (
    WELL_LOOKS,
    Condition,
    Conditions,
    judge,
    judge_all,
)
from backendai.agent.resources.plugin import Reading

BAD, GOOD = Reading(problem="lost"), Reading(utilisation_percent=5.0)
KEY = ("cuda.device", "a")


def test_a_problem_counts_at_once_and_the_newest_is_told() -> None:
    assert judge(None, BAD).problem == "lost"
    assert judge(Condition(GOOD), BAD).problem == "lost"
    assert judge(judge(None, BAD), Reading(problem="reset")).problem == "reset"


def test_a_device_that_flaps_stays_sick() -> None:
    condition = judge(None, BAD)
    for reading in [GOOD, GOOD, BAD] * 5:
        condition = judge(condition, reading)
        assert condition.problem == "lost"
    assert condition.well_looks == 0


def test_a_device_that_stays_well_is_used_again() -> None:
    condition = judge(None, BAD)
    for _ in range(WELL_LOOKS - 1):
        condition = judge(condition, GOOD)
        assert condition.problem
        assert condition.reading == GOOD
    assert judge(condition, GOOD) == Condition(GOOD)


def test_a_device_that_is_not_told_of_is_sick() -> None:
    conditions = Conditions(judge_all({}, [KEY, ("cuda.device", "b")], {KEY: GOOD}))
    assert conditions.sick == {("cuda.device", "b")}
    assert "does not tell" in conditions.get(("cuda.device", "b")).problem
    assert not conditions.get(("x", "unknown")).problem
