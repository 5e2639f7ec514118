"""Creating a session: once per name and per client token, whoever asks at the same time."""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.faults import ClientTokenReused, InvalidParams, SessionAlreadyExists
from backendai.common.ids import IdSource
from backendai.common.lifecycle import SessionStatus
from backendai.manager.db.engine import Database
from backendai.manager.db.tables import idempotency
from backendai.manager.gate.actor import EVERYTHING, Actor
from backendai.manager.images.model import Image
from backendai.manager.images.store import get_image
from backendai.manager.lifecycle.moves import insert_session
from backendai.manager.policies import store as policies

from . import store
from .compose import Facts, compose_session
from .model import Session, SessionRequest

TOKEN_CHARS_MAX: Final = 128


class Owners(Protocol):
    async def owner_of(self, actor: Actor, access_key: str | None) -> Actor: ...


@dataclass(frozen=True, slots=True)
class ClientToken:
    """What makes a repeated request the same request: the client's word and the body's hash."""

    text: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class Created:
    session: Session
    is_new: bool


class SessionCreation:
    """`create` is the use case; it returns when the session is stored, PENDING."""

    def __init__(self, database: Database, owners: Owners, clock: Clock, ids: IdSource) -> None:
        self._database = database
        self._owners = owners
        self._clock = clock
        self._ids = ids

    async def create(
        self, actor: Actor, request: SessionRequest, token: ClientToken | None = None
    ) -> Created:
        """Store the session, or find the one that this request means.

        Raises SessionAlreadyExists, ClientTokenReused, QuotaExceeded, InvalidParams and NotFounds.
        """
        owner = await self._owners.owner_of(actor, request.owner_access_key)

        async def work(connection: AsyncConnection) -> Created:
            return await self._create(connection, actor, owner, request, token)

        return await self._database.transact(work)

    async def _create(
        self,
        connection: AsyncConnection,
        actor: Actor,
        owner: Actor,
        request: SessionRequest,
        token: ClientToken | None,
    ) -> Created:
        if token is not None:
            await _lock(connection, f"token:{actor.user_id}:{token.text}")
            made = await _find_made(connection, actor, token)
            if made is not None:
                return Created(made, is_new=False)
        await _lock(connection, f"name:{owner.access_key}:{request.name}")
        image = await get_image(connection, request.image, request.architecture)
        existing = await store.find_live(connection, owner.access_key, request.name)
        if existing is not None:
            _check_reuse(existing, request, image)
            if token is not None:
                # A repetition means this one, even when it has ended by then.
                await _remember(connection, actor, token, existing.id)
            return Created(existing, is_new=False)
        facts = await self._look_up(connection, actor, owner, request, image)
        new = compose_session(request, facts, self._ids)
        await insert_session(connection, new, self._clock.now())
        if token is not None:
            await _remember(connection, actor, token, new.id)
        session = await store.get_session(connection, EVERYTHING, str(new.id))
        return Created(session, is_new=True)

    async def _look_up(
        self,
        connection: AsyncConnection,
        actor: Actor,
        owner: Actor,
        request: SessionRequest,
        image: Image,
    ) -> Facts:
        project = await policies.get_project(connection, owner, request.domain, request.project)
        allowed = await policies.list_resource_groups(connection, owner, project)
        group = policies.choose_resource_group(allowed, request.resource_group)
        return Facts(
            owner=owner,
            asker=actor,
            image=image,
            project_id=project.id,
            resource_group=group,
            limits=await policies.load_limits(connection, owner, project),
            slot_names=frozenset(await policies.list_slot_names(connection)),
            capacities=tuple(await policies.load_capacities(connection, group)),
            depends_on=await store.resolve_dependencies(
                connection, owner.access_key, request.dependencies
            ),
        )


def read_token(text: str | None, body: Mapping[str, Any]) -> ClientToken | None:
    """From the header X-BackendAI-Client-Token. Raises InvalidParams."""
    if text is None:
        return None
    if not (0 < len(text) <= TOKEN_CHARS_MAX and text.isascii() and text.isprintable()):
        raise InvalidParams(
            facts={"X-BackendAI-Client-Token": f"write 1 to {TOKEN_CHARS_MAX} ASCII characters"}
        )
    canonical = msgspec.json.encode(body, order="deterministic")
    return ClientToken(text, hashlib.sha256(canonical).hexdigest())


def _check_reuse(existing: Session, request: SessionRequest, image: Image) -> None:
    facts = {"existingSessionId": str(existing.id)}
    if not request.reuse:
        raise SessionAlreadyExists(facts=facts)
    if existing.main.image != image.name:
        raise SessionAlreadyExists(f"It runs another image, {existing.main.image}.", facts)
    if existing.status is SessionStatus.TERMINATING:
        raise SessionAlreadyExists("It is being terminated; try again when it has ended.", facts)


async def _lock(connection: AsyncConnection, what: str) -> None:
    """Let only one transaction at a time work on `what`, until it ends."""
    key = int.from_bytes(hashlib.sha256(what.encode("utf-8")).digest()[:8], "big", signed=True)
    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


async def _find_made(
    connection: AsyncConnection, actor: Actor, token: ClientToken
) -> Session | None:
    row = (
        await connection.execute(
            sa.select(idempotency.c.request_hash, idempotency.c.session_id).where(
                idempotency.c.user_id == actor.user_id, idempotency.c.token == token.text
            )
        )
    ).first()
    if row is None:
        return None
    if row.request_hash != token.request_hash:
        raise ClientTokenReused("Use a new token for another request.")
    return await store.get_session(connection, EVERYTHING, str(row.session_id), ended_too=True)


async def _remember(
    connection: AsyncConnection, actor: Actor, token: ClientToken, session_id: uuid.UUID
) -> None:
    await connection.execute(
        sa.insert(idempotency).values(
            user_id=actor.user_id,
            token=token.text,
            request_hash=token.request_hash,
            session_id=session_id,
        )
    )
