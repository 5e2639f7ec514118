"""Creating a session: once per name and per client token, whoever asks at the same time."""

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.faults import (
    ClientTokenReused,
    InvalidParams,
    SessionAlreadyExists,
)
from backendai.common.ids import IdSource, SessionId
from backendai.common.images import is_custom
from backendai.common.lifecycle import SessionStatus
from backendai.common.logs import get_logger
from backendai.common.slots import ResourceSlots
from backendai.manager.db.engine import Database
from backendai.manager.db.tables import idempotency
from backendai.manager.gate.actor import EVERYTHING, Actor, Scope
from backendai.manager.images.model import Image
from backendai.manager.images.store import get_image, list_nodes
from backendai.manager.lifecycle.enqueue import insert_session
from backendai.manager.lifecycle.model import Claim, NewMount, NewSession
from backendai.manager.policies.model import PendingLimit
from backendai.manager.policies.store import guard_pending

from . import store
from .compose import Facts, compose_session, refuse_absent
from .facts import Place, look_up
from .model import Session, SessionRequest, session_of_new
from .mounting import Places, hold_folders, locate, plan_for
from .mounts import PlannedMount

log = get_logger(__name__)

TOKEN_CHARS_MAX: Final = 128
UNIQUE_VIOLATION: Final = "23505"
# How often a name is looked for again that somebody else takes at the same moment.
ATTEMPTS_MAX: Final = 3


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


@dataclass(frozen=True, slots=True)
class Draft:
    """A session to store, what bounds how many of its owner's may wait, and what it mounts."""

    session: NewSession
    pending: PendingLimit
    mounts: tuple[PlannedMount, ...]


class SessionCreation:
    """`create` is the use case; it returns when the session is stored, PENDING."""

    def __init__(
        self, database: Database, owners: Owners, places: Places, clock: Clock, ids: IdSource
    ) -> None:
        self._database = database
        self._owners = owners
        self._places = places
        self._clock = clock
        self._ids = ids

    async def create(
        self, actor: Actor, request: SessionRequest, token: ClientToken | None = None
    ) -> Created:
        """Store the session, or find the one that this request means.

        Raises SessionAlreadyExists, ClientTokenReused, QuotaExceeded, InvalidParams and NotFounds.
        """
        owner = await self._owners.owner_of(actor, request.owner_access_key)
        mine: list[SessionId] = []
        for _ in range(ATTEMPTS_MAX):
            try:
                found = await self._find(actor, owner, request, token, mine)
                if isinstance(found, Created):
                    return found
                mine.append(found.session.id)
                mounts = await locate(self._places, found.mounts)
                return await self._insert(actor, found, mounts, token)
            except IntegrityError as error:
                if getattr(error.orig, "sqlstate", None) != UNIQUE_VIOLATION:
                    raise
                # The name or the token was taken a moment ago, perhaps by this very session, whose
                # answer was lost: look again.
                log.info("session.name_taken", name=request.name)
        raise SessionAlreadyExists("Others create sessions of this name right now; try again.")

    async def _find(
        self,
        actor: Actor,
        owner: Actor,
        request: SessionRequest,
        token: ClientToken | None,
        mine: Sequence[SessionId],
    ) -> Created | Draft:
        """The session that is meant, or the one to store."""

        async def work(connection: AsyncConnection) -> Created | Draft:
            word = token.text if token is not None else ""
            found = await look_up(connection, actor, owner, request, word)
            if token is not None and found.claimed is not None:
                return await _claimed(connection, token, *found.claimed, mine)
            # Also a superadmin, who sees all, runs no code of a tenant by mistake.
            own = Scope(user_id=owner.user_id)
            images = {
                (kind.image, kind.architecture): await get_image(
                    connection, own, kind.image, kind.architecture
                )
                for kind in request.kinds()
            }
            image = images[request.image, request.architecture]
            if found.namesake is not None:
                existing = await _get(connection, found.namesake)
                if existing.id in mine:
                    return Created(existing, is_new=True)
                _check_reuse(existing, request, image)
                if token is not None:
                    # A repetition means this one, even when it has ended by then.
                    await _remember(connection, actor, token, existing.id)
                return Created(existing, is_new=False)
            depends_on = await store.resolve_dependencies(
                connection, owner.access_key, request.dependencies
            )
            place = found.place()
            refuse_absent(await _load_holders(connection, images.values()), request.cluster_mode)
            facts = _facts_of(place, owner, actor, images, depends_on)
            new = compose_session(request, facts, self._ids)
            mounts: tuple[PlannedMount, ...] = ()
            if request.mounts or found.has_home_folders:
                mounts = await plan_for(connection, owner, request.mounts)
            return Draft(new, place.limits.pending, mounts)

        return await self._database.read(work)

    async def _insert(
        self,
        actor: Actor,
        draft: Draft,
        mounts: tuple[NewMount, ...],
        token: ClientToken | None,
    ) -> Created:
        claim = None if token is None else Claim(actor.user_id, token.text, token.request_hash)
        new, now = replace(draft.session, mounts=mounts), self._clock.now()

        async def work(connection: AsyncConnection) -> None:
            asked = ResourceSlots.parse(new.requested_slots)
            await guard_pending(connection, new.access_key, draft.pending, asked)
            if mounts:
                await hold_folders(connection, mounts, now)
            await insert_session(connection, new, now, claim)

        # Without limit and folders it is one statement, which needs no transaction around it.
        is_one = draft.pending.is_none and not mounts
        run = self._database.read if is_one else self._database.transact
        await run(work)
        return Created(session_of_new(new, now), is_new=True)


def _facts_of(
    place: Place,
    owner: Actor,
    asker: Actor,
    images: Mapping[tuple[str, str], Image],
    depends_on: tuple[SessionId, ...],
) -> Facts:
    return Facts(
        owner=owner,
        asker=asker,
        images=images,
        project_id=place.project_id,
        resource_group=place.resource_group,
        limits=place.limits,
        slot_names=place.slot_names,
        capacities=place.capacities,
        depends_on=depends_on,
    )


async def _load_holders(
    connection: AsyncConnection, images: Iterable[Image]
) -> dict[str, list[str]]:
    """The nodes that have those of the images that no registry has."""
    return {
        image.name: await list_nodes(connection, image.id)
        for image in images
        if is_custom(image.name)
    }


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


async def _claimed(
    connection: AsyncConnection,
    token: ClientToken,
    request_hash: str,
    session_id: uuid.UUID,
    mine: Sequence[SessionId],
) -> Created:
    if request_hash != token.request_hash:
        raise ClientTokenReused("Use a new token for another request.")
    return Created(await _get(connection, session_id), is_new=session_id in mine)


async def _get(connection: AsyncConnection, session_id: uuid.UUID) -> Session:
    return await store.get_session(connection, EVERYTHING, str(session_id), ended_too=True)


async def _remember(
    connection: AsyncConnection, actor: Actor, token: ClientToken, session_id: uuid.UUID
) -> None:
    """Raises IntegrityError where another request has just taken the token."""
    await connection.execute(
        sa.insert(idempotency).values(
            user_id=actor.user_id,
            token=token.text,
            request_hash=token.request_hash,
            session_id=session_id,
        )
    )
