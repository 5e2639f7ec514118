"""Brings a node to what is ordered: lists, decides, and lets one task per kernel act.

The level is read again every two seconds and at every hint, so that a lost event costs one period.
While the engine does not answer nothing is decided: what was known stays as it was.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from msgspec.structs import replace

from backendai.common.contracts.agent import (
    GENERATION_MAX,
    Desired,
    EnsureKernel,
    KernelReport,
    KernelState,
    RegistryLogin,
)
from backendai.common.enums import Reason
from backendai.common.faults import Fault, InternalError
from backendai.common.logs import get_logger, log_context
from backendai.common.loops import LoopHealth, Wake, supervise
from backendai.common.tracing import span

from .backends.backend import Listing
from .desires import Record, record_order
from .ending import Ender
from .faults import (
    BadOrder,
    EngineUnreachable,
    RegistryLoginRefused,
    RunnerSilent,
    StaleGeneration,
)
from .hints import Exits
from .labels import LabelError, container_name, parse_kernel_id
from .launch import EndedEarly, Launcher, early_fault
from .ledger import LIVE_STATES, Engine, Ledger
from .machine import (
    Acceptance,
    Action,
    Adopt,
    Clear,
    Conclude,
    Container,
    Desire,
    Discard,
    Hold,
    Launch,
    Lose,
    Phase,
    Start,
    View,
    accept,
    decide,
)
from .node import Node
from .ports import read_offered
from .volumes import check_mounts

log = get_logger(__name__)

PERIOD_SECONDS: Final = 2.0
GRACE_SECONDS_MAX: Final = 300.0
GONE_REPORT_SECONDS: Final = 600.0
TOMBSTONE_SECONDS: Final = 7 * 24 * 3600.0
STRAYS_SHOWN_MAX: Final = 5
LOOK_AGAIN_SECONDS: Final = (0.05, 0.3)


class Supervisor:
    """Owns the orders of a node and the tasks that carry them out."""

    def __init__(self, node: Node, ledger: Ledger, health: LoopHealth | None = None) -> None:
        self._node = node
        self._ledger = ledger
        self._health = health
        self._exits = Exits()
        self._launcher = Launcher(node, self._exits, self._note_launched)
        self._ender = Ender(node, self._exits)
        self._records: dict[str, Record] = {}
        self._desires: dict[str, Desire] = {}
        self._settled: dict[str, tuple[str, int, Phase]] = {}
        self._containers: tuple[Container, ...] = ()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._networks: dict[str, str] = {}
        self._group: asyncio.TaskGroup | None = None
        self.wake = Wake()

    async def recover(self) -> None:
        """Take up the orders on file. What runs is found by the first step, from labels."""
        for record in await self._node.store.load():
            self._keep(record, fresh=False)
            if record.outcome is not None:
                self._ledger.put(record.outcome)
            else:
                self._node.reporter.accepted(
                    self._desires[record.order.kernel_id], KernelState.UNKNOWN
                )

    async def run(self) -> None:
        """Supervise until cancelled; containers are left as they are."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._watch(), name="engine.watch")
            await supervise(
                "supervisor",
                self.step,
                period_seconds=PERIOD_SECONDS,
                clock=self._node.clock,
                wake=self.wake,
                health=self._health,
            )

    async def _watch(self) -> None:
        async for change in self._node.backend.watch():
            self.wake.hint()
            if change.has_ended and self._group is not None:
                self._exits.tell([change.container_id])
                # An engine may tell of an end before it lists it: look again soon.
                self._group.create_task(self._hint_later(), name="hint later")

    async def _hint_later(self) -> None:
        for seconds in LOOK_AGAIN_SECONDS:
            await self._node.clock.sleep(seconds)
            self.wake.hint()

    async def ensure(self, order: EnsureKernel) -> KernelReport:
        """Record an order and return at once. Raises BadOrder or StaleGeneration."""
        check_order(order)
        async with self._lock(order.kernel_id):
            known = self._desires.get(order.kernel_id)
            generations = [
                one.generation for one in self._containers if one.kernel_id == order.kernel_id
            ]
            given = Record(order=order).desire(fresh=True, login=order.login)
            verdict = accept(given, known, generations)
            if not isinstance(verdict, Acceptance):
                raise StaleGeneration(
                    f"kernel {order.kernel_id} has been seen at generation {verdict.seen}, "
                    f"which is newer than {order.generation}",
                    {"seen": verdict.seen},
                )
            if verdict.changed:
                await self._accept_order(order)
            else:
                self._repeat_order(verdict.desire)
        self.wake.hint()
        # One that is long gone has left the report; its record still knows.
        report = self._ledger.get(order.kernel_id) or self._records[order.kernel_id].outcome
        if report is None:
            raise InternalError(f"kernel {order.kernel_id} has an order and no report")
        return report

    async def _accept_order(self, order: EnsureKernel) -> None:
        record = record_order(order, self._node.clock.now().timestamp())
        await self._node.store.save(record)
        self._keep(record, fresh=True, login=order.login)
        is_gone = order.desired is Desired.GONE
        state = KernelState.STOPPING if is_gone else KernelState.WAITING
        self._node.reporter.accepted(self._desires[order.kernel_id], state)
        task = self._tasks.get(order.kernel_id)
        if task is not None and task.get_name().startswith("start "):
            # What it made or is making is found by name, and dealt with by the next step.
            task.cancel()

    def _repeat_order(self, desire: Desire) -> None:
        self._desires[desire.kernel_id] = desire
        report = self._ledger.get(desire.kernel_id)
        if report is not None and report.asks_again:
            self._node.reporter.note(desire.kernel_id, desire.generation, asks_again=False)

    def networks_in_use(self) -> frozenset[str]:
        """The networks of all kernels that are here or ordered; the common one is always."""
        listed = {one.network for one in self._node.notes.identities.values()}
        ordered = {
            one.spec.cluster_network
            for one in self._desires.values()
            if one.spec is not None and one.desired is Desired.RUNNING and not one.ended
        }
        return frozenset({"", *listed, *ordered, *self._networks.values()})

    async def step(self) -> None:
        """Read the level, decide, and begin what there is to do."""
        # A listing tells nothing of what changed while it was made.
        busy, awaited = frozenset(self._tasks), self._exits.awaited()
        try:
            listing = await self._node.backend.list_containers()
        except EngineUnreachable as fault:
            self._ledger.set_engine(Engine(is_reachable=False, detail=fault.detail))
            return
        busy |= frozenset(self._tasks)
        self._take(listing, awaited, busy)
        decision = decide(self._view(listing, busy))
        self._ledger.set_halted(decision.halted)
        for action in decision.actions:
            self._begin(action)
        self._ledger.set_engine(Engine(is_reachable=True, detail=_describe_strays(listing)))
        await self._forget_old()

    def _take(self, listing: Listing, awaited: frozenset[str], busy: frozenset[str]) -> None:
        self._containers = listing.containers
        alive = {one.container_id for one in listing.containers if one.phase is not Phase.EXITED}
        ended = frozenset(listing.identities) - alive
        self._node.notes.take(listing.identities, busy, ended)
        self._exits.tell(awaited - alive)
        present = {one.container_id for one in listing.containers}
        self._settled = {key: one for key, one in self._settled.items() if key in present}

    def _view(self, listing: Listing, busy: frozenset[str]) -> View:
        reports = self._ledger.kernels()
        return View(
            desires=self._desires,
            containers=listing.containers,
            busy=busy,
            settled=frozenset(self._settled.values()),
            living=frozenset(
                (one.kernel_id, one.generation) for one in reports if one.state in LIVE_STATES
            ),
        )

    def _begin(self, action: Action) -> None:
        match action:
            case Launch(kernel_id):
                self._spawn(kernel_id, "start", self._launch(self._desires[kernel_id]))
            case Start(one):
                self._spawn(one.kernel_id, "start", self._start(self._desires[one.kernel_id], one))
            case Adopt(one):
                self._adopt(one)
            case Hold(one):
                self._settle(one)
                self._report_found(one, KernelState.PREPARING)
            case Conclude(one):
                self._spawn(one.kernel_id, "conclude", self._conclude(one))
            case Lose(kernel_id, generation):
                self._spawn(kernel_id, "lose", self._lose(kernel_id, generation))
            case Discard(one):
                self._spawn(one.kernel_id, "discard", self._ender.discard(action))
            case Clear(kernel_id):
                self._spawn(kernel_id, "clear", self._clear(self._desires[kernel_id]))

    def _spawn(self, kernel_id: str, verb: str, work: Coroutine[Any, Any, None]) -> None:
        """One task at a time for a kernel; a second action of the same decision waits its turn."""
        if self._group is None or kernel_id in self._tasks:
            work.close()
            return
        task = self._group.create_task(
            self._guarded(kernel_id, verb, work), name=f"{verb} {kernel_id}"
        )
        self._tasks[kernel_id] = task

    async def _guarded(self, kernel_id: str, verb: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            facts = {"kernel": kernel_id}
            with log_context(kernel=kernel_id), span(f"kernel {verb}", facts=facts):
                await work
        except Fault as fault:
            # The level is unchanged, so the next step tries again.
            log.warning("kernel.step_failed", code=fault.code, detail=fault.detail)
        finally:
            self._tasks.pop(kernel_id, None)
            self.wake.hint()

    # What tasks do

    async def _launch(self, desire: Desire) -> None:
        await self._try_start(desire, self._launcher.launch(desire))

    async def _start(self, desire: Desire, one: Container) -> None:
        self._report_found(one, KernelState.PREPARING)
        await self._try_start(desire, self._launcher.start(desire, one.container_id))

    async def _await_runner(self, desire: Desire, one: Container) -> None:
        self._report_found(one, KernelState.PREPARING)
        await self._try_start(desire, self._launcher.wait_ready(desire, one.container_id))

    async def _try_start(self, desire: Desire, work: Coroutine[Any, Any, str]) -> None:
        try:
            container_id = await work
        except EngineUnreachable:
            # Whether it was made is not known: the next step looks, and goes on from there.
            raise
        except EndedEarly as early:
            await self._end_early(desire, early.container_id)
        except Fault as fault:
            await self._fail(desire, _reason_of(fault), fault)
        except Exception as error:
            log.crash("kernel.start_failed", error)
            await self._fail(desire, Reason.FAILED_TO_START, InternalError(repr(error)))
        else:
            await self._note_running(desire, container_id)

    async def _end_early(self, desire: Desire, container_id: str) -> None:
        """A command may be over before anybody asks; without a record the runner never came up."""
        record = await self._ender.read_exit_record(desire.kernel_id, desire.generation)
        if record is not None and record.reason == "finished":
            await self._note_launched(desire)
            return
        facts = await self._node.backend.exit_facts(container_id)
        reason = Reason.OUT_OF_MEMORY if facts.out_of_memory else Reason.FAILED_TO_START
        output = await self._node.backend.read_output(container_id)
        await self._fail(desire, reason, early_fault(facts, output))

    async def _fail(self, desire: Desire, reason: Reason, fault: Fault) -> None:
        """Report a failure, once nothing that was made for it is left."""
        log.warning("kernel.failed", code=fault.code, detail=fault.detail, reason=str(reason))
        name = container_name(desire.kernel_id, desire.generation)
        await self._ender.remove(desire.kernel_id, desire.generation, name)
        await self._close(desire, self._node.reporter.failed(desire, reason, fault))

    async def _conclude(self, one: Container) -> None:
        self._report_found(one, KernelState.STOPPING)
        session_type = self._node.notes.identities[one.container_id].session_type
        report = await self._ender.conclude(one, session_type)
        self._settle(one)
        log.info("kernel.exited", reason=report.reason, exit_code=report.exit_code)
        await self._close(self._desire_of(one.kernel_id, one.generation), report)

    async def _lose(self, kernel_id: str, generation: int) -> None:
        log.warning("kernel.lost", generation=generation)
        report = self._ender.lose(kernel_id, generation)
        await self._close(self._desire_of(kernel_id, generation), report)

    async def _clear(self, desire: Desire) -> None:
        network = desire.spec.cluster_network if desire.spec else ""
        network = self._networks.pop(desire.kernel_id, network)
        report = await self._ender.clear(desire, network)
        log.info("kernel.gone", generation=desire.generation)
        await self._close(desire, report)

    async def _note_apps(self, one: Container) -> None:
        """Labels tell only of those that the image and the session name."""
        offered = read_offered(await self._node.runners.list_apps(one.kernel_id, one.generation))
        report = self._ledger.get(one.kernel_id)
        if offered and report is not None and report.generation == one.generation:
            self._node.reporter.note(one.kernel_id, one.generation, service_ports=offered)

    async def _note_running(self, desire: Desire, container_id: str) -> None:
        await self._note_launched(desire)
        one = Container(desire.kernel_id, desire.generation, container_id, Phase.RUNNING)
        self._settle(one)
        self._node.reporter.note(
            desire.kernel_id,
            desire.generation,
            state=KernelState.RUNNING,
            container_id=container_id,
            progress="",
            started_at=self._node.clock.now().timestamp(),
        )
        log.info("kernel.running", generation=desire.generation)

    async def _note_launched(self, desire: Desire) -> None:
        await self._amend(desire, launched=True)

    async def _close(self, desire: Desire | None, report: KernelReport) -> None:
        """Put an end on record, then report it: what managers heard must not be forgotten."""
        if desire is not None:
            await self._amend(desire, outcome=report)
        self._ledger.put(report)

    async def _amend(self, desire: Desire, **changes: object) -> None:
        """Add to the record of `desire`, unless another order has replaced it meanwhile."""
        async with self._lock(desire.kernel_id):
            record = self._records.get(desire.kernel_id)
            if record is None or not _is_of(record, desire):
                return
            amended = replace(record, **changes)
            if amended == record:
                return
            record = replace(amended, saved_at=self._node.clock.now().timestamp())
            await self._node.store.save(record)
            self._keep(record, fresh=self._desires[desire.kernel_id].fresh)

    # What is remembered

    def _adopt(self, one: Container) -> None:
        desire = self._desire_of(one.kernel_id, one.generation)
        if desire is not None and not desire.launched:
            self._spawn(one.kernel_id, "start", self._await_runner(desire, one))
            return
        self._settle(one)
        self._report_found(one, KernelState.RUNNING)
        log.info("kernel.adopted", kernel=one.kernel_id, generation=one.generation)
        self._spawn(one.kernel_id, "list apps", self._note_apps(one))

    def _report_found(self, one: Container, state: KernelState) -> None:
        identity = self._node.notes.identities.get(one.container_id)
        if identity is not None:
            self._networks[one.kernel_id] = identity.network
            self._node.reporter.found(identity, one.container_id, state)

    def _settle(self, one: Container) -> None:
        self._settled[one.container_id] = (one.kernel_id, one.generation, one.phase)

    def _desire_of(self, kernel_id: str, generation: int) -> Desire | None:
        desire = self._desires.get(kernel_id)
        return desire if desire is not None and desire.generation == generation else None

    def _keep(self, record: Record, *, fresh: bool, login: RegistryLogin | None = None) -> None:
        """What was launched, or has ended, needs no login any more."""
        self._records[record.order.kernel_id] = record
        self._desires[record.order.kernel_id] = record.desire(fresh=fresh, login=login)

    def _lock(self, kernel_id: str) -> asyncio.Lock:
        return self._locks.setdefault(kernel_id, asyncio.Lock())

    async def _forget_old(self) -> None:
        """Gone kernels leave the report after minutes, and the disk after days."""
        now = self._node.clock.now().timestamp()
        gone = [
            (kernel_id, now - record.saved_at)
            for kernel_id, record in self._records.items()
            if record.outcome is not None and record.outcome.state is KernelState.GONE
        ]
        self._ledger.drop(key for key, age in gone if age > GONE_REPORT_SECONDS)
        expired = [key for key, age in gone if age > TOMBSTONE_SECONDS]
        for kernel_id in expired:
            del self._records[kernel_id], self._desires[kernel_id]
            self._locks.pop(kernel_id, None)
        await self._node.store.forget(expired)


def check_order(order: EnsureKernel) -> None:
    """Raises BadOrder naming what is wrong."""
    try:
        parse_kernel_id(order.kernel_id)
    except LabelError as error:
        raise BadOrder(str(error)) from error
    if not 0 < order.generation <= GENERATION_MAX:
        raise BadOrder(f"generation {order.generation}: allowed are 1 to {GENERATION_MAX}")
    if order.desired is Desired.RUNNING and order.spec is None:
        raise BadOrder("an order to run a kernel needs its specification")
    check_mounts(order.spec.mounts if order.spec is not None else ())
    if not 0 <= order.grace_seconds <= GRACE_SECONDS_MAX:
        raise BadOrder(f"grace_seconds {order.grace_seconds}: allowed are 0 to {GRACE_SECONDS_MAX}")


def _is_of(record: Record, desire: Desire) -> bool:
    order = record.order
    return order.generation == desire.generation and order.desired is desire.desired


def _reason_of(fault: Fault) -> Reason:
    if isinstance(fault, RegistryLoginRefused):
        return Reason.REGISTRY_LOGIN_REFUSED
    is_late = isinstance(fault, RunnerSilent)
    return Reason.START_TIMEOUT if is_late else Reason.FAILED_TO_START


def _describe_strays(listing: Listing) -> str:
    """A sentence about containers that claim to be ours and cannot be read; they are left alone."""
    return "; ".join(
        f"container {one.container_id[:12]} is not touched: {one.problem}"
        for one in listing.strays[:STRAYS_SHOWN_MAX]
    )
