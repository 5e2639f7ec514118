"""Circuits and permits in PostgreSQL, as one app proxy reads and writes them.

What is live is told by the view `live_circuits` alone. Raises StoreUnavailable while the database
is away.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from backendai.common.faults import CircuitNotFound, Conflict, StoreUnavailable
from backendai.common.logs import get_logger
from backendai.common.settings.sections import DbSettings

from .model import Circuit, Permit, Protocol, parse_networks

log = get_logger(__name__)

_CONNECT_SECONDS: Final = 3.0
_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
)

_COLUMNS: Final = (
    "id, session_id, kernel_id, generation, agent_id, app, port, protocol, owner, access_key, "
    "is_public, allowed_ips, subdomain, public_port, relay_addr"
)
_LIVE: Final = f"SELECT {_COLUMNS} FROM live_circuits WHERE proxy = $1"  # noqa: S608
_PERMITS: Final = (
    "SELECT circuit_id, hash, address, expires_at FROM permits "
    "WHERE circuit_id = ANY($1::uuid[]) AND expires_at > now()"
)
_INSERT: Final = """
INSERT INTO circuits (id, session_id, kernel_id, generation, agent_id, app, port, protocol, owner,
  access_key, is_public, allowed_ips, proxy, subdomain, public_port, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
  now() + make_interval(secs => $16))
"""
_INSERT_PERMIT: Final = """
INSERT INTO permits (hash, circuit_id, address, expires_at)
VALUES ($1, $2, $3, now() + make_interval(secs => $4)) ON CONFLICT DO NOTHING
RETURNING expires_at
"""
_MOVE: Final = """
WITH moved AS (UPDATE permits SET expires_at = now() + make_interval(secs => $2)
  WHERE circuit_id = ANY($1::uuid[]) AND hash = ANY($3::bytea[]))
UPDATE circuits SET expires_at = now() + make_interval(secs => $2), used_at = now()
WHERE id = ANY($1::uuid[]) AND closed_at IS NULL
"""
_CLOSE: Final = """
UPDATE circuits SET closed_at = now(), close_reason = $3
WHERE proxy = $1 AND id = ANY($2::uuid[]) AND closed_at IS NULL
"""
# Those that lead nowhere any more give their ports back.
_OPEN_BUT_DEAD: Final = """
SELECT id FROM circuits WHERE proxy = $1 AND closed_at IS NULL
  AND id NOT IN (SELECT id FROM live_circuits WHERE proxy = $1)
"""


class CircuitStore:
    """`proxy` is the name of this app proxy; nobody else writes its circuits."""

    def __init__(self, pool: asyncpg.Pool, proxy: str) -> None:
        self._pool = pool
        self._proxy = proxy

    async def load_live(self) -> tuple[list[Circuit], list[Permit]]:
        async with self._connection() as connection:
            circuits = [_circuit_of(row) for row in await connection.fetch(_LIVE, self._proxy)]
            rows = await connection.fetch(_PERMITS, [circuit.id for circuit in circuits])
            return circuits, [Permit(*row) for row in rows]

    async def find_live(self, circuit_id: uuid.UUID) -> Circuit | None:
        async with self._connection() as connection:
            row = await connection.fetchrow(f"{_LIVE} AND id = $2", self._proxy, circuit_id)
            return _circuit_of(row) if row is not None else None

    async def add(self, circuit: Circuit, lifetime_seconds: float) -> None:
        """Raises Conflict when its port or its subdomain is taken."""
        values = (
            circuit.id,
            circuit.session_id,
            circuit.kernel_id,
            circuit.generation,
            circuit.agent_id,
            circuit.app,
            circuit.port,
            circuit.protocol.value,
            circuit.owner,
            circuit.access_key,
            circuit.is_public,
            [str(network) for network in circuit.allowed] or None,
            self._proxy,
            circuit.subdomain,
            circuit.public_port,
            lifetime_seconds,
        )
        async with self._connection() as connection:
            try:
                await connection.execute(_INSERT, *values)
            except asyncpg.UniqueViolationError as error:
                raise Conflict("Its port or its name is taken.") from error

    async def add_permit(
        self, circuit_id: uuid.UUID, digest: bytes, address: str, lifetime_seconds: float
    ) -> Permit | None:
        """None when it was there before: each may be given once. Raises CircuitNotFound for a
        circuit that went together with its owner."""
        async with self._connection() as connection:
            try:
                expires_at = await connection.fetchval(
                    _INSERT_PERMIT, digest, circuit_id, address, lifetime_seconds
                )
            except asyncpg.ForeignKeyViolationError as error:
                raise CircuitNotFound from error
        return Permit(circuit_id, digest, address, expires_at) if expires_at else None

    async def move_expiry(
        self, used: Collection[uuid.UUID], permits: Collection[bytes], lifetime_seconds: float
    ) -> None:
        async with self._connection() as connection:
            await connection.execute(_MOVE, list(used), lifetime_seconds, list(permits))

    async def list_dead(self) -> frozenset[uuid.UUID]:
        """Circuits that nobody has closed and that lead nowhere."""
        async with self._connection() as connection:
            return frozenset(row[0] for row in await connection.fetch(_OPEN_BUT_DEAD, self._proxy))

    async def close(self, circuit_ids: Collection[uuid.UUID], reason: str) -> None:
        async with self._connection() as connection:
            await connection.execute(_CLOSE, self._proxy, list(circuit_ids), reason)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            async with self._pool.acquire(timeout=_CONNECT_SECONDS) as connection:
                yield connection
        except _AWAY as error:
            raise StoreUnavailable("The database does not answer.") from error
        except asyncpg.PostgresError as error:
            # It is full, read-only after a failover, being migrated: who is here stays here.
            log.warning("store.refused", error=repr(error))
            raise StoreUnavailable("The database refuses what it is asked.") from error


@asynccontextmanager
async def open_store(settings: DbSettings, proxy: str) -> AsyncIterator[CircuitStore]:
    """Connects when first used, so that a daemon starts beside a database that does not."""
    pool = asyncpg.create_pool(
        host=settings.addr.host,
        port=settings.addr.port,
        user=settings.user,
        password=settings.password or None,
        database=settings.name,
        min_size=0,
        max_size=settings.pool_size,
        timeout=_CONNECT_SECONDS,
        command_timeout=settings.statement_timeout,
        server_settings={"application_name": f"backendai wsproxy {proxy}"},
    )
    await pool
    try:
        yield CircuitStore(pool, proxy)
    finally:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await pool.close()
        except TimeoutError:
            pool.terminate()


def _circuit_of(row: Any) -> Circuit:
    return Circuit(
        id=row["id"],
        session_id=row["session_id"],
        kernel_id=row["kernel_id"],
        generation=row["generation"],
        agent_id=row["agent_id"],
        app=row["app"],
        port=row["port"],
        protocol=Protocol(row["protocol"]),
        owner=row["owner"],
        access_key=row["access_key"],
        is_public=row["is_public"],
        allowed=parse_networks(row["allowed_ips"] or ()),
        subdomain=row["subdomain"],
        public_port=row["public_port"],
        relay_address=row["relay_addr"],
    )
