"""Has networks of sessions over several nodes made and removed, by nodes that manage a swarm."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from backendai.common.contracts.agent import ENSURE_NETWORK, AgentReport, EnsureNetwork, SwarmReport
from backendai.common.failpoints import failpoint
from backendai.common.faults import Fault
from backendai.common.ids import AgentId
from backendai.common.logs import get_logger
from backendai.manager.agents.link import AgentLink

from .networks import NetworkOrder, decide_networks, sessions_in
from .store import CoreStore

log = get_logger(__name__)

ORDER_SECONDS: Final = 10.0


class Weaver:
    """`reports` gives what each node said last. Nothing is remembered: a lost order is given again
    by the next step, of this manager or another."""

    def __init__(
        self,
        store: CoreStore,
        link: AgentLink,
        reports: Callable[[], Mapping[AgentId, AgentReport]],
    ) -> None:
        self._store = store
        self._link = link
        self._reports = reports

    async def step(self) -> None:
        swarms = {
            agent_id: report.swarm
            for agent_id, report in self._reports().items()
            if report.swarm.swarm_id and report.engine_reachable
        }
        if swarms:
            await self._weave(swarms)

    async def _weave(self, swarms: Mapping[AgentId, SwarmReport]) -> None:
        networks = await self._store.load_networks(sessions_in(swarms.values()))
        async with asyncio.TaskGroup() as tasks:
            for order in decide_networks(swarms, networks):
                tasks.create_task(self._give(order), name=f"network.order:{order.agent_id}")

    async def _give(self, order: NetworkOrder) -> None:
        request = EnsureNetwork(name=order.name, is_wanted=order.is_wanted)
        await failpoint("manager.network.before_send")
        try:
            await self._link.ask(order.agent_id, ENSURE_NETWORK, request, ORDER_SECONDS)
        except Fault as fault:
            log.info(
                "agent.network_unanswered",
                agent=order.agent_id,
                network=order.name,
                is_wanted=order.is_wanted,
                code=fault.code,
                detail=fault.detail,
            )
