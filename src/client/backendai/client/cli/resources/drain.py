"""Waiting until nodes that get nothing new run nothing: for hours, through outages of the API."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from backendai.client.faults import NodesLost
from backendai.common.enums import AgentStatus
from backendai.common.faults import Fault

if TYPE_CHECKING:
    from backendai.client.resources.rows import Agent

LOOK_SECONDS: Final = 1.0
BACK_OFF_SECONDS_MAX: Final = 30.0

Sleep = Callable[[float], Awaitable[None]]


class Nodes(Protocol):
    async def get(self, agent_id: str) -> "Agent": ...


class Drain:
    """`told` says what is waited for, from the last answer and whether there are any now.

    There is nothing to be told by: the manager is asked again and again.
    """

    def __init__(self, nodes: Nodes, agent_ids: Sequence[str], sleep: Sleep) -> None:
        self._nodes = nodes
        self._agent_ids = agent_ids
        self._sleep = sleep
        self._left = ""
        self._outage = ""

    @property
    def told(self) -> str:
        return "; ".join(filter(None, (self._outage, self._left)))

    async def wait(self) -> None:
        """Until no container holds room on the nodes.

        A node that is LOST is not waited for: raises NodesLost once only such ones are left. An
        API that is away is asked again, less and less often; raises what it refuses.
        """
        while await self._look():
            await self._sleep(LOOK_SECONDS)

    async def _look(self) -> bool:
        """Whether there is something to wait for."""
        nodes = [await self._get(agent_id) for agent_id in self._agent_ids]
        held = [node for node in nodes if node.container_count]
        lost = [node for node in held if node.status == AgentStatus.LOST]
        if held and held == lost:
            raise NodesLost(_tell_lost(lost))
        self._left = "; ".join(filter(None, (_tell_held(held), _tell_lost(lost))))
        return bool(held)

    async def _get(self, agent_id: str) -> "Agent":
        pause = LOOK_SECONDS
        while True:
            try:
                found = await self._nodes.get(agent_id)
            except Fault as fault:
                if not fault.kind.retryable:
                    raise
                self._outage = f"{fault} It is asked again and again"
                await self._sleep(pause)
                pause = min(2 * pause, BACK_OFF_SECONDS_MAX)
            else:
                self._outage = ""
                return found


def _tell_held(nodes: "Sequence[Agent]") -> str:
    told = ", ".join(f"{node.container_count} on {node.id}" for node in nodes)
    return told and f"containers that hold room: {told}"


def _tell_lost(nodes: "Sequence[Agent]") -> str:
    names = ", ".join(node.id for node in nodes)
    return names and (
        f"{names}: silent for so long that what runs there is not known."
        " Start the agent again or, where the node is dead for sure, fence it:"
        " backendai mgr agent fence"
    )
