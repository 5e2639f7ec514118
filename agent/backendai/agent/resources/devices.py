"""One driver's devices as a plugin of the inventory: what is free, and who gets which. PURE."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from backendai.agent.faults import BadOrder, NotEnoughDevices
from backendai.common.slots import (
    CPU,
    MEM,
    ZERO,
    ResourceSlots,
    SlotError,
    SlotName,
    format_amount,
    parse_slot_name,
)

from .allocate import Candidate, Strategy, choose
from .holds import DEVICE_ID, held_of, read_holds, write_hold
from .plugin import FREE, Accelerator, Device, DeviceKey, Limits, Occupied, Piece, Reading


class BadDevices(ValueError):
    """Devices that a driver must not offer; the message says which and why."""


@dataclass(frozen=True, slots=True)
class DevicePlugin:
    """`devices` are what `driver` discovered. Make it with `of`, which checks them.

    Name and version are asked once: a driver that breaks later must not spoil the report.
    """

    driver: Accelerator
    name: str
    version: str
    devices: tuple[Device, ...]
    strategy: Strategy = Strategy.PACK

    @classmethod
    def of(cls, driver: Accelerator, strategy: Strategy = Strategy.PACK) -> "DevicePlugin":
        """Discovers; raises BadDevices, and whatever the driver raises."""
        devices = tuple(driver.discover())
        check_devices(devices)
        return cls(driver, driver.name, driver.version, devices, strategy)

    @property
    def slots(self) -> tuple[SlotName, ...]:
        return tuple(dict.fromkeys(device.slot for device in self.devices))

    def capacity(self, occupied: Occupied = FREE) -> ResourceSlots:
        """Of a sick device only what is held still counts, and it goes when that is released."""
        amounts = dict.fromkeys(self.slots, ZERO)
        for device in self.devices:
            amounts[device.slot] += self._offer(device, occupied)
        return ResourceSlots(amounts)

    def assign(self, slots: ResourceSlots, occupied: Occupied) -> Mapping[str, list[str]]:
        holds = {}
        for slot in self.slots:
            if slots[slot]:
                pieces = self._choose(slot, slots[slot], occupied)
                holds[str(slot)] = [write_hold(piece) for piece in pieces]
        return holds

    def limit(self, slots: ResourceSlots, devices: Mapping[str, Sequence[str]]) -> Limits:
        pieces = self.pieces(devices)
        return self.driver.limit(pieces) if pieces else Limits()

    def pieces(self, holds: Mapping[str, Sequence[str]]) -> list[Piece]:
        """What `holds` name of this plugin's devices, in the devices' order."""
        return [
            piece
            for device in self.devices
            for piece in read_holds(device, holds.get(device.slot, ()))
        ]

    def measure(self) -> Mapping[DeviceKey, Reading]:
        return self.driver.measure()

    def _offer(self, device: Device, occupied: Occupied) -> Decimal:
        if self._is_lent_elsewhere(device, occupied):
            return ZERO
        is_sick = device.key in occupied.sick
        return held_of(device, occupied.held) if is_sick else device.amount

    def _is_lent_elsewhere(self, device: Device, occupied: Occupied) -> bool:
        """Held under another slot: by a kernel from before the settings were changed."""
        return any(
            text.partition("=")[0] == device.device_id
            for slot, holds in occupied.held.items()
            if slot != device.slot and _family(slot) == _family(device.slot)
            for text in holds
        )

    def _free(self, device: Device, occupied: Occupied) -> Decimal:
        if device.key in occupied.sick or self._is_lent_elsewhere(device, occupied):
            return ZERO
        free = device.amount - held_of(device, occupied.held)
        return free if device.quantum is not None or free == device.amount else ZERO

    def _choose(self, slot: SlotName, wanted: Decimal, occupied: Occupied) -> list[Piece]:
        mine = [device for device in self.devices if device.slot == slot]
        check_amount(slot, wanted, mine)
        candidates = [
            Candidate(index, self._free(device, occupied), device.amount, device.numa_node)
            for index, device in enumerate(mine)
        ]
        choice = choose(candidates, wanted, self.strategy, occupied.near)
        if choice is None:
            free = sum((one.free for one in candidates), ZERO)
            raise NotEnoughDevices(_shortage(slot, wanted, free, mine, occupied))
        return [
            Piece(mine[one.index], amount)
            for one, amount in sorted(choice, key=lambda pair: pair[0].index)
        ]


def check_amount(slot: SlotName, wanted: Decimal, devices: Sequence[Device]) -> None:
    """Raises BadOrder for an amount that these devices never give, whatever is free."""
    steps = [device.amount if device.quantum is None else device.quantum for device in devices]
    step = min(steps)
    if not wanted.is_finite():
        raise BadOrder(f"{slot}: a kernel cannot have an unlimited amount")
    if wanted % step:
        raise BadOrder(
            f"{slot} = {format_amount(wanted)}: this node gives it in steps of "
            f"{format_amount(step)}"
        )
    if any(device.is_unique for device in devices) and wanted > 1:
        raise BadOrder(f"{slot} = {format_amount(wanted)}: a kernel gets one of them at most")


def check_devices(devices: Iterable[Device]) -> None:
    """Raises BadDevices."""
    seen: set[DeviceKey] = set()
    for device in devices:
        where = f"device {device.device_id!r} of {device.slot}"
        if device.key in seen:
            raise BadDevices(f"{where} is offered twice")
        seen.add(device.key)
        if not DEVICE_ID.fullmatch(device.device_id):
            raise BadDevices(f"{where}: an id has letters, digits and . _ : / - only")
        try:
            parse_slot_name(device.slot)
        except SlotError as error:
            raise BadDevices(f"{where}: {error}") from error
        if device.slot in (CPU, MEM):
            raise BadDevices(f"{where}: cores and memory are the agent's own")
        _check_offer(where, device)


def _check_offer(where: str, device: Device) -> None:
    amount, quantum = device.amount, device.quantum
    if not amount.is_finite() or amount <= 0:
        raise BadDevices(f"{where} offers {amount}, which is no amount above zero")
    if quantum is None and amount != 1:
        raise BadDevices(f"{where} offers {format_amount(amount)}: without a quantum it must be 1")
    if quantum is not None and (quantum <= 0 or amount % quantum):
        raise BadDevices(f"{where}: {format_amount(amount)} is no multiple of its quantum")
    if device.is_unique and (amount != 1 or quantum is not None):
        raise BadDevices(f"{where}: a unique device is given whole")


def _family(slot: str) -> str:
    """`cuda` of `cuda.device` and `cuda.shares`: two ways to give the same devices."""
    return slot.partition(".")[0]


def _shortage(
    slot: SlotName, wanted: Decimal, free: Decimal, devices: Sequence[Device], occupied: Occupied
) -> str:
    sick = sorted(one.device_id for one in devices if one.key in occupied.sick)
    also = f" (sick: {', '.join(sick)})" if sick else ""
    return f"{format_amount(wanted)} of {slot} asked, {format_amount(free)} free{also}"
