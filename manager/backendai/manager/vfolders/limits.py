"""Lets what policies say of quota scopes reach those that are there, whoever changed what.

The level is compared, so a policy that changed, a user who got another one, and a host that was
away all come to the same end.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.faults import Fault
from backendai.common.logs import get_logger
from backendai.common.pauses import FailingThings, GrowingPause
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database

from .proxies import Proxies
from .scopes import set_limit

log = get_logger(__name__)

LOOK_SECONDS: Final = 10.0
# At a look; those of a host that is away must not take all of it.
SCOPES_MAX: Final = 50
AT_ONCE: Final = 4
PAUSE: Final = GrowingPause(share=1.0, seconds_min=LOOK_SECONDS, seconds_max=3600.0)
_q: Final = t.quota_scopes.c


@dataclass(frozen=True, slots=True)
class StaleScope:
    """A quota scope that was given `given` bytes by its policy, which says `wanted` now; None is no
    limit."""

    host: str
    id: str
    given: int | None
    wanted: int | None


class LimitWatch:
    """Any number of managers may look at a time: telling a limit twice is right."""

    def __init__(self, database: Database, proxies: Proxies, clock: Clock) -> None:
        self._database = database
        self._proxies = proxies
        self._failing = FailingThings[StaleScope](PAUSE, clock)
        self._places = asyncio.Semaphore(AT_ONCE)

    async def step(self) -> None:
        """One look. Raises StoreUnavailable."""
        known = self._proxies.config.proxies
        found = await self._database.read(lambda conn: load_stale(conn, known))
        async with asyncio.TaskGroup() as group:
            for scope in found:
                if self._failing.is_due(scope):
                    group.create_task(self._apply(scope), name=f"limit {scope.host} {scope.id}")

    async def _apply(self, scope: StaleScope) -> None:
        async with self._places:
            try:
                await set_limit(self._proxies, scope.host, scope.id, scope.wanted)
            except Fault as fault:
                log.warning("quota_scope.not_set", host=scope.host, scope=scope.id, code=fault.code)
                self._failing.note(scope)
                return
        self._failing.forget(scope)
        await self._database.transact(lambda conn: note_given(conn, scope))
        log.info("quota_scope.set", host=scope.host, scope=scope.id, limit=scope.wanted)


async def note_new(
    conn: AsyncConnection, host: str, scope_id: str, policy_bytes: int | None
) -> None:
    """What a quota scope is going to be made with; one that is known stays as it is."""
    values = {"host": host, "quota_scope_id": scope_id, "policy_bytes": policy_bytes}
    await conn.execute(insert(t.quota_scopes).values(values).on_conflict_do_nothing())


async def note_given(conn: AsyncConnection, scope: StaleScope) -> None:
    """Not where another manager has noted something newer."""
    is_it = (
        _q.host == scope.host,
        _q.quota_scope_id == scope.id,
        _q.policy_bytes.is_not_distinct_from(scope.given),
    )
    await conn.execute(sa.update(t.quota_scopes).where(*is_it).values(policy_bytes=scope.wanted))


async def load_stale(conn: AsyncConnection, proxies: Collection[str]) -> list[StaleScope]:
    """Some of those on configured hosts whose policy says something else than they were given."""
    users = _stale_of("user:", t.users, t.user_policies)
    projects = _stale_of("project:", t.projects, t.project_policies)
    found = sa.union_all(users, projects).subquery("found")
    is_on = sa.func.split_part(found.c.host, ":", 1).in_(sorted(proxies))
    chosen = sa.select(found).where(is_on).order_by(sa.func.random()).limit(SCOPES_MAX)
    return [StaleScope(*row) for row in await conn.execute(chosen)]


def _stale_of(prefix: str, owners: sa.Table, policies: sa.Table) -> sa.Select[tuple[object, ...]]:
    # In policies zero and less are no limit.
    wanted = sa.func.nullif(sa.func.greatest(policies.c.max_quota_scope_size, 0), 0)
    scope_id = sa.literal(prefix) + sa.cast(owners.c.id, sa.Text)
    return (
        sa.select(_q.host, _q.quota_scope_id, _q.policy_bytes, wanted.label("wanted"))
        .join(owners, _q.quota_scope_id == scope_id)
        .join(policies, policies.c.name == owners.c.resource_policy)
        .where(_q.policy_bytes.is_distinct_from(wanted))
    )
