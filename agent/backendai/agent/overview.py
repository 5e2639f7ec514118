"""What a node offers and who holds it, for the operator at its terminal."""

import asyncio
import logging
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec

from backendai.common.clock import SystemClock
from backendai.common.contracts.agent import DeviceReport
from backendai.common.faults import Fault
from backendai.common.slots import MEM, ResourceSlots, format_amount, format_size, slot_type

from .accelerators.conditions import Conditions
from .accelerators.watch import Watch
from .app import make_backend, make_inventory
from .ledger import Ledger
from .machine import Phase
from .notes import Notes
from .reports import report_devices
from .resources.inventory import Inventory
from .settings import AgentSettings

_DRIVERS: Final = "backendai.agent.accelerators"
_HEAD: Final = ("DEVICE", "SLOT", "KIND", "MODEL", "MEMORY", "NUMA", "HELD", "USE", "STATE")


@dataclass(frozen=True, slots=True)
class Overview:
    """`engine` says why it is not known what kernels hold; empty: it is known.

    `complaints` are what loading the plugins had to say.
    """

    slots: Mapping[str, str]
    plugins: Mapping[str, str]
    devices: Sequence[DeviceReport]
    engine: str = ""
    complaints: Sequence[str] = ()


def inspect_node(settings: AgentSettings) -> Overview:
    """Raises ServerMisconfigured."""
    with _complaints() as complaints:
        inventory = make_inventory(settings)
    with _complaints():
        return asyncio.run(_inspect(settings, inventory, complaints))


def render_json(overview: Overview) -> str:
    return msgspec.json.format(msgspec.json.encode(overview), indent=2).decode()


def render_text(overview: Overview) -> str:
    lines = ["Slots that kernels have and may get:"]
    lines += [f"  {slot:<16} {_show(slot, text)}" for slot, text in overview.slots.items()]
    lines += ["", "Devices:" if overview.devices else "There are no devices."]
    is_known = not overview.engine
    lines += _table([_HEAD, *(_row(device, is_known=is_known) for device in overview.devices)])
    lines += ["", *overview.complaints] if overview.complaints else []
    if overview.engine:
        lines += ["", f"Who holds what is not known: {overview.engine}"]
    return "\n".join(lines)


async def _inspect(
    settings: AgentSettings, inventory: Inventory, complaints: Sequence[str]
) -> Overview:
    notes, conditions = Notes(), Conditions()
    problem = await _list_holders(settings, notes)
    await Watch(inventory, conditions, notes, Ledger()).step()
    held = list(notes.devices_in_use())
    return Overview(
        slots=inventory.capacity(held, conditions.sick).to_json(),
        plugins=inventory.versions,
        devices=report_devices(inventory, conditions, held),
        engine=problem,
        complaints=complaints,
    )


async def _list_holders(settings: AgentSettings, notes: Notes) -> str:
    """Why the engine does not say; empty when it did."""
    agent_id = settings.agent.id or f"i-{socket.gethostname()}"
    backend = make_backend(settings, agent_id, SystemClock())
    try:
        listing = await backend.list_containers()
    except Fault as fault:
        return fault.detail or fault.title
    finally:
        await backend.close()
    ended = {one.container_id for one in listing.containers if one.phase is Phase.EXITED}
    notes.take(listing.identities, frozenset(), frozenset(ended))
    return ""


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What drivers log meanwhile, as lines for people, instead of in the log."""
    lines: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            fields: Mapping[str, object] = getattr(record, "fields", {})
            pairs = ", ".join(f"{name} {value}" for name, value in fields.items())
            lines.append(f"{record.getMessage()}: {pairs}")

    logger, listener = logging.getLogger(_DRIVERS), Listener(logging.WARNING)
    logger.addHandler(listener)
    try:
        yield lines
    finally:
        logger.removeHandler(listener)


def _row(device: DeviceReport, *, is_known: bool) -> tuple[str, ...]:
    held = _show(device.slot, device.held) if is_known else "?"
    use = device.utilisation_percent
    return (
        device.device_id,
        device.slot,
        device.kind,
        device.model or "-",
        _show(MEM, str(device.memory_bytes)) if device.memory_bytes else "-",
        "-" if device.numa_node is None else str(device.numa_node),
        f"{held} of {_show(device.slot, device.amount)}",
        "-" if use is None else f"{use:g} %",
        f"sick: {device.problem}" if device.problem else "well",
    )


def _show(slot: str, text: str) -> str:
    amount = next(iter(ResourceSlots.parse({slot: text}).items()))
    return format_size(amount[1]) if slot_type(amount[0]) == "bytes" else format_amount(amount[1])


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Aligned columns; nothing for a head alone."""
    if len(rows) < 2:
        return
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield ("  " + "  ".join(cells)).rstrip()
