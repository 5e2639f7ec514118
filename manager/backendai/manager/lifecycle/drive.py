"""One observer for each agent: it reads the agent's level, moves kernels, and gives orders.

Two loops share what was last reported. One long-polls the agent; the other compares and acts, at
each report, at each hint that the database changed, and each period. Nothing here is remembered
that cannot be lost: a new observer finds the same work.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from backendai.common.clock import Clock
from backendai.common.contracts.agent import (
    ENSURE,
    OBSERVE,
    AgentReport,
    Desired,
    EnsureKernel,
    KernelReport,
    KernelSpec,
    KernelState,
    Observe,
    RegistryLogin,
)
from backendai.common.enums import Reason
from backendai.common.failpoints import failpoint
from backendai.common.faults import AgentInvalidInput, Fault, Stale
from backendai.common.ids import AgentId, Generation, KernelId, SessionId
from backendai.common.lifecycle import KernelEvent
from backendai.common.logs import get_logger
from backendai.common.loops import LoopHealth, Wake, supervise
from backendai.manager.agents.health import fault_of, use_of
from backendai.manager.agents.link import AgentLink
from backendai.manager.agents.model import Contact, Patience
from backendai.manager.idle.utilization import busy_accelerators

from .decide import Absences, Findings, KernelCase, Order, decide
from .model import Move
from .store import CoreStore

log = get_logger(__name__)

ENSURE_TIMEOUT_SECONDS: Final = 5.0
# An order is repeated after so long, unless the report has answered it.
REPEAT_SECONDS: Final = 5.0
USE_SECONDS: Final = 5.0
ORDERS_AT_ONCE: Final = 8
BACKOFF_SECONDS: Final = 0.2
# Beyond the time that an answer may take, the way there and back.
ROUND_TRIP_SECONDS: Final = 5.0


class RelayKeys(Protocol):
    """Gives an agent what its relay knows tickets by."""

    async def give(self, agent_id: AgentId) -> None:
        """Idempotent. Raises the agent's fault, or AgentTimeout."""
        ...

    def version(self) -> object:
        """Of what is given: agents are told again of another one."""
        ...


@dataclass(frozen=True, slots=True)
class _Asked:
    generation: Generation
    desired: Desired
    at: float


class AgentObserver:
    """Watches and drives one agent."""

    def __init__(
        self,
        contact: Contact,
        store: CoreStore,
        link: AgentLink,
        clock: Clock,
        *,
        patience: Patience,
        health: LoopHealth | None = None,
        relay_keys: RelayKeys | None = None,
    ) -> None:
        self.contact = contact
        self.orphans: tuple[KernelReport, ...] = ()
        self._store = store
        self._link = link
        self._clock = clock
        self._patience = patience
        self._health = health
        self._relay_keys = relay_keys
        self._keyed: tuple[str, object] = ("", None)
        self._new_life = Wake()
        self._report: AgentReport | None = None
        self._is_new_report = False
        self._recorded = b""
        self._heard_at = float("-inf")
        self._used_at = float("-inf")
        self._asked: dict[KernelId, _Asked] = {}
        self._absences = Absences()
        self._giving: dict[KernelId, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(ORDERS_AT_ONCE)
        self.wake = Wake()

    @property
    def report(self) -> AgentReport | None:
        """What the agent said last."""
        return self._report

    async def run(self) -> None:
        """Until cancelled."""
        await self._link.connect(self.contact)
        agent = self.contact.agent_id
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._observe_for_ever(), name=f"agent.observe:{agent}")
            tasks.create_task(
                supervise(
                    f"agent.drive:{agent}",
                    lambda: self._drive(tasks),
                    period_seconds=self._patience.heartbeat_seconds,
                    clock=self._clock,
                    wake=self.wake,
                    health=self._health,
                ),
                name=f"agent.drive:{agent}",
            )
            if self._relay_keys is not None:
                giving = supervise(
                    f"agent.keys:{agent}",
                    partial(self._give_keys, self._relay_keys),
                    period_seconds=self._patience.heartbeat_seconds,
                    clock=self._clock,
                    wake=self._new_life,
                )
                tasks.create_task(giving, name=f"agent.keys:{agent}")

    async def _give_keys(self, keys: RelayKeys) -> None:
        """Once to each life of an agent that has a relay, and again when they are others."""
        report = self._report
        if report is None or not report.relay_addr:
            return
        due = (report.instance, keys.version())
        if due != self._keyed:
            await keys.give(self.contact.agent_id)
            self._keyed = due

    async def _observe_for_ever(self) -> None:
        failures = 0
        while True:
            try:
                await self._observe()
                failures = 0
            except Fault as fault:
                failures += 1
                self._forget_contact(fault, failures)
                pause = min(BACKOFF_SECONDS * 2.0**failures, self._patience.heartbeat_seconds)
                await self._clock.sleep(pause)

    async def _observe(self) -> None:
        """Wait for the agent's next word and take it."""
        known = self._report
        wait = self._patience.heartbeat_seconds
        request = Observe(
            instance=known.instance if known else "",
            after=known.version if known else 0,
            wait_seconds=wait,
        )
        report = await self._link.ask(
            self.contact.agent_id, OBSERVE, request, wait + ROUND_TRIP_SECONDS
        )
        await failpoint("manager.observe.after_reply")
        wrong = fault_of(report, self.contact.agent_id)
        if wrong:
            log.error("agent.bad_report", agent=self.contact.agent_id, why=wrong)
            await self._clock.sleep(wait)
            return
        is_known = self._digest(report) == self._recorded
        if not is_known:
            await self._record(report)
        if known is not None and known.instance != report.instance:
            # It was restarted: what was asked of its former life may be forgotten there.
            self._asked.clear()
        self._report = report
        if report.instance != self._keyed[0]:
            self._new_life.hint()
        self._is_new_report = True
        self.wake.hint()
        # Nobody waits for the note that it was heard; the kernels' news come first.
        if is_known and not await self._hear(report):
            await self._record(report)

    async def _record(self, report: AgentReport) -> None:
        """Write what the node says of itself, and that it was heard."""
        await self._store.record_report(self.contact, report)
        self._heard_at = float("-inf")
        await self._hear(report)
        self._recorded = self._digest(report)

    async def _hear(self, report: AgentReport) -> bool:
        """Note that it was heard, not at each word; False when its report must be recorded."""
        now = self._clock.monotonic()
        if now - self._heard_at < self._patience.heartbeat_seconds / 2:
            return True
        gap = self._patience.suspect_after_seconds
        use = use_of(report, self._clock.now())
        is_heard = await self._store.hear(self.contact.agent_id, report.instance, gap, use)
        if is_heard:
            self._heard_at = now
        return is_heard

    def _digest(self, report: AgentReport) -> bytes:
        """What a report says of the node itself: not of its kernels, nor how busy it is."""
        return msgspec.json.encode(
            msgspec.structs.replace(
                report,
                version=0,
                kernels=[],
                cpu_percent=0.0,
                memory_used_bytes=0,
                told_at=0.0,
                disks=[],
                swarm=msgspec.structs.replace(report.swarm, networks=[]),
            )
        )

    def _forget_contact(self, fault: Fault, failures: int) -> None:
        self._absences.forget()
        if failures == 1:
            log.warning(
                "agent.not_heard",
                agent=self.contact.agent_id,
                code=fault.code,
                detail=fault.detail,
            )

    async def _drive(self, tasks: asyncio.TaskGroup) -> None:
        """One look: rows against the report, moves written, orders sent on their way."""
        report = self._report
        reports = report.kernels if report is not None else []
        # What is gone matters where it is placed, and what is placed is loaded anyway.
        there = [one.kernel_id for one in reports if one.state is not KernelState.GONE]
        cases = await self._store.load_cases(self.contact.agent_id, there)
        # A node that cannot see its engine reports what it can; what it leaves out proves nothing.
        is_complete = report is not None and report.engine_reachable
        now = self._clock.monotonic()
        findings = decide(
            self.contact.agent_id,
            cases,
            reports,
            is_complete=is_complete,
            missing=self._absences.proven(now),
        )
        self._note_absences(findings, is_complete, now)
        self._list_orphans(findings.orphans)
        await self._move(findings.moves, cases)
        await self._note_use(reports, cases)
        self._send(findings.orders, tasks)

    def _note_absences(self, findings: Findings, is_complete: bool, now: float) -> None:
        if not is_complete:
            self._absences.forget()
        elif self._is_new_report:
            self._absences.note(findings.absent, now)
        self._is_new_report = False

    def _list_orphans(self, orphans: tuple[KernelReport, ...]) -> None:
        known = {(one.kernel_id, one.generation) for one in self.orphans}
        for one in orphans:
            if (one.kernel_id, one.generation) not in known:
                log.warning(
                    "agent.orphan",
                    agent=self.contact.agent_id,
                    kernel=one.kernel_id,
                    generation=one.generation,
                    state=one.state,
                )
        self.orphans = orphans

    async def _move(self, moves: Sequence[Move], cases: Sequence[KernelCase]) -> None:
        """Each session in a transaction of its own: one that is stale keeps no other back."""
        session_of = {case.row.id: case.row.session_id for case in cases}
        by_session: dict[SessionId, list[Move]] = {}
        for move in moves:
            by_session.setdefault(session_of[move.kernel_id], []).append(move)
        for session_id, group in by_session.items():
            try:
                await self._store.move(group, self._clock.now())
            except Stale as stale:
                log.debug("kernel.move_stale", session=str(session_id), detail=stale.detail)
                self.wake.hint()
            else:
                self._tell_lead(group)

    def _tell_lead(self, moves: Sequence[Move]) -> None:
        """A node that is ahead of the database tells that rows were lost, or came from a backup."""
        for move in moves:
            if move.seen_generation is not None:
                log.warning(
                    "agent.ahead",
                    agent=self.contact.agent_id,
                    kernel=str(move.kernel_id),
                    generation=move.generation,
                    seen=move.seen_generation,
                )

    async def _note_use(self, reports: Sequence[KernelReport], cases: Sequence[KernelCase]) -> None:
        now = self._clock.monotonic()
        if now - self._used_at < USE_SECONDS:
            return
        rows = {str(case.row.id): case.row for case in cases}
        uses: dict[KernelId, Mapping[str, Any]] = {}
        for report in reports:
            row = rows.get(report.kernel_id)
            if row is None or row.generation != report.generation:
                continue
            use = {}
            if report.use is not None and self._report is not None:
                use = msgspec.to_builtins(report.use)
                use |= busy_accelerators(self._report, report)
            if report.progress:
                use["progress"] = report.progress
            if use:
                uses[row.id] = use
        self._used_at = now
        if uses:
            await self._store.note_use(uses)

    def _send(self, orders: Sequence[Order], tasks: asyncio.TaskGroup) -> None:
        wanted = {order.kernel_id for order in orders}
        self._asked = {key: asked for key, asked in self._asked.items() if key in wanted}
        for order in orders:
            if order.kernel_id in self._giving or not self._is_due(order):
                continue
            task = tasks.create_task(self._give(order), name=f"agent.order:{order.kernel_id}")
            self._giving[order.kernel_id] = task

    def _is_due(self, order: Order) -> bool:
        asked = self._asked.get(order.kernel_id)
        if asked is None or (asked.generation, asked.desired) != (order.generation, order.desired):
            return True
        return self._clock.monotonic() - asked.at >= REPEAT_SECONDS

    async def _give(self, order: Order) -> None:
        """Ask the agent once. Silence needs no event of its own: the level is looked at again."""
        try:
            async with self._slots:
                request = await self._request(order)
                if request is None:
                    return
                await failpoint("manager.ensure.before_send")
                await self._link.ask(self.contact.agent_id, ENSURE, request, ENSURE_TIMEOUT_SECONDS)
                await failpoint("manager.ensure.after_reply")
            self._asked[order.kernel_id] = _Asked(
                order.generation, order.desired, self._clock.monotonic()
            )
        except AgentInvalidInput as refusal:
            await self._end_refused(order, refusal)
        except Fault as fault:
            log.info(
                "agent.order_unanswered",
                agent=self.contact.agent_id,
                kernel=str(order.kernel_id),
                desired=order.desired.value,
                code=fault.code,
                detail=fault.detail,
            )
        finally:
            del self._giving[order.kernel_id]

    async def _request(self, order: Order) -> EnsureKernel | None:
        spec: KernelSpec | None = None
        login: RegistryLogin | None = None
        if order.desired is Desired.RUNNING:
            specs = await self._store.load_specs([order.kernel_id])
            spec = specs.get(order.kernel_id)
            if spec is None:
                return None
            login = await self._store.find_login(spec.image) if spec.pull else None
        return EnsureKernel(
            kernel_id=str(order.kernel_id),
            generation=order.generation,
            desired=order.desired,
            spec=spec,
            reason=order.reason,
            login=login,
        )

    async def _end_refused(self, order: Order, refusal: Fault) -> None:
        """The agent will never take this order. An earlier one may have been taken, so it is ended
        with proof and not simply written off."""
        log.warning(
            "agent.order_refused",
            agent=self.contact.agent_id,
            kernel=str(order.kernel_id),
            detail=refusal.detail,
        )
        if order.desired is not Desired.RUNNING:
            return
        move = Move(
            kernel_id=order.kernel_id,
            event=KernelEvent.TERMINATE,
            reason=Reason.FAILED_TO_START,
            detail={"error": refusal.detail},
            generation=order.generation,
        )
        try:
            await self._store.move([move], self._clock.now())
        except Fault as fault:
            log.info("kernel.move_refused", kernel=str(order.kernel_id), detail=fault.detail)
