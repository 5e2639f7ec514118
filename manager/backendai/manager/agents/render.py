"""PURE: nodes as operators read them: lines of a table, and objects for programs."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from backendai.common.enums import AgentStatus, SlotType
from backendai.common.slots import SlotName, format_amount, format_size, slot_type
from backendai.manager.console import align

from .model import AgentRow, AgentView, Fence, SessionFate

_HEAD: Final = (
    "ID",
    "STATUS",
    "SCHEDULABLE",
    "LAST SEEN",
    "KERNELS",
    "SLOTS USED/TOTAL",
    "ADDRESS",
    "NOTE",
)
_FATES_SHOWN_MAX: Final = 20


def agents_table(views: Sequence[AgentView]) -> list[str]:
    return align([_HEAD, *(_agent_line(view) for view in views)])


def agent_object(view: AgentView) -> dict[str, Any]:
    """Amounts are exact texts; ages are in seconds."""
    row = view.row
    return {
        "id": row.id,
        "status": row.status.value,
        "schedulable": row.schedulable,
        "halted": row.halted,
        "engine_reachable": row.engine_reachable,
        "engine_detail": row.engine_detail,
        "address": row.address,
        "resource_group": row.resource_group,
        "architecture": row.architecture,
        "backend": row.backend,
        "version": row.version,
        "total_slots": _amounts(view.capacity),
        "used_slots": _amounts(view.occupied),
        "kernels": view.kernels,
        "first_contact": None if row.first_contact is None else row.first_contact.isoformat(),
        "last_seen": None if row.last_seen_at is None else row.last_seen_at.isoformat(),
        "silent_seconds": round(row.silent_seconds, 1),
        "status_seconds": round(row.status_seconds, 1),
        "flaps": row.flaps,
    }


def fence_lines(fence: Fence, verb: str) -> list[str]:
    """What a fence ends, or has ended: `verb` is `would end` or `ended`."""
    if not fence.fates:
        return [f"{fence.row.id} holds no kernels"]
    lines = [f"{verb} {fence.kernels} kernels of {len(fence.fates)} sessions on {fence.row.id}:"]
    lines += align([_fate_line(fate) for fate in fence.fates[:_FATES_SHOWN_MAX]], indent=2)
    more = len(fence.fates) - _FATES_SHOWN_MAX
    return [*lines, *([f"  and {more} more"] if more > 0 else [])]


def fence_object(fence: Fence) -> dict[str, Any]:
    return {
        "id": fence.row.id,
        "was": fence.row.status.value,
        "kernels": fence.kernels,
        "sessions": [
            {
                "id": str(fate.session_id),
                "name": fate.name,
                "access_key": fate.access_key,
                "kernels": fate.kernels,
                "before": fate.before.value,
                "after": fate.after.value,
            }
            for fate in fence.fates
        ],
    }


def age(seconds: float) -> str:
    """Two digits or so of a time gone by: `8 s`, `12 min`, `30 h`, `5 d`."""
    for unit, length, most in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172800)):
        if seconds < most:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def note(row: AgentRow) -> str:
    """What an operator should know of a node; empty when it is well."""
    notes = []
    if row.status is AgentStatus.TERMINATED:
        notes.append("fenced; resume it when it may be used again")
    if row.halted:
        notes.append(f"halted: {row.halted}")
    if not row.engine_reachable:
        notes.append(f"engine away: {row.engine_detail}".rstrip(": "))
    return "; ".join(notes)


def _agent_line(view: AgentView) -> Sequence[str]:
    row = view.row
    return (
        row.id,
        row.status.value,
        "yes" if row.schedulable else "no",
        "never" if row.last_seen_at is None else f"{age(row.silent_seconds)} ago",
        str(view.kernels),
        _slots(view),
        row.address,
        note(row),
    )


def _fate_line(fate: SessionFate) -> Sequence[str]:
    return (str(fate.session_id), fate.name, fate.access_key, f"{fate.before} -> {fate.after}")


def _slots(view: AgentView) -> str:
    names = sorted({*view.capacity, *view.occupied})
    pairs = (
        f"{name} {_short(name, view.occupied.get(name))}/{_short(name, view.capacity.get(name))}"
        for name in names
    )
    return ", ".join(pairs)


def _short(name: str, amount: Decimal | None) -> str:
    is_bytes = slot_type(SlotName(name)) is SlotType.BYTES
    return (format_size if is_bytes else format_amount)(amount or Decimal(0))


def _amounts(slots: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: format_amount(amount) for name, amount in sorted(slots.items())}
