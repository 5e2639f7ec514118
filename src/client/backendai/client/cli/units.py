"""Times, durations and amounts in the short form that people read. PURE but for the time zone."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

_SECONDS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_SLOT_ORDER = ("cpu", "mem")


def read_moment(text: str | None) -> datetime | None:
    """A time of the wire; None where there is none, or where it is no ISO time."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment.astimezone()


def show_moment(text: str | None, now: datetime) -> str:
    """Local time: `22:36:45` today, `2026-11-20 22:36` before. What is no time stays as it is."""
    moment = read_moment(text)
    if moment is None:
        return text or "-"
    is_today = moment.date() == now.astimezone(moment.tzinfo).date()
    return moment.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M")


def show_past(text: str | None, now: datetime) -> str:
    """`22:36:45 (3m ago)`."""
    moment = read_moment(text)
    if moment is None:
        return text or "-"
    return f"{show_moment(text, now)} ({show_duration(now - moment)} ago)"


def show_age(text: str | None, now: datetime) -> str:
    """`3m`, or `-` without a time."""
    moment = read_moment(text)
    return "-" if moment is None else show_duration(now - moment)


def show_duration(duration: timedelta, units_max: int = 2) -> str:
    """`0s`, `12s`, `3m 5s`, `2h`, `4d 3h`. Never below zero."""
    left = max(int(duration.total_seconds()), 0)
    parts: list[tuple[int, str]] = []
    for unit, size in _SECONDS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count}{unit}" for count, unit in parts[:units_max] if count) or "0s"


def show_span(duration: timedelta) -> str:
    """Between two moves: to the hundredth of a second below ten, `0.25s`."""
    seconds = max(duration.total_seconds(), 0.0)
    if seconds >= 10:
        return show_duration(duration)
    return f"{seconds:.2f}".rstrip("0").rstrip(".") + "s"


def show_size(amount: Decimal) -> str:
    """Bytes for reading: `256m`, `22.29g`, rounded to two digits after the point."""
    from backendai.common.slots import format_size

    for power in range(5, 0, -1):
        scaled = amount / 1024**power
        if amount.is_finite() and scaled >= 1:
            return format_size(scaled.quantize(Decimal("0.01")) * 1024**power)
    return format_size(amount)


def show_amount(slot: str, amount: Any) -> str:
    """One amount of a slot; what is none (a limit's name, a status) stays as it is."""
    from backendai.common.enums import SlotType
    from backendai.common.slots import (
        SlotError,
        format_amount,
        parse_amount,
        parse_slot_name,
        slot_type,
    )

    try:
        name = parse_slot_name(slot)
        value = parse_amount(name, amount)
    except SlotError:
        return str(amount)
    return show_size(value) if slot_type(name) is SlotType.BYTES else format_amount(value)


def show_slots(slots: Mapping[str, Any]) -> str:
    """`cpu 1, mem 256m`: cores and memory first."""
    names = [name for name in _SLOT_ORDER if name in slots]
    names += [name for name in slots if name not in _SLOT_ORDER]
    return ", ".join(f"{name} {show_amount(name, slots[name])}" for name in names)
