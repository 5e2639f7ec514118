"""PURE: which status a node has, whether an offer to be a node is taken, what a report may say.

A node that was silent is not trusted again at once: it has to be heard without a gap for a while,
twice as long after each further silence.
"""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from msgspec import to_builtins

from backendai.common.contracts.agent import GENERATION_MAX, AgentReport
from backendai.common.enums import AgentStatus
from backendai.common.slots import AMOUNT_MAX, SlotError, parse_slot_name

from .model import AgentRow, Contact, Patience

FLAPS_MAX: Final = 5
# After so long without a flap its record is clean.
CLEAN_AFTER_SECONDS: Final = 600.0
# A node has three at most; what names more is kept no whole.
DISKS_MAX: Final = 16


def judge(row: AgentRow, patience: Patience) -> AgentStatus:
    """The status that a node deserves now."""
    if row.status is AgentStatus.TERMINATED:
        return row.status
    if row.silent_seconds >= patience.lost_after_seconds:
        return AgentStatus.LOST
    if row.silent_seconds >= patience.suspect_after_seconds:
        return AgentStatus.LOST if row.status is AgentStatus.LOST else AgentStatus.SUSPECT
    if row.status is AgentStatus.ALIVE:
        return AgentStatus.ALIVE
    is_proved = row.steady_seconds >= probation_seconds(row.flaps, patience)
    return AgentStatus.ALIVE if is_proved else AgentStatus.SUSPECT


def probation_seconds(flaps: int, patience: Patience) -> float:
    """How long a node that was silent must be heard before it is trusted."""
    return float(patience.suspect_after_seconds * 2 ** max(min(flaps, FLAPS_MAX) - 1, 0))


def flaps_after(row: AgentRow, status: AgentStatus) -> int:
    """The count of silences that still speak against a node when its status becomes `status`."""
    is_clean = row.status is AgentStatus.ALIVE and row.status_seconds >= CLEAN_AFTER_SECONDS
    flaps = 0 if is_clean else row.flaps
    falls = row.status is AgentStatus.ALIVE and status is not AgentStatus.ALIVE
    return min(flaps + 1, FLAPS_MAX) if falls else flaps


def refusal_of(row: AgentRow | None, offer: Contact, patience: Patience) -> str:
    """Why `offer` may not take the place of the node known under its id; empty when it may.

    The same address is the same node restarted. Another address is taken only once the known one
    has fallen silent: otherwise two daemons share one id.
    """
    if row is None or row.status is AgentStatus.TERMINATED or row.address == offer.address:
        return ""
    if row.silent_seconds >= patience.suspect_after_seconds:
        return ""
    return f"agent {row.id} is alive at {row.address}; {offer.address} claims the same id"


def fence_refusal(row: AgentRow, patience: Patience) -> str:
    """Why an operator's word that a node is dead is doubted; empty when it is not."""
    if row.status is AgentStatus.TERMINATED:
        return ""
    if row.status is AgentStatus.ALIVE:
        return f"agent {row.id} is ALIVE, heard {row.silent_seconds:.0f} s ago"
    if row.silent_seconds < patience.suspect_after_seconds:
        return f"agent {row.id} was heard {row.silent_seconds:.0f} s ago"
    return ""


def use_of(report: AgentReport, now: datetime) -> dict[str, Any]:
    """What is kept of how a node was when it was heard `now`: load, disks, and its clock.

    The clock's difference includes the way of the report, and is left out where it is not told.
    """
    told = {
        "cpu_percent": report.cpu_percent,
        "memory_bytes": report.memory_used_bytes,
        "disks": [to_builtins(disk) for disk in report.disks[:DISKS_MAX]],
    }
    ahead = round(report.told_at - now.timestamp(), 1)
    return {**told, "clock_ahead_seconds": ahead} if report.told_at else told


def fault_of(report: AgentReport, agent_id: str) -> str:
    """What makes a report unfit to be taken; empty when nothing does."""
    if report.agent_id != agent_id:
        return f"it calls itself {report.agent_id}"
    for slot, text in report.capacity.items():
        try:
            parse_slot_name(slot)
            amount = Decimal(text)
        except (SlotError, InvalidOperation):
            return f"capacity {slot!r} = {text!r} is no amount"
        if not amount.is_finite() or amount < 0 or amount >= AMOUNT_MAX:
            return f"capacity {slot} = {text} is out of range"
    for kernel in report.kernels:
        if not 0 <= kernel.generation <= GENERATION_MAX:
            return f"kernel {kernel.kernel_id}: generation {kernel.generation} is out of range"
    return ""
