"""The watchers of nodes: by them superadmins see, start, stop and restart agents from afar."""

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from backendai.common.config import ConfigStore
from backendai.common.contracts.watcher import (
    CHANGE,
    LOOK,
    NOTICES,
    ChangeUnit,
    LookAtUnit,
    UnitState,
    Verb,
    WatcherNotice,
)
from backendai.common.faults import WatcherNotFound
from backendai.common.ids import AgentId
from backendai.common.rpc.call import Call
from backendai.common.rpc.client import RpcPeer
from backendai.common.rpc.curve import KeyPair
from backendai.manager.audit.change import Change, Changes
from backendai.manager.audit.model import Target
from backendai.manager.audit.store import record
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Access, Action, Actor

from .model import AgentRow
from .store import get_agent, lock_agent

SEE: Final = Action("watcher.read", Access.SUPERADMIN)
STEER: Final = Action("watcher.steer", Access.SUPERADMIN, writes=True)
Req = TypeVar("Req")
Rep = TypeVar("Rep")


class Watchers:
    """`keypair` None speaks without encryption, for tests only."""

    def __init__(
        self, database: Database, changes: Changes, config: ConfigStore, keypair: KeyPair | None
    ) -> None:
        self._database = database
        self._changes = changes
        self._config = config
        self._keypair = keypair

    async def look(self, agent_id: AgentId) -> UnitState:
        """Raises AgentNotFound, WatcherNotFound, AgentTimeout."""

        row = await self._database.read(lambda conn: get_agent(conn, agent_id))
        return await self._ask(row, LOOK, LookAtUnit())

    async def steer(self, actor: Actor, agent_id: AgentId, verb: Verb) -> UnitState:
        """Noted in the audit log before it is done. Raises as `look`."""

        async def note(change: Change) -> AgentRow:
            row = await lock_agent(change.connection, agent_id)
            target = Target("agent", row.id, None)
            await record(change, target, before={}, after={"unit": verb.value})
            change.log_when_done("watcher.steered", agent=row.id, verb=verb.value)
            return row

        row = await self._changes.run(actor, STEER, note)
        return await self._ask(row, CHANGE, ChangeUnit(verb))

    async def _ask(self, row: AgentRow, call: Call[Req, Rep], request: Req) -> Rep:
        told = await self._config.get(f"{NOTICES}{row.id}")
        if told is None:
            raise WatcherNotFound(
                f"no watcher runs on {row.id}: enable backendai-watcher.service there"
            )
        address = msgspec.json.decode(told, type=WatcherNotice).addr
        key = row.public_key if self._keypair is not None else None
        async with RpcPeer(address, key, self._keypair) as peer:
            return await peer.ask(call, request)


def describe(state: UnitState) -> Mapping[str, object]:
    """For people in `message`, for programs beside it. PURE."""
    running = f", process {state.pid}" if state.pid else ""
    since = f" since {state.since}" if state.since else ""
    said = f". It says: {state.status}" if state.status else ""
    message = f"{state.unit} is {state.active} ({state.sub}){running}{since}{said}"
    return {"message": message, **msgspec.to_builtins(state)}
