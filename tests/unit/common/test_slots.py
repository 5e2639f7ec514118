"""Amounts of resources are exact, and what cannot be understood is refused with a reason."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.common.slots import (
    CPU,
    INFINITY,
    MEM,
    ResourceSlots,
    SlotError,
    SlotName,
    format_amount,
    format_size,
    parse_amount,
    parse_count,
    parse_size,
    parse_slot_name,
    sum_slots,
)

amounts = st.decimals(min_value=0, max_value=10**12, places=6)
slot_maps = st.dictionaries(st.sampled_from([CPU, MEM, SlotName("cuda.shares")]), amounts).map(
    ResourceSlots
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("1k", 1024),
        ("4g", 4 * 1024**3),
        ("4G", 4 * 1024**3),
        ("4GiB", 4 * 1024**3),
        ("1.5g", 3 * 1024**3 // 2),
        ("300 mb", 300 * 1024**2),
        ("2t", 2 * 1024**4),
    ],
)
def test_sizes_are_binary_multiples(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["inf", "Infinity", "infinite", " INF "])
def test_infinity_is_understood(text: str) -> None:
    assert parse_size(text) == INFINITY
    assert parse_count(text) == INFINITY


@pytest.mark.parametrize(
    "text",
    ["", "-1", "1e30", "0x10", "1.5.5g", "nan", "g", "1 2", "1q", "１", "9" * 40, "8e"],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(SlotError):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "-1", "1e3", "nan", "0.0000001", "1,5", "+1", ".5", "9" * 25])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(SlotError):
        parse_count(text)


@pytest.mark.parametrize("value", [True, None, [], {}, float("nan"), float("inf"), -1, 1e300])
def test_values_that_are_no_amounts_are_refused(value: object) -> None:
    if value == float("inf"):
        assert parse_amount(CPU, value) == INFINITY
        return
    with pytest.raises(SlotError, match="cpu"):
        parse_amount(CPU, value)


def test_a_float_keeps_the_digits_that_were_written() -> None:
    assert parse_amount(CPU, 0.1) == Decimal("0.1")


@pytest.mark.parametrize("name", ["", "CPU", "cpu;drop", "a..b", "x" * 40, "-a", "mem\n", "ｃｐｕ"])
def test_odd_slot_names_are_refused(name: str) -> None:
    with pytest.raises(SlotError, match="slot name"):
        parse_slot_name(name)


@given(amounts)
def test_formatted_amounts_parse_back(amount: Decimal) -> None:
    assert parse_count(format_amount(amount)) == amount
    assert "E" not in format_amount(amount)


@given(st.integers(min_value=0, max_value=2**62))
def test_formatted_sizes_parse_back(size: int) -> None:
    assert parse_size(format_size(Decimal(size))) == size


@given(st.lists(slot_maps, max_size=8))
def test_what_is_added_and_freed_sums_to_nothing(parts: list[ResourceSlots]) -> None:
    total = sum_slots(parts)
    for part in reversed(parts):
        total -= part
    assert total == ResourceSlots()


@given(slot_maps, slot_maps)
def test_a_sum_holds_its_parts(one: ResourceSlots, other: ResourceSlots) -> None:
    assert one.fits_in(one + other)
    assert not (one + other - one).is_negative()


def test_a_slot_that_is_not_named_is_zero() -> None:
    slots = ResourceSlots.of(cpu=2)
    assert slots[MEM] == 0
    assert slots == ResourceSlots.of(cpu="2.0", mem=0)
    assert hash(slots) == hash(ResourceSlots.of(cpu="2.0", mem=0))
    assert not slots.fits_in(ResourceSlots.of(mem="4g"))


def test_the_wire_form_is_exact_text() -> None:
    assert ResourceSlots.of(cpu="0.5", mem="4g").to_json() == {"cpu": "0.5", "mem": "4294967296"}
