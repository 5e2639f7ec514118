"""How a kernel's hold on a device is written in labels and reports. PURE.

`GPU-1` is the device as a whole, `GPU-1=0.25` that amount of its slot.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from backendai.common.slots import ZERO, format_amount

from .plugin import Device, Piece

DEVICE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}", re.ASCII)
_AMOUNT: Final = re.compile(r"\d{1,30}(\.\d{1,12})?", re.ASCII)


def write_hold(piece: Piece) -> str:
    device = piece.device
    if device.quantum is None:
        return device.device_id
    return f"{device.device_id}={format_amount(piece.amount)}"


def read_holds(device: Device, holds: Iterable[str]) -> list[Piece]:
    """The pieces of `device` among `holds`.

    What cannot be read counts as the whole device: nobody else may get what somebody might have.
    """
    pieces = []
    for text in holds:
        device_id, _, amount = text.partition("=")
        if device_id == device.device_id:
            known = Decimal(amount) if _AMOUNT.fullmatch(amount) else device.amount
            pieces.append(Piece(device, min(known, device.amount)))
    return pieces


def held_of(device: Device, held: Mapping[str, Sequence[str]]) -> Decimal:
    """How much of `device` is held, under its slot."""
    pieces = read_holds(device, held.get(device.slot, ()))
    return min(sum((piece.amount for piece in pieces), ZERO), device.amount)


def gather(holders: Iterable[Mapping[str, Sequence[str]]]) -> dict[str, tuple[str, ...]]:
    """The holds of several kernels by slot; two of the same amount stay two."""
    held: dict[str, tuple[str, ...]] = {}
    for devices in holders:
        for slot, names in devices.items():
            held[slot] = (*held.get(slot, ()), *names)
    return held
