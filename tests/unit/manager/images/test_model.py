"""What an image needs and allows, by its labels and by an administrator."""

import uuid
from typing import Any

import pytest

from backendai.common.slots import ResourceSlots
from backendai.manager.images.changes import read_limits
from backendai.manager.images.model import MINIMUM_PREFIX, Image

LABELS = {f"{MINIMUM_PREFIX}cpu": "2", f"{MINIMUM_PREFIX}mem": "1g"}


def image(**limits: dict[str, str]) -> Image:
    return Image(uuid.UUID(int=1), "x:1", "x86_64", "", "1", "", 0, LABELS, limits)


def test_an_administrator_beats_the_labels() -> None:
    least = image(cpu={"min": "1"}, mem={"max": "4g"}).minimum_slots()
    assert least == ResourceSlots.of(cpu=1, mem="1g")


def test_a_maximum_is_never_below_the_minimum() -> None:
    most = image(cpu={"max": "1"}, mem={"max": "4g"}).maximum_slots()
    assert ResourceSlots(most) == ResourceSlots.of(cpu=2, mem="4g")


def test_the_default_is_within_both() -> None:
    limits = {"cpu": {"min": "0.1", "max": "0.5"}, "mem": {"min": "64m", "max": "512m"}}
    assert image(**limits).default_slots() == ResourceSlots.of(cpu="0.5", mem="512m")


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ([], {}),
        ([{"key": "cpu", "min": "1", "max": None}], {"cpu": {"min": "1"}}),
        ([{"key": "mem", "min": "", "max": "1g"}], {"mem": {"max": str(1 << 30)}}),
        ([{"key": "cpu", "min": "1", "max": "Infinity"}], {"cpu": {"min": "1"}}),
        ([{"key": "cpu", "min": "0", "max": "0"}], {"cpu": {"min": "0", "max": "0"}}),
    ],
)
def test_limits_are_stored_as_exact_texts(given: Any, stored: Any) -> None:
    assert read_limits(given) == stored


@pytest.mark.parametrize(
    "given",
    [
        [{"key": "", "min": "1"}],
        [{"min": "1"}],
        [{"key": "cpu", "min": "-1"}],
        [{"key": "cpu", "min": "2", "max": "1"}],
        [{"key": "cpu", "min": "Infinity"}],
        [{"key": "cpu"}] * 300,
    ],
)
def test_senseless_limits_are_refused(given: Any) -> None:
    with pytest.raises(ValueError):
        read_limits(given)
