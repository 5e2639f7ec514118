"""The core's storage in Postgres: one transaction, or one statement, for each method."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID, aggregate_order_by
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.contracts.agent import AgentReport, ClusterKey, KernelSpec, RegistryLogin
from backendai.common.enums import AgentStatus, ClusterMode, SessionType
from backendai.common.failpoints import failpoint
from backendai.common.ids import AgentId, IdSource, KernelId, SessionId, uuid_of
from backendai.common.lifecycle import HOLDING, LIVE, SESSION_FINAL
from backendai.manager.agents import store as agents
from backendai.manager.agents.model import AgentRow, Contact
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.dotfiles.store import files_of_session
from backendai.manager.sched.apply import apply_placements, write_waits
from backendai.manager.sched.load import load_view
from backendai.manager.sched.placement import Placement
from backendai.manager.sched.reasons import WaitReason
from backendai.manager.sched.view import Ask, View

from .decide import KernelCase
from .model import Move, MovedKernel
from .moves import KERNEL_COLUMNS, NOTIFY_CHANNEL, kernel_row, move_kernels
from .networks import Networks
from .specs import make_spec, source_of
from .store import DriftRow, OutboxRow, Placed

_k: Final = t.kernels.c
_s: Final = t.sessions.c
_HOLDING: Final = sorted(status.value for status in HOLDING)
_LIVE: Final = sorted(status.value for status in LIVE)
_SESSION_FINAL: Final = sorted(status.value for status in SESSION_FINAL)
_PRUNE_ROWS_MAX: Final = 5000

# Kernels that are being moved are left out: usage is no news, and nobody waits in a circle for it.
_NOTE_USE: Final = sa.text("""
UPDATE kernels SET last_use = x.use
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x(id uuid, use jsonb), (
  SELECT id FROM kernels
  WHERE id IN (SELECT y.id FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS y(id uuid))
  FOR NO KEY UPDATE SKIP LOCKED
) AS free
WHERE kernels.id = x.id AND kernels.id = free.id
""")


class Logins(Protocol):
    async def find_login(self, conn: AsyncConnection, image: str) -> RegistryLogin | None: ...


class PostgresStore:
    """A CoreStore. Image lists are written where they differ from what this store last wrote.
    Without `logins` every registry is asked as a stranger; `seeds` gives what the kernels of one
    session have their key for SSH of, without which siblings let each other in by none."""

    def __init__(
        self,
        database: Database,
        ids: IdSource,
        logins: Logins | None = None,
        seeds: Callable[[str], bytes] | None = None,
    ) -> None:
        self._database = database
        self._ids = ids
        self._logins = logins
        self._seeds = seeds
        self._images: dict[str, bytes] = {}

    async def load_view(self) -> View:
        return await self._database.read(load_view)

    async def place(self, placements: Sequence[Placement], now: datetime) -> Placed:
        async def work(conn: AsyncConnection) -> Placed:
            moved, refused = await apply_placements(conn, placements, now)
            return Placed(tuple(moved), tuple(refused))

        placed = await self._database.transact(work)
        await failpoint("manager.plan.after_apply")
        return placed

    async def write_waits(self, waits: Sequence[tuple[Ask, WaitReason]], now: datetime) -> None:
        await self._database.put(lambda conn: write_waits(conn, waits, now))

    async def hold_lease(self, name: str, holder: str, seconds: float) -> bool:
        return await self._database.put(lambda conn: _hold(conn, name, holder, seconds))

    async def end_leases(self, holder: str) -> None:
        ended = sa.update(t.leases).where(t.leases.c.holder == holder)
        await self._database.put(lambda conn: conn.execute(ended.values(expires_at=sa.func.now())))

    async def load_cases(self, agent_id: AgentId, reported: Sequence[str]) -> list[KernelCase]:
        placed = sa.and_(_k.agent_id == agent_id, _k.status.in_(_HOLDING))
        # One array, so that the statement is the same however many there are.
        ids = [found for key in reported if (found := uuid_of(key))]
        told = _k.id == sa.any_(sa.literal(ids, ARRAY(UUID(as_uuid=True))))
        return await self._load_cases(sa.or_(placed, told))

    async def load_overdue(self, now: datetime) -> list[KernelCase]:
        return await self._load_cases(sa.and_(_k.status.in_(_LIVE), _k.deadline_at <= now))

    async def _load_cases(self, condition: sa.ColumnElement[bool]) -> list[KernelCase]:
        statement = (
            sa.select(*KERNEL_COLUMNS, _s.type.label("session_type"), _s.cluster_size)
            .join(t.sessions, _s.id == _k.session_id)
            .where(condition)
            .order_by(_k.id)
        )

        async def work(conn: AsyncConnection) -> list[KernelCase]:
            found = await conn.execute(statement)
            return [_case(row._mapping) for row in found]

        return await self._database.read(work)

    async def load_specs(self, kernel_ids: Sequence[KernelId]) -> dict[KernelId, KernelSpec]:
        return await self._database.read(lambda conn: _load_specs(conn, kernel_ids, self._seeds))

    async def find_login(self, image: str) -> RegistryLogin | None:
        logins = self._logins
        if logins is None:
            return None
        return await self._database.read(lambda conn: logins.find_login(conn, image))

    async def move(self, moves: Sequence[Move], now: datetime) -> list[MovedKernel]:
        moved = await self._database.transact(lambda conn: move_kernels(conn, moves, now))
        await failpoint("manager.moves.after_commit")
        return moved

    async def note_use(self, uses: Mapping[KernelId, Mapping[str, Any]]) -> None:
        rows = [{"id": str(key), "use": use} for key, use in sorted(uses.items())]
        text = msgspec.json.encode(rows).decode()
        await self._database.put(lambda conn: conn.execute(_NOTE_USE, {"rows": text}))

    async def hear(
        self,
        agent_id: AgentId,
        instance: str,
        gap_seconds: float,
        use: Mapping[str, Any] | None = None,
    ) -> bool:
        return await self._database.put(
            lambda conn: agents.hear(conn, agent_id, gap_seconds, instance, use)
        )

    async def record_report(self, contact: Contact, report: AgentReport) -> None:
        digest = hashlib.sha256(msgspec.json.encode(report.images)).digest()
        is_known = self._images.get(report.agent_id) == digest

        async def work(conn: AsyncConnection) -> None:
            await agents.record_report(conn, contact, report)
            if not is_known:
                await agents.record_images(conn, contact.agent_id, report.images, self._ids)
            await _notify_planner(conn)

        await self._database.transact(work)
        self._images[report.agent_id] = digest

    async def list_agents(self) -> list[AgentRow]:
        return await self._database.read(agents.list_agents)

    async def set_agent_status(self, row: AgentRow, status: AgentStatus, flaps: int) -> bool:
        async def work(conn: AsyncConnection) -> bool:
            is_moved = await agents.set_status(conn, row, status, flaps)
            await _notify_planner(conn)
            return is_moved

        return await self._database.transact(work)

    async def load_outbox(self, limit: int) -> list[OutboxRow]:
        o = t.outbox.c
        statement = (
            sa.select(o.id, o.session_id, o.name, o.payload, o.created_at)
            .where(o.relayed_at.is_(None))
            .order_by(o.id)
            .limit(limit)
        )

        async def work(conn: AsyncConnection) -> list[OutboxRow]:
            return [OutboxRow(*row) for row in await conn.execute(statement)]

        return await self._database.read(work)

    async def mark_relayed(self, ids: Sequence[int]) -> None:
        statement = (
            sa.update(t.outbox)
            .where(t.outbox.c.id.in_(ids), t.outbox.c.relayed_at.is_(None))
            .values(relayed_at=sa.func.now())
        )
        await self._database.put(lambda conn: conn.execute(statement))

    async def prune(self, before: datetime) -> int:
        return await self._database.transact(lambda conn: _prune(conn, before))

    async def load_networks(self, there: Sequence[SessionId]) -> Networks:
        return await self._database.read(lambda conn: _load_networks(conn, there))

    async def load_drift(self) -> list[DriftRow]:
        statement = sa.text("SELECT kernel_id, agent_id, slot, due, held FROM slot_drift")

        async def work(conn: AsyncConnection) -> list[DriftRow]:
            return [_drift(row) for row in await conn.execute(statement)]

        return await self._database.read(work)


async def _notify_planner(conn: AsyncConnection) -> None:
    await conn.execute(sa.text("SELECT pg_notify(:channel, 'plan')"), {"channel": NOTIFY_CHANNEL})


async def _hold(conn: AsyncConnection, name: str, holder: str, seconds: float) -> bool:
    until = sa.func.now() + sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    lease = t.leases.c
    statement = upsert(t.leases).values(name=name, holder=holder, epoch=1, expires_at=until)
    taken = await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["name"],
            set_={
                "holder": holder,
                "expires_at": until,
                "epoch": sa.case((lease.holder == holder, lease.epoch), else_=lease.epoch + 1),
            },
            where=sa.or_(lease.holder == holder, lease.expires_at <= sa.func.now()),
        ).returning(lease.name)
    )
    return taken.first() is not None


def _mounts_of_session() -> sa.ScalarSelect[Any]:
    """A column of a statement on sessions: the rows of session_mounts of one, in their order."""
    mounts = t.session_mounts
    ranked = aggregate_order_by(sa.func.to_jsonb(mounts.table_valued()), mounts.c.position)
    whole = sa.func.jsonb_agg(ranked, type_=JSONB)
    return (
        sa.select(whole).where(mounts.c.session_id == _s.id).correlate(t.sessions).scalar_subquery()
    )


async def _load_specs(
    conn: AsyncConnection,
    kernel_ids: Sequence[KernelId],
    seeds: Callable[[str], bytes] | None,
) -> dict[KernelId, KernelSpec]:
    sibling = t.kernels.alias("sibling")
    ranked = aggregate_order_by(
        sibling.c.cluster_hostname, sibling.c.cluster_role, sibling.c.cluster_index
    )
    hosts = (
        sa.select(sa.func.array_agg(ranked))
        .where(sibling.c.session_id == _k.session_id)
        .scalar_subquery()
    )
    found = await conn.execute(
        sa.select(
            _k.id,
            _k.session_id,
            _k.image,
            _k.architecture,
            _k.requested_slots,
            _k.shared_memory_bytes,
            _k.cluster_role,
            _k.cluster_index,
            _k.cluster_hostname,
            _s.name,
            _s.type,
            _s.cluster_mode,
            _s.environ,
            _s.startup_command,
            _s.bootstrap_script,
            _s.preopen_ports,
            _s.access_key,
            _s.domain_name,
            t.users.c.email,
            t.projects.c.name.label("project"),
            t.images.c.digest,
            t.images.c.labels,
            t.images.c.is_local,
            hosts.label("hosts"),
            files_of_session().label("dotfiles"),
            _mounts_of_session().label("mounts"),
        )
        .join(t.sessions, _s.id == _k.session_id)
        .join(t.users, t.users.c.id == _s.user_id)
        .join(t.projects, t.projects.c.id == _s.project_id)
        .outerjoin(t.images, t.images.c.id == _k.image_id)
        .where(_k.id.in_(kernel_ids))
    )
    specs: dict[KernelId, KernelSpec] = {}
    for row in [row._mapping for row in found]:
        key = ClusterKey(seeds(str(row["session_id"])).hex()) if seeds is not None else None
        specs[KernelId(row["id"])] = make_spec(source_of(row, row["hosts"], key))
    return specs


async def _load_networks(conn: AsyncConnection, there: Sequence[SessionId]) -> Networks:
    wanted = await conn.execute(
        sa.select(_s.id, t.agents.c.swarm["managers"].label("managers"))
        .distinct()
        .join(t.kernels, _k.session_id == _s.id)
        .join(t.agents, t.agents.c.id == _k.agent_id)
        .where(
            _s.cluster_mode == ClusterMode.MULTI_NODE.value,
            _s.cluster_size > 1,
            _k.status.in_(_HOLDING),
        )
    )
    managers: dict[SessionId, frozenset[str]] = {}
    for row in wanted:
        known = managers.get(SessionId(row.id), frozenset())
        managers[SessionId(row.id)] = known | frozenset(row.managers or ())
    over = sa.select(_s.id).where(_s.id.in_(there), _s.status.in_(_SESSION_FINAL))
    return Networks(managers, frozenset(SessionId(key) for key in await conn.scalars(over)))


async def _prune(conn: AsyncConnection, before: datetime) -> int:
    old = (
        sa.select(t.outbox.c.id)
        .where(t.outbox.c.relayed_at.is_not(None), t.outbox.c.created_at < before)
        .limit(_PRUNE_ROWS_MAX)
    )
    events = await conn.execute(
        sa.delete(t.outbox).where(t.outbox.c.id.in_(old.scalar_subquery())).returning(t.outbox.c.id)
    )
    tokens = await conn.execute(
        sa.delete(t.idempotency)
        .where(t.idempotency.c.created_at < before)
        .returning(t.idempotency.c.token)
    )
    return len(events.fetchall()) + len(tokens.fetchall())


def _case(row: Mapping[Any, Any]) -> KernelCase:
    return KernelCase(kernel_row(row), SessionType(row["session_type"]), row["cluster_size"])


def _drift(row: Any) -> DriftRow:
    kernel_id, agent_id, slot, due, held = row
    return DriftRow(
        KernelId(kernel_id),
        agent_id,
        slot,
        None if due is None else str(due),
        None if held is None else str(held),
    )
