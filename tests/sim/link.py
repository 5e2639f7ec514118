"""The network between managers and agents, with everything that a network does.

Requests and replies are lost, late, doubled and overtaken; a partition may be one way. Times are of
the running (virtual) loop.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar, cast

from backendai.common.contracts.agent import ENSURE, ENSURE_NETWORK, OBSERVE
from backendai.common.faults import AgentTimeout, Fault
from backendai.common.ids import AgentId
from backendai.common.rpc.call import Call
from backendai.manager.agents.model import Contact

from .agent import FakeAgent

Req = TypeVar("Req")
Rep = TypeVar("Rep")


@dataclass(slots=True)
class Weather:
    """How bad the network is. Rates are of messages, delays are spans in seconds."""

    delay: tuple[float, float] = (0.0, 0.0)
    loss: float = 0.0
    doubling: float = 0.0
    # A doubled or lost request may still arrive, so much later.
    straggling: tuple[float, float] = (0.0, 0.0)
    # Pairs (from, to) that hear nothing of each other in that direction.
    cut: set[tuple[str, str]] = field(default_factory=set)

    def is_cut(self, source: str, target: str) -> bool:
        return (source, target) in self.cut


class FakeLink:
    """An AgentLink of one manager."""

    def __init__(
        self,
        manager: str,
        agents: dict[str, FakeAgent],
        random: Random,
        weather: Weather | None = None,
        note: Callable[..., None] = lambda *words: None,
        gate: asyncio.Event | None = None,
    ) -> None:
        self._gate = gate
        self.weather = weather or Weather()
        self._manager = manager
        self._agents = agents
        self._random = random
        self._note = note
        self._stragglers: set[asyncio.Task[None]] = set()

    async def connect(self, contact: Contact) -> None:
        return

    async def ask(
        self,
        agent_id: AgentId,
        call: Call[Req, Rep],
        request: Req,
        timeout_seconds: float | None = None,
    ) -> Rep:
        limit = call.deadline_seconds if timeout_seconds is None else timeout_seconds
        await self._stand_still()
        try:
            async with asyncio.timeout(limit):
                return await self._carry(agent_id, call, request)
        except TimeoutError:
            raise AgentTimeout(f"{agent_id} did not answer {call.name}") from None
        finally:
            await self._stand_still()

    async def _stand_still(self) -> None:
        """While its manager is paused, neither requests nor replies are handled there."""
        if self._gate is not None:
            await self._gate.wait()

    async def _carry(self, agent_id: AgentId, call: Call[Req, Rep], request: Req) -> Rep:
        weather, chance = self.weather, self._random.random
        await self._travel()
        if weather.is_cut(self._manager, agent_id) or chance() < weather.loss:
            self._note("lost-request", self._manager, agent_id, call.name)
            if chance() < 0.5 and not weather.is_cut(self._manager, agent_id):
                self._straggle(agent_id, call, request)
            await self._never()
        if chance() < weather.doubling:
            self._straggle(agent_id, call, request)
        reply, fault = await self._serve(agent_id, call, request)
        await self._travel()
        if weather.is_cut(agent_id, self._manager) or chance() < weather.loss:
            self._note("lost-reply", self._manager, agent_id, call.name)
            await self._never()
        if fault is not None:
            raise fault
        return cast(Rep, reply)

    async def _serve(
        self, agent_id: AgentId, call: Call[Any, Any], request: Any
    ) -> tuple[Any, Fault | None]:
        agent = self._agents[agent_id]
        try:
            if call is ENSURE:
                return await agent.ensure(request), None
            if call is OBSERVE:
                return await agent.observe(request), None
            if call is ENSURE_NETWORK:
                return await agent.ensure_network(request), None
        except ConnectionError:
            await self._never()
        except Fault as fault:
            return None, fault
        raise AssertionError(f"no such call here: {call.name}")

    def _straggle(self, agent_id: AgentId, call: Call[Any, Any], request: Any) -> None:
        """The same request arrives once more, later, and nobody waits for its reply."""
        if call is not ENSURE:
            return

        async def arrive() -> None:
            await asyncio.sleep(self._random.uniform(*self.weather.straggling))
            try:
                await self._agents[agent_id].ensure(request)
            except (ConnectionError, Fault):
                return

        task = asyncio.get_running_loop().create_task(arrive())
        self._stragglers.add(task)
        task.add_done_callback(self._stragglers.discard)

    async def _travel(self) -> None:
        low, high = self.weather.delay
        if high > 0:
            await asyncio.sleep(self._random.uniform(low, high))

    async def _never(self) -> None:
        await asyncio.get_running_loop().create_future()
