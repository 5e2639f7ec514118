"""Amounts of resources, exact: `cpu` in cores, `mem` in bytes, accelerators in devices or shares.

Amounts are Decimals with at most six digits after the point; nothing here uses floats, so what is
added and freed again sums to zero. `Infinity` means "no limit" and appears only in limits.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, NewType

from backendai.common.enums import SlotType

SlotName = NewType("SlotName", str)

CPU: Final = SlotName("cpu")
MEM: Final = SlotName("mem")
INFINITY: Final = Decimal("Infinity")
ZERO: Final = Decimal(0)

# What may be asked for at most: beyond it a number is a typing error, not a wish.
AMOUNT_MAX: Final = Decimal(2) ** 63
DIGITS_AFTER_POINT_MAX: Final = 6
_QUANTUM: Final = Decimal(1).scaleb(-DIGITS_AFTER_POINT_MAX)

_SLOT_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}(\.[a-z0-9_-]{1,31}){0,3}", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,30}(\.\d{1,12})?", re.ASCII)
_SIZE: Final = re.compile(r"(\d{1,30}(?:\.\d{1,12})?)\s*([kmgtpe]?)(i?b?|bytes?)", re.ASCII)
_UNLIMITED: Final = frozenset({"inf", "infinite", "infinity"})
_EXPONENT: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}


class SlotError(ValueError):
    """An amount or a slot name that cannot be understood; the message says what is allowed."""


def parse_slot_name(text: str) -> SlotName:
    if not _SLOT_NAME.fullmatch(text):
        raise SlotError(
            f"{text!r} is no slot name: write lower-case words such as cpu, mem or cuda.device"
        )
    return SlotName(text)


def slot_type(name: SlotName) -> SlotType:
    """Bytes for `mem` and every `*.mem`; a count (whole or fractional) for the rest."""
    return SlotType.BYTES if name == MEM or name.endswith(".mem") else SlotType.COUNT


def parse_size(value: str | int | Decimal) -> Decimal:
    """Bytes from `1073741824`, `1g`, `1.5GiB`, `512 MB` (binary multiples) or `Infinity`."""
    text = str(value).strip().lower()
    if text in _UNLIMITED:
        return INFINITY
    match = _SIZE.fullmatch(text)
    if match is None:
        raise SlotError(f"{value!r} is no size: write bytes, or a number with k, m, g, t, p or e")
    number, prefix, _ = match.groups()
    amount = Decimal(number) * 1024 ** _EXPONENT[prefix]
    return _bounded(amount.to_integral_value(), value)


def parse_count(value: str | int | Decimal) -> Decimal:
    """A count from `2`, `0.5` or `Infinity`, with at most six digits after the point."""
    text = str(value).strip().lower()
    if text in _UNLIMITED:
        return INFINITY
    if not _NUMBER.fullmatch(text):
        raise SlotError(f"{value!r} is no amount: write a number such as 2 or 0.5, not below zero")
    amount = _bounded(Decimal(text), value)
    if amount != amount.quantize(_QUANTUM):
        raise SlotError(
            f"{value!r} is too fine: at most {DIGITS_AFTER_POINT_MAX} digits after the point"
        )
    return amount


def parse_amount(name: SlotName, value: object) -> Decimal:
    """The amount of one slot, by the slot's type. Booleans are refused."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise SlotError(f"{name} = {value!r} is no amount: write a number or a text such as 4g")
    text = repr(value) if isinstance(value, float) else value
    parse = parse_size if slot_type(name) is SlotType.BYTES else parse_count
    try:
        return parse(text)
    except SlotError as error:
        raise SlotError(f"{name}: {error}") from None


def format_amount(amount: Decimal) -> str:
    """The shortest exact text: `4`, `0.5`, `Infinity`; never an exponent."""
    if not amount.is_finite():
        return "Infinity"
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_size(amount: Decimal) -> str:
    """A size for people: `4g`, `1.5g`, `300`; exact, so it parses back to the same bytes."""
    if not amount.is_finite():
        return "Infinity"
    for prefix in "ptgmk":
        scaled = amount / 1024 ** _EXPONENT[prefix]
        if scaled >= 1 and scaled == scaled.quantize(Decimal("0.01")):
            return format_amount(scaled) + prefix
    return format_amount(amount)


class ResourceSlots(Mapping[SlotName, Decimal]):
    """An immutable map from slot name to amount; a slot that is not named counts as zero.

    Sums and differences are exact. `fits_in` compares slot by slot. Negative amounts can only come
    from subtraction; a caller who must not go below zero checks `is_negative`.
    """

    __slots__ = ("_amounts",)

    def __init__(self, amounts: Mapping[SlotName, Decimal] | None = None) -> None:
        self._amounts: dict[SlotName, Decimal] = dict(amounts or {})

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> "ResourceSlots":
        """From what a person wrote, such as `{"cpu": "2", "mem": "4g"}`. Raises SlotError."""
        amounts: dict[SlotName, Decimal] = {}
        for text, value in values.items():
            name = parse_slot_name(text)
            amounts[name] = parse_amount(name, value)
        return cls(amounts)

    @classmethod
    def of(cls, **amounts: str | int | Decimal) -> "ResourceSlots":
        return cls.parse(amounts)

    def __getitem__(self, name: SlotName) -> Decimal:
        return self._amounts.get(name, ZERO)

    def __iter__(self) -> Iterator[SlotName]:
        return iter(self._amounts)

    def __len__(self) -> int:
        return len(self._amounts)

    def __contains__(self, name: object) -> bool:
        return name in self._amounts

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ResourceSlots):
            return NotImplemented
        return all(self[name] == other[name] for name in self._names_with(other))

    def __hash__(self) -> int:
        return hash(frozenset((name, amount) for name, amount in self.items() if amount))

    def __repr__(self) -> str:
        return f"ResourceSlots({self.to_json()})"

    def __add__(self, other: "ResourceSlots") -> "ResourceSlots":
        return ResourceSlots({name: self[name] + other[name] for name in self._names_with(other)})

    def __sub__(self, other: "ResourceSlots") -> "ResourceSlots":
        return ResourceSlots({name: self[name] - other[name] for name in self._names_with(other)})

    def fits_in(self, room: "ResourceSlots") -> bool:
        return all(amount <= room[name] for name, amount in self.items())

    def is_negative(self) -> bool:
        return any(amount < 0 for amount in self.values())

    def to_json(self) -> dict[str, str]:
        """`{"cpu": "2", "mem": "4294967296"}`: the form on the wire and in the database."""
        return {name: format_amount(amount) for name, amount in self.items()}

    def _names_with(self, other: "ResourceSlots") -> list[SlotName]:
        return [*self._amounts, *(name for name in other if name not in self._amounts)]


def sum_slots(parts: "Iterator[ResourceSlots] | list[ResourceSlots]") -> ResourceSlots:
    total = ResourceSlots()
    for part in parts:
        total += part
    return total


def _bounded(amount: Decimal, value: object) -> Decimal:
    if amount >= AMOUNT_MAX:
        raise SlotError(f"{value!r} is too large: amounts stay below 2^63")
    return amount
