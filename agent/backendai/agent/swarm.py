"""The node's place in a Docker Swarm: told to managers, who tell nodes that manage it what networks
sessions need there.
"""

from typing import Final

from backendai.common.contracts.agent import EnsureNetwork, Nothing
from backendai.common.logs import get_logger

from .backends.backend import Backend
from .ledger import Ledger

log = get_logger(__name__)

SWARM_PERIOD_SECONDS: Final = 10.0


class ClusterNetworks:
    """What is reported is read anew after each change: managers give no order twice then."""

    def __init__(self, backend: Backend, ledger: Ledger) -> None:
        self._backend = backend
        self._ledger = ledger

    async def step(self) -> None:
        """Raises EngineUnreachable; what was read before stays in the report."""
        self._ledger.set_swarm(await self._backend.read_swarm())

    async def ensure(self, order: EnsureNetwork) -> Nothing:
        """Raises EngineRefused where the node manages no swarm."""
        if order.is_wanted:
            await self._backend.ensure_cluster_network(order.name)
        else:
            await self._backend.remove_cluster_network(order.name)
        await self.step()
        log.info("network.ensured", network=order.name, is_wanted=order.is_wanted)
        return Nothing()
