"""The life of a session as its owner sees and orders it: find, wait, end, restart, rename."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.enums import Reason
from backendai.common.faults import Conflict, Forbidden, QuotaExceeded, SessionAlreadyExists
from backendai.common.ids import uuid_of
from backendai.common.lifecycle import SESSION_FINAL, SessionStatus
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import EVERYTHING, Actor, Scope, own_scope, widest_scope
from backendai.manager.idle.store import load_idle_checks
from backendai.manager.lifecycle.moves import write_moves
from backendai.manager.lifecycle.orders import end_moves, restart_moves

from . import store
from .creation import Owners
from .model import Session
from .mounting import MountedFolder, load_mounted

STARTED: Final = frozenset({SessionStatus.RUNNING, SessionStatus.RUNNING_DEGRADED})
# A create waits until one of these: it runs, or it will not.
SETTLED: Final = STARTED | SESSION_FINAL | {SessionStatus.ERROR, SessionStatus.TERMINATING}
END_WAIT_SECONDS: Final = 10.0
TREE_NODES_MAX: Final = 200
_ENDED_WHEN_ASKED: Final = frozenset(
    {
        SessionStatus.PENDING,
        SessionStatus.RUNNING,
        SessionStatus.RUNNING_DEGRADED,
        SessionStatus.RESTARTING,
    }
)


class Watch(Protocol):
    """Waits for sessions without asking the database over and over. `is_over` once nobody waits any
    more, as this manager stops."""

    @property
    def is_over(self) -> bool: ...

    async def end_all(self, _: object = None) -> None: ...

    async def wait(
        self,
        session_id: uuid.UUID,
        is_done: Callable[[SessionStatus], bool],
        timeout_seconds: float,
    ) -> SessionStatus | None:
        """The status that `is_done` accepts; None when the time or all waiting is over.

        For a session that was seen a moment ago in a status that is not accepted.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ended:
    """A session whose end was ordered, as it was then, and how far it has come since."""

    session: Session
    status: SessionStatus


@dataclass(frozen=True, slots=True)
class SessionDetails:
    """`idle_checks`: when it will be ended for being idle, by checker; empty where that cannot
    be."""

    idle_checks: Mapping[str, Any]
    mounted: tuple[MountedFolder, ...]


class Sessions:
    """Use cases on sessions that exist."""

    def __init__(self, database: Database, owners: Owners, watch: Watch, clock: Clock) -> None:
        self._database = database
        self._owners = owners
        self.watch = watch
        self._clock = clock

    async def scope_of(self, actor: Actor, owner_access_key: str | None, reference: str) -> Scope:
        """Where to look for `reference`: an id as far as the actor sees, a name among own ones."""
        owner = await self._owners.owner_of(actor, owner_access_key)
        if owner_access_key is None and uuid_of(reference):
            return widest_scope(actor)
        return own_scope(owner)

    async def scope_of_all(self, actor: Actor, owner_access_key: str | None) -> Scope:
        """All that the actor lists; with an owner, what belongs to that keypair."""
        if owner_access_key is None:
            return widest_scope(actor)
        return own_scope(await self._owners.owner_of(actor, owner_access_key))

    async def get(self, scope: Scope, reference: str, *, ended_too: bool = False) -> Session:
        return await self._database.read(
            lambda connection: store.get_session(connection, scope, reference, ended_too=ended_too)
        )

    async def look_at(self, session: Session) -> SessionDetails:
        async def load(conn: AsyncConnection) -> SessionDetails:
            checks = await load_idle_checks(conn, [session.id])
            mounted = await load_mounted(conn, [session.id])
            return SessionDetails(checks.get(session.id, {}), tuple(mounted.get(session.id, ())))

        return await self._database.read(load)

    async def wait_started(self, session: Session, seconds: float) -> SessionStatus | None:
        """The status once the session runs or never will; None when `seconds` are over."""
        if session.status in SETTLED:
            return session.status
        return await self.watch.wait(session.id, SETTLED.__contains__, seconds)

    async def end(
        self, scope: Scope, reference: str, *, forced: bool = False, recursive: bool = False
    ) -> list[Ended]:
        """Order the end of a session, and with `recursive` of those that depend on it.

        Waits some seconds for it. Raises SessionNotFound, and Forbidden where only `forced` may.
        """

        async def work(connection: AsyncConnection) -> list[Ended]:
            if recursive:
                return await self._end_tree(connection, scope, reference, forced)
            locked = await store.lock_session(connection, scope, reference)
            return [await self._end(connection, locked, forced)]

        return await self.await_ends(await self._database.transact(work))

    async def await_ends(self, ordered: Sequence[Ended]) -> list[Ended]:
        """Wait some seconds in all, however many they are."""
        ends_at = self._clock.monotonic() + END_WAIT_SECONDS
        ended = []
        for one in ordered:
            status: SessionStatus | None = one.status
            if status not in SESSION_FINAL:
                left = max(0.0, ends_at - self._clock.monotonic())
                status = await self.watch.wait(one.session.id, SESSION_FINAL.__contains__, left)
            ended.append(Ended(one.session, status or SessionStatus.TERMINATING))
        return ended

    async def restart(self, scope: Scope, reference: str) -> None:
        """Give every running kernel of the session a fresh container. Raises Conflict."""

        async def work(connection: AsyncConnection) -> Session:
            locked = await store.lock_session(connection, scope, reference)
            moves = restart_moves(locked.kernels)
            if not moves:
                status = locked.session.status
                raise Conflict(f"The session is {status}; only a running one restarts.")
            rows = [(locked.row, locked.kernels)]
            await write_moves(connection, rows, moves, self._clock.now())
            return locked.session

        session = await self._database.transact(work)
        await self.watch.wait(session.id, SETTLED.__contains__, END_WAIT_SECONDS)

    async def rename(self, scope: Scope, reference: str, name: str) -> None:
        """Raises SessionAlreadyExists when another live session of the owner has the name."""

        async def work(connection: AsyncConnection) -> None:
            session = await store.get_session(connection, scope, reference)
            other = await store.find_live(connection, session.access_key, name)
            if other is not None and other.id != session.id:
                raise SessionAlreadyExists(facts={"existingSessionId": str(other.id)})
            await store.rename(connection, session.id, name)

        try:
            await self._database.transact(work)
        except IntegrityError as error:
            raise SessionAlreadyExists("Another session was just given that name.") from error

    async def history(self, scope: Scope, reference: str) -> Sequence[Mapping[Any, Any]]:
        """Every move of the session and its kernels, oldest first."""
        async with self._database.begin() as connection:
            session = await store.get_session(connection, scope, reference, ended_too=True)
            return await store.load_history(connection, session.id)

    async def match(self, scope: Scope, prefix: str) -> Sequence[Mapping[Any, Any]]:
        async with self._database.begin() as connection:
            return await store.match_prefix(connection, scope, prefix, limit=100)

    async def graph(self, scope: Scope, reference: str) -> dict[str, Any]:
        """What the session depends on, all the way down, as nested plain values."""
        async with self._database.begin() as connection:
            session = await store.get_session(connection, scope, reference, ended_too=True)
            root = {
                "id": session.id,
                "name": session.name,
                "status": session.status.value,
                "status_changed_at": session.status_changed_at,
            }
            return await _tree(connection, _around(scope), root)

    async def _end_tree(
        self, connection: AsyncConnection, scope: Scope, reference: str, forced: bool
    ) -> list[Ended]:
        session = await store.get_session(connection, scope, reference)
        dependents = await store.list_dependents(connection, _around(scope), session.id)
        # In the order in which every transaction locks sessions.
        locked = {
            each: await store.lock_session(connection, EVERYTHING, str(each), ended_too=True)
            for each in sorted({session.id, *dependents})
        }
        ended = [await self._end(connection, locked[session.id], forced)]
        return ended + [await self._end(connection, locked[one], True) for one in dependents]

    async def _end(self, connection: AsyncConnection, locked: store.Locked, forced: bool) -> Ended:
        session = locked.session
        if not forced and session.status not in _ENDED_WHEN_ASKED | SESSION_FINAL:
            raise Forbidden(f"The session is {session.status}; only a forced end is possible now.")
        reason = Reason.FORCE_TERMINATED if forced else Reason.USER_REQUESTED
        moves = end_moves(locked.kernels, reason)
        if not moves:
            return Ended(session, session.status)
        rows = [(locked.row, locked.kernels)]
        moved = await write_moves(connection, rows, moves, self._clock.now())
        return Ended(session, moved[-1].session_status)


def _around(scope: Scope) -> Scope:
    """Where to look for what hangs on a session of `scope`: everywhere, for it is its owner's; but
    not beyond the projects for whose sake it was found. PURE."""
    return scope if scope.projects else EVERYTHING


async def _tree(
    connection: AsyncConnection, scope: Scope, root: Mapping[Any, Any]
) -> dict[str, Any]:
    """Level by level, one query each; a session that is reached twice is shown twice.

    Raises QuotaExceeded where that makes more than can be shown.
    """
    below: dict[uuid.UUID, list[Mapping[Any, Any]]] = {}
    wanted = [root["id"]]
    while wanted:
        found = await store.load_dependencies(connection, scope, wanted)
        below |= {key: found.get(key, []) for key in wanted}
        wanted = list({row["id"] for rows in found.values() for row in rows} - below.keys())
    return nest(root, below)


def nest(
    root: Mapping[Any, Any], below: Mapping[uuid.UUID, Sequence[Mapping[Any, Any]]]
) -> dict[str, Any]:
    """`root` with what it depends on below it. PURE.

    Few sessions that depend on each other in many ways make a tree that fills every memory, so its
    size is bounded, and with it its depth.
    """
    made = {**root, "depends_on": []}
    waiting, count = [made], 0
    while waiting:
        one = waiting.pop()
        one["depends_on"] = [{**row, "depends_on": []} for row in below.get(one["id"], ())]
        count += len(one["depends_on"])
        if count > TREE_NODES_MAX:
            raise QuotaExceeded(f"More than {TREE_NODES_MAX} dependencies, each way counted.")
        waiting += one["depends_on"]
    return made
