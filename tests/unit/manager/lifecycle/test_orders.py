"""The moves that users' actions ask for."""

from dataclasses import replace

import pytest

from backendai.common.enums import Reason
from backendai.common.ids import AgentId
from backendai.common.lifecycle import HOLDING, KernelEvent, KernelStatus, accepts
from backendai.manager.lifecycle.orders import end_moves, fence_moves, restart_moves
from tests.unit.manager.lifecycle.test_changes import make_kernel


@pytest.mark.parametrize("status", sorted(KernelStatus))
def test_ending_asks_each_kernel_that_can_end(status: KernelStatus) -> None:
    moves = end_moves([make_kernel(1, status)], Reason.FORCE_TERMINATED, {"by": "admin"})
    assert bool(moves) == accepts(status, KernelEvent.TERMINATE)
    for move in moves:
        assert move.expected_revision == 3
        assert (move.reason, move.detail) == (Reason.FORCE_TERMINATED, {"by": "admin"})


def test_only_running_kernels_restart() -> None:
    kernels = [make_kernel(number, status) for number, status in enumerate(KernelStatus, 1)]
    (move,) = restart_moves(kernels)
    assert replace(move, reason="").event is KernelEvent.RESTART


@pytest.mark.parametrize("status", sorted(KernelStatus))
def test_a_fence_writes_off_what_the_dead_node_holds(status: KernelStatus) -> None:
    kernel = make_kernel(1, status)
    moves = fence_moves([kernel], AgentId("a1"), {"by": "operator"})
    assert bool(moves) == (status in HOLDING)
    for move in moves:
        assert (move.event, move.reason) == (KernelEvent.FENCED, Reason.AGENT_LOST)
        assert (move.generation, move.expected_revision) == (1, 3)
        assert move.detail == {"by": "operator"}


def test_a_fence_leaves_what_is_placed_elsewhere() -> None:
    assert fence_moves([make_kernel(1, "RUNNING")], AgentId("a2")) == []
