"""Keypairs by access key, remembered for at most one second, and not beyond a change of accounts.

What this process changes ends at once; what another manager changed, within that second.
"""

import asyncio
import ipaddress
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.enums import ProjectRole, UserRole, UserStatus
from backendai.common.faults import ServerMisconfigured
from backendai.common.logs import get_logger
from backendai.manager.accounts.secretbox import SecretBox
from backendai.manager.db.engine import Database

from .actor import Actor

log = get_logger(__name__)

CACHE_SECONDS: Final = 1.0
CACHED_MAX: Final = 4096
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SELECT: Final = sa.text(
    "select k.access_key, k.secret_key_encrypted, k.is_admin, k.rate_limit, k.resource_policy,"
    " k.bootstrap_script, u.id as user_id, u.email, u.username, u.full_name, u.role,"
    " u.domain_name, u.allowed_client_ip, u.main_access_key, u.password_changed_at,"
    " array(select m.project_id from project_members m join projects p on p.id = m.project_id"
    " where m.user_id = u.id and m.role = :admin and p.domain_name = u.domain_name) as administers"
    " from keypairs k join users u on u.id = k.user_id join domains d on d.name = u.domain_name"
    " where k.access_key = :access_key and k.is_active and d.is_active and u.status = :active"
)
_TOUCH: Final = sa.text("update keypairs set last_used = :at where access_key = :access_key")


@dataclass(frozen=True, slots=True)
class Identity:
    """An active keypair of an active user of an active domain."""

    actor: Actor
    secret_key: str
    allowed_networks: tuple[Network, ...]
    password_at: datetime | None


class Keyring:
    """Looks keypairs up. Concurrent questions for one key share one query."""

    def __init__(self, database: Database, box: SecretBox, clock: Clock) -> None:
        self._database = database
        self._box = box
        self._clock = clock
        self._cache: dict[str, tuple[float, Identity | None]] = {}
        self._asking: dict[str, asyncio.Future[Identity | None]] = {}
        self._used: dict[str, datetime] = {}

    async def find(self, access_key: str) -> Identity | None:
        """None when there is no such key or it, its user or its domain is not active."""
        while True:
            known = self._cache.get(access_key)
            if known is not None and known[0] > self._clock.monotonic():
                return known[1]
            asked = self._asking.get(access_key)
            if asked is None:
                return await self._ask(access_key)
            await asyncio.wait([asked])
            # Who asked has gone away before the answer: somebody else asks.
            if not asked.cancelled():
                return asked.result()

    async def _ask(self, access_key: str) -> Identity | None:
        """Load for everybody who wants this key meanwhile; they share what comes of it."""
        asked: asyncio.Future[Identity | None] = asyncio.get_running_loop().create_future()
        self._asking[access_key] = asked
        try:
            identity = await self._load(access_key)
        except Exception as error:
            asked.set_exception(error)
            # Raised here, so it is not lost when nobody else waits.
            asked.exception()
            raise
        else:
            asked.set_result(identity)
            return identity
        finally:
            if self._asking.get(access_key) is asked:
                del self._asking[access_key]
            asked.cancel()

    def forget(self) -> None:
        """Look everybody up anew, for accounts have changed; answers under way are not kept."""
        self._cache = {}
        self._asking = {}

    def note_use(self, access_key: str) -> None:
        self._used[access_key] = self._clock.now()

    async def save_uses(self) -> None:
        """Write when keys were last used, for all of them at once. Raises StoreUnavailable."""
        used, self._used = self._used, {}
        if used:
            rows = [{"access_key": key, "at": at} for key, at in sorted(used.items())]
            await self._database.transact(lambda connection: connection.execute(_TOUCH, rows))

    async def _load(self, access_key: str) -> Identity | None:
        cache = self._cache
        identity = await self._database.read(lambda conn: self.read(conn, access_key))
        if len(cache) >= CACHED_MAX:
            cache.clear()
        # Where it was forgotten meanwhile, this goes to the old memory, which nobody reads.
        cache[access_key] = (self._clock.monotonic() + CACHE_SECONDS, identity)
        return identity

    async def read(self, connection: AsyncConnection, access_key: str) -> Identity | None:
        """As `find`, past the cache and in the caller's transaction."""
        values = {
            "access_key": access_key,
            "active": UserStatus.ACTIVE.value,
            "admin": ProjectRole.ADMIN.value,
        }
        row = (await connection.execute(_SELECT, values)).mappings().first()
        return self._identity_of(row) if row is not None else None

    def _identity_of(self, row: Mapping[Any, Any]) -> Identity:
        return Identity(
            actor_of(row, row["administers"]),
            self._box.open(row["access_key"], bytes(row["secret_key_encrypted"])),
            tuple(_network(text) for text in row["allowed_client_ip"] or ()),
            row["password_changed_at"],
        )


def actor_of(row: Mapping[Any, Any], administers: Iterable[uuid.UUID] = ()) -> Actor:
    user_id = row["user_id"]
    return Actor(
        access_key=row["access_key"],
        user_id=user_id if isinstance(user_id, uuid.UUID) else uuid.UUID(str(user_id)),
        email=row["email"],
        username=row["username"],
        full_name=row["full_name"],
        role=UserRole(row["role"]),
        domain=row["domain_name"],
        is_admin=row["is_admin"],
        policy=row["resource_policy"],
        rate_limit=row["rate_limit"],
        main_access_key=row["main_access_key"],
        bootstrap_script=row["bootstrap_script"],
        administers=frozenset(administers),
    )


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ServerMisconfigured(
            "The list of addresses that this account may come from is broken."
        ) from error
