"""Use cases on nodes: list them, look at one, open and close them for new sessions."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import AgentNotFound
from backendai.common.ids import AgentId
from backendai.manager.db.engine import Database
from backendai.manager.lifecycle.changes import HINT_PLAN
from backendai.manager.lifecycle.moves import notify

from . import store
from .model import AgentRow


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A node with what it can give and what is held of it, by slot."""

    row: AgentRow
    capacity: Mapping[str, Decimal]
    occupied: Mapping[str, Decimal]


class AgentService:
    """Callers have been authorised: nodes belong to the site, not to a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_nodes(self) -> list[NodeInfo]:
        return await self._database.transact(_list_nodes)

    async def get_node(self, agent_id: AgentId) -> NodeInfo:
        """Raises AgentNotFound."""
        for node in await self.list_nodes():
            if node.row.id == agent_id:
                return node
        raise AgentNotFound(agent_id)

    async def set_schedulable(self, agent_id: AgentId, schedulable: bool) -> None:
        """Open a node for new sessions, or close it; what runs there goes on.

        Raises AgentNotFound.
        """

        async def work(conn: AsyncConnection) -> None:
            await store.set_schedulable(conn, agent_id, schedulable)
            await notify(conn, [HINT_PLAN])

        await self._database.transact(work)


async def _list_nodes(conn: AsyncConnection) -> list[NodeInfo]:
    rows = await store.list_agents(conn)
    capacities = await store.load_capacities(conn)
    occupied = await store.load_occupied(conn)
    return [NodeInfo(row, capacities.get(row.id, {}), occupied.get(row.id, {})) for row in rows]
