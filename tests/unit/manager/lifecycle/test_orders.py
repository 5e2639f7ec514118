"""The moves that users' actions ask for."""

from dataclasses import replace

import pytest

from backendai.common.enums import Reason
from backendai.common.lifecycle import KernelEvent, KernelStatus, accepts
from backendai.manager.lifecycle.orders import end_moves, restart_moves
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
