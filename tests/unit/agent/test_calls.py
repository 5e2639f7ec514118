"""What the agent answers of kernels before and after it has seen its containers."""

import uuid
from pathlib import Path

import pytest

from backendai.agent.calls import Calls
from backendai.agent.faults import EngineUnreachable, KernelNotRunning
from backendai.agent.ledger import Engine, Ledger
from backendai.agent.node import Node
from backendai.agent.supervisor import Supervisor
from backendai.agent.swarm import ClusterNetworks
from backendai.common.contracts.agent import (
    Complete,
    KernelRef,
    KernelReport,
    KernelState,
    ReadLogs,
)
from backendai.common.faults import KernelNotFound

from .fakes import FakeBackend, make_node


def make_calls(node: Node, ledger: Ledger) -> Calls:
    supervisor = Supervisor(node, ledger)
    networks = ClusterNetworks(node.backend, ledger)
    return Calls(node, ledger, supervisor, lambda: pytest.fail("asked"), networks)


REF = KernelRef(kernel_id=str(uuid.uuid4()), generation=1)


async def test_a_kernel_is_missing_only_once_containers_were_listed(tmp_path: Path) -> None:
    ledger = Ledger()
    node = make_node(tmp_path, FakeBackend(), ledger)
    calls = make_calls(node, ledger)
    questions = (
        lambda: calls.complete(Complete(kernel=REF, code="x")),
        lambda: calls.read_logs(ReadLogs(kernel=REF)),
    )
    for ask in questions:
        with pytest.raises(EngineUnreachable):
            await ask()
    ledger.set_engine(Engine(is_reachable=True))
    for ask in questions:
        with pytest.raises(KernelNotFound):
            await ask()


@pytest.mark.parametrize(
    ("state", "fault"),
    [(KernelState.UNKNOWN, EngineUnreachable), (KernelState.STOPPING, KernelNotRunning)],
)
async def test_what_cannot_be_looked_at_is_not_said_to_have_ended(
    tmp_path: Path, state: KernelState, fault: type[Exception]
) -> None:
    ledger = Ledger()
    node = make_node(tmp_path, FakeBackend(), ledger)
    calls = make_calls(node, ledger)
    ledger.put(KernelReport(kernel_id=REF.kernel_id, session_id="", generation=1, state=state))
    with pytest.raises(fault):
        await calls.complete(Complete(kernel=REF, code="x"))
