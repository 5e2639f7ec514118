"""Takes everything that an agent made off its node: kernels, networks, firewall rules."""

import asyncio
import socket

from backendai.common.clock import SystemClock
from backendai.common.faults import Fault
from backendai.common.logs import get_logger

from .app import make_backend
from .backends.backend import Backend
from .firewall import Firewall
from .networks import NetworkNames
from .scratch import Scratch
from .settings import AgentSettings

log = get_logger(__name__)


def purge_node(settings: AgentSettings) -> int:
    """How many kernels were removed. Raises EngineUnreachable."""
    return asyncio.run(_purge(settings))


async def _purge(settings: AgentSettings) -> int:
    agent_id = settings.agent.id or f"i-{socket.gethostname()}"
    backend = make_backend(settings, agent_id, SystemClock())
    try:
        count = await _remove_kernels(backend)
        await backend.sweep(frozenset)
        root = settings.container.scratch_root.absolute()
        await asyncio.to_thread(Scratch(root, 0, 0).detach_all)
    finally:
        await backend.close()
        if Firewall.is_possible():
            await Firewall(NetworkNames(agent_id).interface_prefix, ()).remove()
    return count


async def _remove_kernels(backend: Backend) -> int:
    """Ends are tried for each of them before a fault is raised."""
    containers = (await backend.list_containers()).containers
    faults: list[Fault] = []
    for one in containers:
        try:
            await backend.remove(one.container_id)
        except Fault as fault:
            log.warning("purge.failed", container=one.container_id, detail=fault.detail)
            faults.append(fault)
    if faults:
        raise faults[0]
    return len(containers)
