"""How a node becomes one of the cluster: a superadmin makes a token, the node uses it once.

The token is the secret: until it is used, whoever has it can join, with a key of their own. Asking
back proves that key and address belong together: nobody is let in under the key of another node, or
where managers do not reach it, and a token that was used is good for that one key.
"""

import secrets
import uuid
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.contracts.joining import (
    PROVE,
    EtcdPlace,
    JoinRequest,
    JoinToken,
    OpenToken,
    OpenTokens,
    Proof,
    Prove,
    Welcome,
)
from backendai.common.faults import (
    AgentNotFound,
    AgentTimeout,
    Conflict,
    JoinTokenRefused,
    NodeUnreachable,
)
from backendai.common.ids import AgentId, IdSource
from backendai.common.rpc.client import RpcPeer
from backendai.common.rpc.curve import KeyPair
from backendai.common.settings.sections import EtcdSettings
from backendai.manager.audit.change import Change, Changes
from backendai.manager.audit.model import Target
from backendai.manager.audit.store import record
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Access, Action, Actor, joining_node

from . import join_tokens
from .health import refusal_of
from .model import Contact, Patience
from .store import get_agent

SEE: Final = Action("agent.join_tokens", Access.SUPERADMIN)
MAKE: Final = Action("agent.join_token", Access.SUPERADMIN, writes=True)
WITHDRAW: Final = Action("agent.withdraw_join_token", Access.SUPERADMIN, writes=True)
# Whoever comes proves by the token that a superadmin wants it.
JOIN: Final = Action("agent.join", Access.OPEN, writes=True)
TRIES_MAX: Final = 20
FORGET_SECONDS: Final = 3600.0


class Tries(Protocol):
    """Counts tries by what they are for."""

    async def begin(self, what: str, tries_max: int) -> None: ...

    async def take_back(self, what: str) -> None: ...


class Joining:
    """`manager_keys` gives the public keys of all managers that run. `keypair` None speaks without
    encryption, for tests only."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        tries: Tries,
        etcd: EtcdSettings,
        patience: Patience,
        keypair: KeyPair | None,
        manager_keys: Callable[[AsyncConnection], Awaitable[tuple[str, ...]]],
        ids: IdSource,
    ) -> None:
        self._database = database
        self._changes = changes
        self._tries = tries
        self._etcd = etcd
        self._patience = patience
        self._keypair = keypair
        self._manager_keys = manager_keys
        self._ids = ids

    async def make_token(self, actor: Actor, resource_group: str, seconds: int) -> JoinToken:
        """One node may join by it, within so many seconds. Raises ResourceGroupNotFound."""
        token, token_id = join_tokens.make_token(), self._ids.uuid()

        async def work(change: Change) -> str:
            expires_at = await join_tokens.insert(
                change.connection, token_id, token, resource_group, seconds
            )
            after = {"resource_group": resource_group, "expires_at": expires_at}
            await record(change, Target("join_token", str(token_id), None), before={}, after=after)
            return expires_at.isoformat()

        expires_at = await self._changes.run(actor, MAKE, work)
        return JoinToken(
            id=str(token_id), token=token, resource_group=resource_group, expires_at=expires_at
        )

    async def list_tokens(self) -> OpenTokens:
        """Those that a node may still join by."""
        rows = await self._database.read(join_tokens.list_open)
        return OpenTokens(
            tuple(
                OpenToken(
                    id=str(row.id),
                    resource_group=row.resource_group,
                    expires_at=row.expires_at.isoformat(),
                )
                for row in rows
            )
        )

    async def withdraw_token(self, actor: Actor, token_id: uuid.UUID) -> None:
        """Nobody joins by it any more; whoever has joined stays. Raises JoinTokenNotFound, also
        for one that was used."""

        async def work(change: Change) -> None:
            resource_group = await join_tokens.withdraw(change.connection, token_id)
            before = {"resource_group": resource_group}
            await record(change, Target("join_token", str(token_id), None), before=before, after={})

        await self._changes.run(actor, WITHDRAW, work)

    async def join(self, address: str, request: JoinRequest) -> Welcome:
        """What the node needs; `address` is where the request came from.

        The same node may ask again by the same token. Raises RateLimited, JoinTokenRefused,
        Conflict, NodeUnreachable.
        """
        tries = f"join:{address}"
        await self._tries.begin(tries, TRIES_MAX)
        agent_id = AgentId(request.agent_id)

        async def look(conn: AsyncConnection) -> None:
            await self._admit(conn, request, is_locked=False)

        await self._database.read(look)
        await self._ask_back(request)

        async def work(change: Change) -> Welcome:
            row = await self._admit(change.connection, request, is_locked=True)
            await join_tokens.use(change.connection, row.id, agent_id, request.public_key)
            after = {
                "resource_group": row.resource_group,
                "address": request.address,
                "join_token": str(row.id),
            }
            await record(change, Target("agent", agent_id, None), before={}, after=after)
            change.log_when_done("agent.joined", agent=agent_id, address=request.address)
            keys = await self._manager_keys(change.connection)
            return self._welcome(row.resource_group, keys)

        welcome = await self._changes.run(joining_node(agent_id), JOIN, work)
        await self._tries.take_back(tries)
        return welcome

    async def forget(self) -> None:
        """Drop tokens that expired long ago."""
        await self._database.put(join_tokens.forget_old)

    async def _admit(
        self, conn: AsyncConnection, request: JoinRequest, *, is_locked: bool
    ) -> join_tokens.JoinTokenRow:
        """Raises JoinTokenRefused, and Conflict where another node has the name."""
        agent_id = AgentId(request.agent_id)
        row = await join_tokens.find(conn, request.token, is_locked=is_locked)
        refusal = join_tokens.refusal_of(row, agent_id, request.public_key)
        if refusal or row is None:
            raise JoinTokenRefused(refusal)
        try:
            known = await get_agent(conn, agent_id)
        except AgentNotFound:
            return row
        offer = Contact(agent_id, f"tcp://{request.address}", request.public_key)
        taken = refusal_of(known, offer, self._patience)
        if taken:
            raise Conflict(f"{taken}: join under another name")
        return row

    async def _ask_back(self, request: JoinRequest) -> None:
        """Raises NodeUnreachable unless who has the secret key answers at the address."""
        nonce = secrets.token_urlsafe(16)
        key = request.public_key if self._keypair is not None else None
        try:
            async with RpcPeer(f"tcp://{request.address}", key, self._keypair) as peer:
                proof = await peer.ask(PROVE, Prove(nonce))
        except AgentTimeout as fault:
            raise NodeUnreachable(
                f"managers get no answer from {request.address}: open that port on the node for "
                "them, or name another address of the node",
                {"address": request.address},
            ) from fault
        if proof != Proof(nonce, request.agent_id):
            raise NodeUnreachable(f"another node answers at {request.address}")

    def _welcome(self, resource_group: str, manager_keys: tuple[str, ...]) -> Welcome:
        own = (self._keypair.public,) if self._keypair is not None else ()
        etcd = self._etcd
        return Welcome(
            resource_group=resource_group,
            manager_keys=tuple(sorted({*own, *manager_keys})),
            etcd=EtcdPlace(
                namespace=etcd.namespace,
                host=etcd.addr.host,
                port=etcd.addr.port,
                more_addrs=etcd.more_addrs,
                user=etcd.user or "",
                password=etcd.password,
            ),
        )
