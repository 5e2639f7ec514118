"""Nodes, called agents after the daemon on each: what they have and do, and who may get more."""

from typing import Final

from backendai.client.channel import Call, Channel, path_of
from backendai.client.graph import Graph
from backendai.client.resources.rows import Agent
from backendai.common.contracts.joining import JOIN_TOKENS_PATH, JoinToken, OpenToken, OpenTokens
from backendai.common.contracts.watcher import UnitState, Verb
from backendai.common.faults import AgentNotFound

_ORDER: Final = "id"
_WATCHER: Final = "/resource/watcher"


class Agents:
    """A superadmin's, to see as to change.

    Changes raise AgentNotFound and InsufficientPrivilege.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._graph = Graph(channel)

    async def list(
        self,
        *,
        status: str | None = None,
        resource_group: str | None = None,
        condition: str | None = None,
        order: str = _ORDER,
        rows_max: int | None = None,
    ) -> tuple[Agent, ...]:
        """All, or the first `rows_max`; `status` are words such as ALIVE,LOST."""
        types = dict.fromkeys(("status", "scaling_group", "filter", "order"), "String")
        args = {
            "status": status,
            "scaling_group": resource_group,
            "filter": condition,
            "order": order,
        }
        return await self._graph.list_pages(Agent, "agent_list", types, args, rows_max=rows_max)

    async def find(self, agent_id: str) -> Agent | None:
        types, args = {"agent_id": "String!"}, {"agent_id": agent_id}
        return await self._graph.find(Agent, "agent", types, args)

    async def get(self, agent_id: str) -> Agent:
        """Raises AgentNotFound."""
        found = await self.find(agent_id)
        if found is None:
            raise AgentNotFound(agent_id)
        return found

    async def pause(self, agent_id: str) -> None:
        """Place no new sessions on it; those it has run on."""
        await self._allow(agent_id, is_allowed=False)

    async def resume(self, agent_id: str) -> None:
        """Place sessions on it again, also when it was distrusted for its silences or fenced."""
        await self._allow(agent_id, is_allowed=True)

    async def look_at_unit(self, agent_id: str) -> UnitState:
        """How systemd says that the agent's unit is. Raises WatcherNotFound, AgentTimeout."""
        call = Call(method="GET", path=_WATCHER, json={"agent_id": agent_id}, repeatable=True)
        return await self._channel.ask_for(UnitState, call)

    async def change_unit(self, agent_id: str, verb: Verb) -> UnitState:
        """Begin to start, stop or restart it; kernels go on. Raises as `look_at_unit`."""
        path = f"{_WATCHER}/agent/{verb.value}"
        call = Call(method="POST", path=path, json={"agent_id": agent_id})
        return await self._channel.ask_for(UnitState, call)

    async def make_join_token(self, resource_group: str, *, seconds: int = 3600) -> JoinToken:
        """By which one node may join that group, once, within so many seconds.

        Its text is told now and never again. Raises ResourceGroupNotFound.
        """
        asked = {"resource_group": resource_group, "expires_seconds": seconds}
        call = Call(method="POST", path=JOIN_TOKENS_PATH, json=asked)
        return await self._channel.ask_for(JoinToken, call)

    async def list_join_tokens(self) -> tuple[OpenToken, ...]:
        """Those that a node may still join by, without their texts."""
        call = Call(method="GET", path=JOIN_TOKENS_PATH, repeatable=True)
        return (await self._channel.ask_for(OpenTokens, call)).items

    async def withdraw_join_token(self, token_id: str) -> None:
        """Nobody joins by it any more. Raises JoinTokenNotFound, also for one that was used."""
        path = f"{JOIN_TOKENS_PATH}{path_of(token_id)}"
        await self._channel.ask(Call(method="DELETE", path=path))

    async def _allow(self, agent_id: str, *, is_allowed: bool) -> None:
        types = {"id": "String!", "props": "ModifyAgentInput!"}
        args = {"id": agent_id, "props": {"schedulable": is_allowed}}
        await self._graph.change("modify_agent", types, args)
