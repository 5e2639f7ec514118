"""The core's storage in memory, with the semantics of the one in Postgres.

`Disk` is what survives: rows, and the guards that the database has as triggers. `MemoryStore`
is one manager's way to it: every call takes time, may fail before anything happened, and may fail
after everything did.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any, TypeVar

from backendai.common.clock import Clock
from backendai.common.contracts.agent import AgentReport, KernelSpec
from backendai.common.enums import AgentStatus
from backendai.common.faults import KernelNotFound, StoreUnavailable
from backendai.common.ids import AgentId, KernelId, SessionId
from backendai.common.lifecycle import FINAL, HOLDING, SESSION_FINAL, SESSION_LIVE, SessionStatus
from backendai.manager.agents.model import AgentRow, Contact
from backendai.manager.agents.store import swarm_facts
from backendai.manager.lifecycle.changes import HINT_PLAN, enqueued, work_out
from backendai.manager.lifecycle.decide import KernelCase
from backendai.manager.lifecycle.enqueue import first_rows
from backendai.manager.lifecycle.hints import HintBoard
from backendai.manager.lifecycle.model import (
    Announcement,
    Changes,
    HistoryRow,
    KernelRow,
    Move,
    MovedKernel,
    NewSession,
    SessionRow,
    is_spread,
)
from backendai.manager.lifecycle.networks import Networks
from backendai.manager.lifecycle.specs import make_spec, source_of
from backendai.manager.lifecycle.store import DriftRow, OutboxRow, Placed
from backendai.manager.sched.admit import Candidate, admit, moves_of
from backendai.manager.sched.load import dependency_state, node_of, scopes_of
from backendai.manager.sched.plan import Placement
from backendai.manager.sched.reasons import WaitReason
from backendai.manager.sched.view import (
    Ask,
    Dependency,
    Group,
    KernelAsk,
    Node,
    Quota,
    ScopeKey,
    View,
    designate,
    to_units,
    units_of,
)

T = TypeVar("T")

# How often something can happen between a commit and its caller's knowing of it.
LATE_REPLIES = 0.3


@dataclass(slots=True)
class Allocation:
    kernel_id: KernelId
    generation: int
    slot: str
    agent_id: str
    amount: Decimal
    is_live: bool = True


@dataclass(slots=True)
class AgentRecord:
    """A node's row with the times that ages are made from."""

    row: AgentRow
    seen_at: float
    steady_at: float
    status_at: float


class IntegrityError(Exception):
    """What the database would have refused."""


@dataclass
class Disk:
    """Everything that is durable. `on_commit` is called after each write, inside it."""

    clock: Clock
    groups: dict[str, Group] = field(default_factory=lambda: {"default": Group("default")})
    limits: dict[ScopeKey, Quota] = field(default_factory=dict)
    on_commit: Callable[[Changes], None] = lambda changes: None

    def __post_init__(self) -> None:
        self.news: dict[SessionId, NewSession] = {}
        self.sessions: dict[SessionId, SessionRow] = {}
        self.kernels: dict[KernelId, KernelRow] = {}
        self.members: dict[SessionId, list[KernelId]] = {}
        self.created_at: dict[SessionId, datetime] = {}
        self.waiting: dict[SessionId, str] = {}
        self.allocations: list[Allocation] = []
        self.history: list[HistoryRow] = []
        self.outbox: list[tuple[int, Announcement, datetime]] = []
        self.relayed: set[int] = set()
        self.agents: dict[AgentId, AgentRecord] = {}
        self.capacities: dict[AgentId, dict[str, Decimal]] = {}
        self.leases: dict[str, tuple[str, float]] = {}
        self.boards: list[HintBoard] = []
        self.drop_hint: Callable[[], bool] = lambda: False
        # Whoever asks for a lease is told that it has it, as after a jump of the clock.
        self.is_lease_shared = False

    # Writing

    def insert(self, new: NewSession, now: datetime) -> SessionRow:
        if new.id in self.sessions:
            raise IntegrityError(f"session {new.id} exists")
        session, kernels = first_rows(new, now)
        self.news[new.id] = new
        self.sessions[new.id] = session
        self.created_at[new.id] = now
        self.members[new.id] = [row.id for row in kernels]
        for row in kernels:
            self.kernels[row.id] = row
        self._record(enqueued(session, kernels, now), now)
        return session

    def move(self, moves: Sequence[Move], now: datetime) -> list[MovedKernel]:
        grouped: dict[SessionId, list[Move]] = {}
        for move in moves:
            row = self.kernels.get(move.kernel_id)
            if row is None:
                raise KernelNotFound(str(move.kernel_id))
            grouped.setdefault(row.session_id, []).append(move)
        changes = [
            work_out(self.sessions[key], self.kernels_of(key), group, now)
            for key, group in grouped.items()
        ]
        for change in changes:
            self._write(change, now)
        return [moved for change in changes for moved in change.moved]

    def _write(self, change: Changes, now: datetime) -> None:
        for kernel_id, generation in change.freed:
            self.free(kernel_id, generation)
        for before, after in zip(change.before, change.after, strict=True):
            if before.status in FINAL and after.status is not before.status:
                raise IntegrityError(f"kernel {before.id} is {before.status}, which is final")
            self.kernels[after.id] = after
            self.guard_slots(after)
        was = change.session_before.status
        if was in SESSION_FINAL and change.session.status is not was:
            raise IntegrityError(f"session {change.session.id} is {was}, which is final")
        self.sessions[change.session.id] = change.session
        for row in change.taken:
            for slot, amount in row.requested_slots.items():
                assert row.agent_id is not None
                self.allocations.append(
                    Allocation(row.id, row.generation, slot, row.agent_id, Decimal(amount))
                )
        self._record(change, now)

    def guard_slots(self, row: KernelRow) -> None:
        """What the trigger does: a kernel that holds no room holds none in the books either."""
        if row.status not in HOLDING:
            self.free(row.id, None)

    def free(self, kernel_id: KernelId, generation: int | None) -> None:
        for one in self.allocations:
            if one.kernel_id == kernel_id and generation in (None, one.generation):
                one.is_live = False
        self.allocations = [one for one in self.allocations if one.is_live]

    def _record(self, change: Changes, now: datetime) -> None:
        self.history += change.history
        for one in change.announcements:
            self.outbox.append((len(self.outbox) + 1, one, now))
        self.on_commit(change)
        for hint in change.hints:
            self.notify(hint)

    def notify(self, hint: str) -> None:
        for board in self.boards:
            if not self.drop_hint():
                board.post(hint)

    # Reading

    def kernels_of(self, session_id: SessionId) -> list[KernelRow]:
        rows = [self.kernels[key] for key in self.members[session_id]]
        return sorted(rows, key=lambda row: row.rank)

    def case(self, row: KernelRow) -> KernelCase:
        session = self.sessions[row.session_id]
        return KernelCase(row, session.type, session.cluster_size)

    def occupied(self) -> dict[AgentId, dict[str, Decimal]]:
        sums: dict[AgentId, dict[str, Decimal]] = {}
        for one in self.allocations:
            slots = sums.setdefault(AgentId(one.agent_id), {})
            slots[one.slot] = slots.get(one.slot, Decimal(0)) + one.amount
        return sums

    def nodes(self) -> list[Node]:
        occupied = self.occupied()
        return [
            node_of(record.row, self.capacities.get(key, {}), occupied.get(key, {}))
            for key, record in sorted(self.agents.items())
        ]

    def aged(self, record: AgentRecord) -> AgentRow:
        now = self.clock.monotonic()
        return replace(
            record.row,
            silent_seconds=now - record.seen_at,
            steady_seconds=now - record.steady_at,
            status_seconds=now - record.status_at,
        )

    def quotas(self) -> dict[ScopeKey, Quota]:
        sessions = self.running_sessions()
        slots: dict[ScopeKey, dict[str, int]] = {}
        for one in self.allocations:
            new = self.news[self.kernels[one.kernel_id].session_id]
            for scope in scopes_of(new.access_key, new.project_id, new.domain_name):
                used = slots.setdefault(scope, {})
                used[one.slot] = used.get(one.slot, 0) + to_units(one.slot, one.amount)
        return {
            key: replace(quota, sessions=sessions.get(key, 0), slots=slots.get(key, {}))
            for key, quota in self.limits.items()
        }

    def running_sessions(self) -> dict[ScopeKey, int]:
        counts: dict[ScopeKey, int] = {}
        for row in self.sessions.values():
            if row.status in SESSION_LIVE and row.status is not SessionStatus.PENDING:
                key = ("keypair", row.access_key)
                counts[key] = counts.get(key, 0) + 1
        return counts

    def drift(self) -> list[DriftRow]:
        due = {
            (row.id, row.generation, slot, row.agent_id): Decimal(amount)
            for row in self.kernels.values()
            if row.status in HOLDING
            for slot, amount in row.requested_slots.items()
        }
        held = {
            (one.kernel_id, one.generation, one.slot, one.agent_id): one.amount
            for one in self.allocations
        }
        return [
            DriftRow(key[0], key[3], key[2], _text(due.get(key)), _text(held.get(key)))
            for key in [*due, *(key for key in held if key not in due)]
            if due.get(key) != held.get(key)
        ]


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


@dataclass(slots=True)
class Trouble:
    """How bad the way to the store is: rates of calls that fail before, and after, they worked."""

    delay: tuple[float, float] = (0.0, 0.0)
    refusal: float = 0.0
    unknown_commit: float = 0.0
    is_away: bool = False
    # Seconds that pass before placements are written, by when the plan is old.
    placing: tuple[float, float] = (0.0, 0.0)


class MemoryStore:
    """A CoreStore on a Disk."""

    def __init__(
        self,
        disk: Disk,
        random: Random,
        trouble: Trouble | None = None,
        gate: asyncio.Event | None = None,
    ) -> None:
        self.disk = disk
        self.gate = gate or open_gate()
        self.trouble = trouble or Trouble()
        self._random = random

    async def _call(self, work: Callable[[], T]) -> T:
        trouble, chance = self.trouble, self._random.random
        await self._travel()
        await self.gate.wait()
        if trouble.is_away or chance() < trouble.refusal:
            raise StoreUnavailable("the store refused, and nothing happened")
        done = work()
        if chance() < LATE_REPLIES:
            await self._travel()
        await self.gate.wait()
        if chance() < trouble.unknown_commit:
            raise StoreUnavailable("the connection broke; it is not known what happened")
        return done

    async def _travel(self) -> None:
        low, high = self.trouble.delay
        await asyncio.sleep(self._random.uniform(low, high) if high > 0 else 0)

    async def insert(self, new: NewSession, now: datetime) -> SessionRow:
        return await self._call(lambda: self.disk.insert(new, now))

    async def load_session(self, session_id: SessionId) -> tuple[SessionRow, list[KernelRow]]:
        disk = self.disk
        return await self._call(lambda: (disk.sessions[session_id], disk.kernels_of(session_id)))

    async def load_view(self) -> View:
        return await self._call(self._view)

    def _view(self) -> View:
        disk = self.disk
        asks = [
            self._ask(row) for row in disk.sessions.values() if row.status is SessionStatus.PENDING
        ]
        return View.of(disk.nodes(), asks, disk.groups.values(), disk.quotas() if asks else {})

    def _ask(self, row: SessionRow) -> Ask:
        disk, new = self.disk, self.disk.news[row.id]
        architectures = {one.id: one.architecture for one in new.kernels}
        kernels, is_single_node = disk.kernels_of(row.id), new.cluster_mode == "single-node"
        anywhere = [()] * len(kernels)
        each = designate(new.designated_agents, anywhere, is_single_node=is_single_node)
        return Ask(
            session_id=row.id,
            group=new.resource_group,
            kernels=tuple(
                KernelAsk(
                    one.id,
                    one.revision,
                    tuple(sorted(units_of(one.requested_slots).items())),
                    architectures[one.id],
                    one.failed_agents,
                    designated,
                )
                for one, designated in zip(kernels, each, strict=True)
            ),
            priority=new.priority,
            created_at=disk.created_at[row.id],
            is_single_node=is_single_node,
            starts_at=new.starts_at,
            dependencies=tuple(self._dependency(other) for other in new.depends_on),
            scopes=scopes_of(new.access_key, new.project_id, new.domain_name),
            waiting_digest=disk.waiting.get(row.id, ""),
        )

    def _dependency(self, session_id: SessionId) -> Dependency:
        row = self.disk.sessions[session_id]
        state = dependency_state(row.status, row.result, row.type)
        return Dependency(row.id, row.name, row.status, state)

    async def place(self, placements: Sequence[Placement], now: datetime) -> Placed:
        low, high = self.trouble.placing
        if high > 0:
            await asyncio.sleep(self._random.uniform(low, high))
        return await self._call(lambda: self._place(placements, now))

    def _place(self, placements: Sequence[Placement], now: datetime) -> Placed:
        disk = self.disk
        candidates = {one.session_id: self._candidate(one.session_id) for one in placements}
        admitted, refused = admit(placements, candidates, disk.nodes(), disk.quotas())
        moves = moves_of(admitted)
        return Placed(tuple(disk.move(moves, now)), tuple(refused))

    def _candidate(self, session_id: SessionId) -> Candidate:
        rows, new = self.disk.kernels_of(session_id), self.disk.news[session_id]
        return Candidate(
            session_id,
            scopes_of(new.access_key, new.project_id, new.domain_name),
            {row.id: row.revision for row in rows if row.status.value == "PENDING"},
            {row.id: units_of(row.requested_slots) for row in rows},
            is_spread(self.disk.sessions[session_id]),
        )

    async def write_waits(self, waits: Sequence[tuple[Ask, WaitReason]], now: datetime) -> None:
        def write() -> None:
            for ask, reason in waits:
                if self.disk.sessions[ask.session_id].status is SessionStatus.PENDING:
                    self.disk.waiting[ask.session_id] = reason.digest

        await self._call(write)

    async def hold_lease(self, name: str, holder: str, seconds: float) -> bool:
        def hold() -> bool:
            now = self.disk.clock.monotonic()
            owner, until = self.disk.leases.get(name, ("", 0.0))
            is_taken = owner not in ("", holder) and until > now
            if is_taken and not self.disk.is_lease_shared:
                return False
            self.disk.leases[name] = (holder, now + seconds)
            return True

        return await self._call(hold)

    async def end_leases(self, holder: str) -> None:
        def end() -> None:
            held = [name for name, (owner, _) in self.disk.leases.items() if owner == holder]
            for name in held:
                del self.disk.leases[name]

        await self._call(end)

    async def load_cases(self, agent_id: AgentId, reported: Sequence[str]) -> list[KernelCase]:
        told = {uuid.UUID(key) for key in reported}

        def load() -> list[KernelCase]:
            return [
                self.disk.case(row)
                for row in self.disk.kernels.values()
                if (row.agent_id == agent_id and row.status in HOLDING) or row.id in told
            ]

        return await self._call(load)

    async def load_specs(self, kernel_ids: Sequence[KernelId]) -> dict[KernelId, KernelSpec]:
        return await self._call(lambda: {key: self._spec(key) for key in kernel_ids})

    async def find_login(self, image: str) -> None:
        return None

    def _spec(self, kernel_id: KernelId) -> KernelSpec:
        row = self.disk.kernels[kernel_id]
        new = self.disk.news[row.session_id]
        made = next(one for one in new.kernels if one.id == kernel_id)
        values: dict[str, Any] = {
            "session_id": new.id,
            "name": new.name,
            "type": new.type.value,
            "image": made.image,
            "digest": "",
            "labels": {},
            "is_local": False,
            "architecture": made.architecture,
            "requested_slots": made.requested_slots,
            "shared_memory_bytes": made.shared_memory_bytes,
            "environ": new.environ,
            "startup_command": new.startup_command,
            "bootstrap_script": new.bootstrap_script,
            "cluster_mode": new.cluster_mode,
            "cluster_role": made.cluster_role.value,
            "cluster_index": made.cluster_index,
            "cluster_hostname": made.cluster_hostname,
            "access_key": new.access_key,
            "email": "",
            "domain_name": new.domain_name,
            "project": "",
            "preopen_ports": new.preopen_ports,
            "dotfiles": None,
            "mounts": None,
        }
        return make_spec(source_of(values, [one.cluster_hostname for one in new.kernels]))

    async def move(self, moves: Sequence[Move], now: datetime) -> list[MovedKernel]:
        return await self._call(lambda: self.disk.move(moves, now))

    async def load_overdue(self, now: datetime) -> list[KernelCase]:
        def load() -> list[KernelCase]:
            return [
                self.disk.case(row)
                for row in self.disk.kernels.values()
                if row.deadline_at is not None and row.deadline_at <= now
            ]

        return await self._call(load)

    async def note_use(self, uses: Mapping[KernelId, Mapping[str, Any]]) -> None:
        await self._call(lambda: None)

    async def hear(
        self,
        agent_id: AgentId,
        instance: str,
        gap_seconds: float,
        use: Mapping[str, Any] | None = None,
    ) -> bool:
        def hear() -> bool:
            record = self.disk.agents.get(agent_id)
            if record is None or record.row.instance != instance:
                return False
            now = self.disk.clock.monotonic()
            if now - record.seen_at >= gap_seconds:
                record.steady_at = now
            record.seen_at = now
            return True

        return await self._call(hear)

    async def record_report(self, contact: Contact, report: AgentReport) -> None:
        await self._call(lambda: self._record_report(contact, report))

    def _record_report(self, contact: Contact, report: AgentReport) -> None:
        now = self.disk.clock.monotonic()
        record = self.disk.agents.get(contact.agent_id)
        if record is None:
            row = AgentRow(id=contact.agent_id, status=AgentStatus.ALIVE, address="", public_key="")
            record = self.disk.agents[contact.agent_id] = AgentRecord(row, now, now, now)
        record.row = replace(
            record.row,
            address=contact.address,
            public_key=contact.public_key,
            instance=report.instance,
            resource_group=report.resource_group,
            architecture=report.architecture,
            engine_reachable=report.engine_reachable,
            engine_detail=report.engine_detail,
            halted=report.halted,
            swarm=swarm_facts(report.swarm),
        )
        capacity = {slot: Decimal(amount) for slot, amount in report.capacity.items()}
        self.disk.capacities[contact.agent_id] = capacity
        self.disk.notify(HINT_PLAN)

    async def list_agents(self) -> list[AgentRow]:
        disk = self.disk
        return await self._call(lambda: [disk.aged(one) for _, one in sorted(disk.agents.items())])

    async def set_agent_status(self, row: AgentRow, status: AgentStatus, flaps: int) -> bool:
        def write() -> bool:
            record = self.disk.agents[row.id]
            if record.row.status is not row.status:
                return False
            record.row = replace(record.row, status=status, flaps=flaps)
            record.status_at = self.disk.clock.monotonic()
            self.disk.notify(HINT_PLAN)
            return True

        return await self._call(write)

    async def load_outbox(self, limit: int) -> list[OutboxRow]:
        def load() -> list[OutboxRow]:
            return [
                OutboxRow(key, one.session_id, one.name, one.payload, at)
                for key, one, at in self.disk.outbox
                if key not in self.disk.relayed
            ][:limit]

        return await self._call(load)

    async def mark_relayed(self, ids: Sequence[int]) -> None:
        await self._call(lambda: self.disk.relayed.update(ids))

    async def prune(self, before: datetime) -> int:
        return await self._call(lambda: 0)

    async def load_networks(self, there: Sequence[SessionId]) -> Networks:
        return await self._call(lambda: self._networks(there))

    def _networks(self, there: Sequence[SessionId]) -> Networks:
        disk = self.disk
        wanted: dict[SessionId, frozenset[str]] = {}
        for row in disk.kernels.values():
            if row.status in HOLDING and is_spread(disk.sessions[row.session_id]):
                swarm = disk.agents[AgentId(str(row.agent_id))].row.swarm
                known = wanted.get(row.session_id, frozenset())
                wanted[row.session_id] = known | frozenset(swarm.get("managers", ()))
        known_there = (disk.sessions[key] for key in there if key in disk.sessions)
        over = frozenset(row.id for row in known_there if row.status in SESSION_FINAL)
        return Networks(wanted, over)

    async def load_drift(self) -> list[DriftRow]:
        return await self._call(self.disk.drift)


def open_gate() -> asyncio.Event:
    """What a manager must pass at each call; while it is cleared the manager stands still."""
    gate = asyncio.Event()
    gate.set()
    return gate
