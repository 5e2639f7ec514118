"""PURE: the moves that the action of a user or an operator asks of the kernels of one session."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from backendai.common.enums import Reason
from backendai.common.ids import AgentId
from backendai.common.lifecycle import KernelEvent, accepts

from .model import KernelRow, Move


def end_moves(
    kernels: Sequence[KernelRow],
    reason: Reason = Reason.USER_REQUESTED,
    detail: Mapping[str, Any] | None = None,
) -> list[Move]:
    """End every kernel that can be ended: one that waits is cancelled, the others terminate.

    Empty when nothing is left to end, which callers take as done.
    """
    return _moves(kernels, KernelEvent.TERMINATE, reason, detail)


def restart_moves(kernels: Sequence[KernelRow], reason: Reason = Reason.RESTARTING) -> list[Move]:
    """A fresh container for every running kernel; empty when none runs."""
    return _moves(kernels, KernelEvent.RESTART, reason, None)


def fence_moves(
    kernels: Sequence[KernelRow], agent_id: AgentId, detail: Mapping[str, Any] | None = None
) -> list[Move]:
    """Write off what is placed on a node of which an operator vouches that it is dead.

    Each move names the generation: what was placed anew meanwhile is none of the dead node's.
    """
    return [
        replace(move, generation=row.generation)
        for row in kernels
        if row.agent_id == agent_id
        for move in _moves([row], KernelEvent.FENCED, Reason.AGENT_LOST, detail)
    ]


def _moves(
    kernels: Sequence[KernelRow],
    event: KernelEvent,
    reason: Reason,
    detail: Mapping[str, Any] | None,
) -> list[Move]:
    return [
        Move(
            kernel_id=row.id,
            event=event,
            reason=reason,
            detail=dict(detail or {}),
            expected_revision=row.revision,
        )
        for row in kernels
        if accepts(row.status, event)
    ]
