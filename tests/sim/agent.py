"""An agent for simulations: the real machine, ledger and orders, on an engine that is made up.

The engine outlives the agent, as a real one does; the agent's files do too, unless a test loses
them. Everything else dies with `crash`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

from msgspec.structs import replace as amend

from backendai.agent.desires import MemoryStore, Record
from backendai.agent.exits import ExitFacts, explain
from backendai.agent.faults import EngineUnreachable, StaleGeneration
from backendai.agent.ledger import LIVE_STATES, Engine, Ledger
from backendai.agent.machine import (
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
from backendai.common.clock import Clock
from backendai.common.contracts.agent import (
    AgentReport,
    Desired,
    EnsureKernel,
    EnsureNetwork,
    KernelReport,
    KernelSpec,
    KernelState,
    Nothing,
    Observe,
    SwarmReport,
)
from backendai.common.enums import Reason
from backendai.common.loops import Wake, sleep_or_hint

STEP_SECONDS = 2.0


@dataclass(slots=True)
class FakeContainer:
    """A container of the engine. `killed_by` says who ended it; empty: by itself."""

    kernel_id: str
    generation: int
    container_id: str
    spec: KernelSpec
    phase: Phase = Phase.CREATED
    exit_code: int | None = None
    killed_by: str = ""


@dataclass(slots=True)
class FakeEngine:
    """Containers by name; a second one under a name is refused by returning the first."""

    clock: Clock
    containers: dict[str, FakeContainer] = field(default_factory=dict)
    is_reachable: bool = True
    started: list[tuple[str, int]] = field(default_factory=list)
    on_change: Callable[[], None] = lambda: None
    on_kill: Callable[[FakeContainer], None] = lambda one: None

    def check(self) -> None:
        if not self.is_reachable:
            raise EngineUnreachable("the engine does not answer")

    def create(self, kernel_id: str, generation: int, spec: KernelSpec) -> FakeContainer:
        self.check()
        name = f"bai.{kernel_id}.{generation}"
        return self.containers.setdefault(
            name, FakeContainer(kernel_id, generation, f"c-{kernel_id[:8]}-{generation}", spec)
        )

    def start(self, one: FakeContainer) -> None:
        self.check()
        if one.phase is Phase.CREATED:
            one.phase = Phase.RUNNING
            self.started.append((one.kernel_id, one.generation))
            self.on_change()

    def end(self, one: FakeContainer, exit_code: int, killed_by: str = "") -> None:
        """The container ends: by itself, or by `killed_by`."""
        if one.phase is Phase.RUNNING:
            one.phase, one.exit_code, one.killed_by = Phase.EXITED, exit_code, killed_by
            self.on_change()

    def remove(self, name: str) -> None:
        """Kill what runs under `name`, and remove it."""
        self.check()
        one = self.containers.pop(name, None)
        if one is not None and one.phase is Phase.RUNNING:
            self.on_kill(one)

    def listed(self) -> tuple[Container, ...]:
        self.check()
        return tuple(
            Container(one.kernel_id, one.generation, one.container_id, one.phase)
            for _, one in sorted(self.containers.items())
        )


@dataclass(slots=True)
class FakeSwarm:
    """What the managers of a swarm agree upon: who they are, and the networks of sessions."""

    managers: tuple[str, ...]
    networks: set[str] = field(default_factory=set)

    def report(self, agent_id: str) -> SwarmReport:
        is_manager = agent_id in self.managers
        return SwarmReport(
            node_id=agent_id,
            swarm_id="swarm" if is_manager else "",
            managers=list(self.managers),
            networks=sorted(self.networks) if is_manager else [],
        )


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How long things take on the node, in seconds, and how often a start fails."""

    pull: tuple[float, float] = (0.0, 0.5)
    prepare: tuple[float, float] = (0.0, 0.5)
    stop: tuple[float, float] = (0.0, 1.0)
    failure_rate: float = 0.0


class FakeAgent:
    """One life after the other of the daemon of one node."""

    def __init__(
        self,
        agent_id: str,
        clock: Clock,
        random: Random,
        capacity: dict[str, str],
        *,
        behaviour: Behaviour | None = None,
        architecture: str = "x86_64",
        resource_group: str = "default",
        swarm: FakeSwarm | None = None,
    ) -> None:
        self.agent_id = agent_id
        self.engine = FakeEngine(clock)
        self.files = MemoryStore()
        self.swarm = swarm or FakeSwarm((agent_id,))
        self.capacity = capacity
        self.behaviour = behaviour or Behaviour()
        self.is_used: Callable[[str], bool] = lambda network: False
        self.on_start: Callable[[FakeContainer], None] = lambda one: None
        self._clock = clock
        self._random = random
        self._architecture = architecture
        self._group = resource_group
        self._lives = 0
        self._life: _Life | None = None

    @property
    def is_up(self) -> bool:
        return self._life is not None

    def boot(self) -> None:
        """Start the daemon. It reads its files; what runs it learns from the engine."""
        self._lives += 1
        self._life = _Life(self, f"{self.agent_id}-life-{self._lives}")
        self._life.start()

    def crash(self) -> None:
        """Kill the daemon. Containers go on."""
        if self._life is not None:
            self._life.kill()
            self._life = None

    async def ensure(self, order: EnsureKernel) -> KernelReport:
        return await self._alive().ensure(order)

    async def observe(self, request: Observe) -> AgentReport:
        return await self._alive().observe(request)

    async def ensure_network(self, order: EnsureNetwork) -> Nothing:
        return await self._alive().ensure_network(order)

    def _alive(self) -> "_Life":
        if self._life is None:
            raise ConnectionError("the agent is down")
        return self._life

    def pick(self, span: tuple[float, float]) -> float:
        return self._random.uniform(*span)

    def chance(self, rate: float) -> bool:
        return self._random.random() < rate

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def facts(self) -> tuple[str, str]:
        return self._architecture, self._group


class _Life:
    """The daemon between two crashes."""

    def __init__(self, node: FakeAgent, instance: str) -> None:
        self._node = node
        self._instance = instance
        self._ledger = Ledger()
        self._records: dict[str, Record] = {}
        self._desires: dict[str, Desire] = {}
        self._settled: set[tuple[str, int, Phase]] = set()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._wake = Wake()
        self._loop: asyncio.Task[None] | None = None
        node.engine.on_change = self._wake.hint

    def start(self) -> None:
        for record in list(self._node.files.records.values()):
            self._keep(record, fresh=False)
            if record.outcome is not None:
                self._ledger.put(record.outcome)
            else:
                self._put(record.order, KernelState.UNKNOWN)
        self._loop = asyncio.get_running_loop().create_task(self._run(), name=self._instance)

    def kill(self) -> None:
        for task in [self._loop, *self._busy.values()]:
            if task is not None:
                task.cancel()

    async def ensure_network(self, order: EnsureNetwork) -> Nothing:
        """As an engine has it: a network that a kernel is in stays."""
        self._node.engine.check()
        if order.is_wanted:
            self._node.swarm.networks.add(order.name)
        elif not self._node.is_used(order.name):
            self._node.swarm.networks.discard(order.name)
        self._ledger.set_swarm(self._node.swarm.report(self._node.agent_id))
        return Nothing()

    async def observe(self, request: Observe) -> AgentReport:
        if request.instance == self._instance:
            await self._wait_beyond(request.after, request.wait_seconds)
        architecture, group = self._node.facts
        return AgentReport(
            agent_id=self._node.agent_id,
            instance=self._instance,
            version=self._ledger.version,
            started_at=0.0,
            daemon_version="0",
            architecture=architecture,
            region="",
            resource_group=group,
            backend="fake",
            engine_reachable=self._ledger.engine.is_reachable,
            engine_detail=self._ledger.engine.detail,
            halted=self._ledger.halted,
            capacity=self._node.capacity,
            kernels=self._ledger.kernels(),
            images=[],
            swarm=self._node.swarm.report(self._node.agent_id),
        )

    async def _wait_beyond(self, version: int, seconds: float) -> None:
        until = self._node.clock.monotonic() + seconds
        while self._ledger.version == version and self._node.clock.monotonic() < until:
            left = until - self._node.clock.monotonic()
            await self._ledger.wait_beyond(version, left)

    async def ensure(self, order: EnsureKernel) -> KernelReport:
        generations = [
            one.generation
            for one in self._node.engine.containers.values()
            if one.kernel_id == order.kernel_id
        ]
        known = self._desires.get(order.kernel_id)
        verdict = accept(Record(order=order).desire(fresh=True), known, generations)
        if not isinstance(verdict, Acceptance):
            raise StaleGeneration(f"seen {verdict.seen}", {"seen": verdict.seen})
        if verdict.changed:
            record = Record(order=order)
            await self._node.files.save(record)
            self._keep(record, fresh=True)
            is_gone = order.desired is Desired.GONE
            self._put(order, KernelState.STOPPING if is_gone else KernelState.WAITING)
            task = self._busy.get(order.kernel_id)
            if task is not None:
                task.cancel()
        else:
            self._desires[order.kernel_id] = verdict.desire
        self._wake.hint()
        report = self._ledger.get(order.kernel_id)
        assert report is not None
        return report

    async def _run(self) -> None:
        while True:
            self._step()
            await sleep_or_hint(self._node.clock, STEP_SECONDS, self._wake)

    def _step(self) -> None:
        try:
            listed = self._node.engine.listed()
        except EngineUnreachable as fault:
            self._ledger.set_engine(Engine(is_reachable=False, detail=fault.detail))
            return
        present = {(one.kernel_id, one.generation, one.phase) for one in listed}
        self._settled &= present
        living = {
            (one.kernel_id, one.generation)
            for one in self._ledger.kernels()
            if one.state in LIVE_STATES
        }
        view = View(
            desires=self._desires,
            containers=listed,
            busy=frozenset(self._busy),
            settled=frozenset(self._settled),
            living=frozenset(living),
        )
        decision = decide(view)
        self._ledger.set_halted(decision.halted)
        for action in decision.actions:
            self._begin(action)
        self._ledger.set_engine(Engine(is_reachable=True))

    def _begin(self, action: Action) -> None:
        match action:
            case Launch(kernel_id):
                self._spawn(kernel_id, self._launch(self._desires[kernel_id]))
            case Start(one):
                self._spawn(one.kernel_id, self._start(self._named(one)))
            case Adopt(one):
                self._settle(one)
                self._report(one, KernelState.RUNNING)
                self._mark_launched(one)
            case Hold(one):
                self._settle(one)
                self._report(one, KernelState.PREPARING)
            case Conclude(one):
                self._conclude(one)
            case Lose(kernel_id, generation):
                self._close(
                    self._drafted(
                        kernel_id, generation, KernelState.EXITED, Reason.NOT_FOUND_ON_AGENT
                    )
                )
            case Discard(one):
                self._spawn(one.kernel_id, self._discard(one))
            case Clear(kernel_id, generation):
                self._close(self._drafted(kernel_id, generation, KernelState.GONE, ""))

    def _spawn(self, kernel_id: str, work: Coroutine[Any, Any, None]) -> None:
        if kernel_id in self._busy:
            work.close()
            return
        loop = asyncio.get_running_loop()
        self._busy[kernel_id] = loop.create_task(self._guarded(kernel_id, work))

    async def _guarded(self, kernel_id: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except EngineUnreachable:
            pass
        finally:
            self._busy.pop(kernel_id, None)
            self._wake.hint()

    async def _launch(self, desire: Desire) -> None:
        spec = desire.spec
        assert spec is not None
        node = self._node
        self._move(desire, KernelState.PULLING)
        await node.clock.sleep(node.pick(node.behaviour.pull))
        self._move(desire, KernelState.PREPARING)
        await node.clock.sleep(node.pick(node.behaviour.prepare))
        if node.chance(node.behaviour.failure_rate):
            failed = self._drafted(
                desire.kernel_id, desire.generation, KernelState.FAILED, Reason.FAILED_TO_START
            )
            self._close(amend(failed, retriable=node.chance(0.5), detail="it would not start"))
            return
        one = node.engine.create(desire.kernel_id, desire.generation, spec)
        await node.clock.sleep(node.pick(node.behaviour.prepare))
        await self._start(one)

    async def _start(self, one: FakeContainer) -> None:
        was_created = one.phase is Phase.CREATED
        self._node.engine.start(one)
        if was_created:
            self._node.on_start(one)
        await self._node.clock.sleep(self._node.pick(self._node.behaviour.prepare))
        listed = Container(one.kernel_id, one.generation, one.container_id, one.phase)
        if one.phase is Phase.RUNNING:
            self._settle(listed)
            self._report(listed, KernelState.RUNNING)
        self._mark_launched(listed)

    async def _discard(self, one: Container) -> None:
        known = self._ledger.get(one.kernel_id)
        if known is not None and known.generation == one.generation:
            self._ledger.put(amend(known, state=KernelState.STOPPING))
        await self._node.clock.sleep(self._node.pick(self._node.behaviour.stop))
        self._node.engine.remove(f"bai.{one.kernel_id}.{one.generation}")

    def _conclude(self, one: Container) -> None:
        container = self._named(one)
        ending = explain(
            ExitFacts(exit_code=container.exit_code), container.spec.session_type, booted_at=0.0
        )
        self._settle(one)
        report = self._drafted(one.kernel_id, one.generation, KernelState.EXITED, ending.reason)
        self._close(
            amend(report, exit_code=container.exit_code, session_id=container.spec.session_id)
        )

    # What is remembered

    def _named(self, one: Container) -> FakeContainer:
        return self._node.engine.containers[f"bai.{one.kernel_id}.{one.generation}"]

    def _settle(self, one: Container) -> None:
        self._settled.add((one.kernel_id, one.generation, one.phase))

    def _keep(self, record: Record, *, fresh: bool) -> None:
        self._records[record.order.kernel_id] = record
        self._desires[record.order.kernel_id] = record.desire(fresh=fresh)

    def _put(self, order: EnsureKernel, state: KernelState) -> None:
        known = self._ledger.get(order.kernel_id)
        if known is not None and known.generation == order.generation:
            self._ledger.put(amend(known, state=state))
            return
        session_id = order.spec.session_id if order.spec else ""
        self._ledger.put(
            KernelReport(
                kernel_id=order.kernel_id,
                session_id=session_id,
                generation=order.generation,
                state=state,
            )
        )

    def _move(self, desire: Desire, state: KernelState) -> None:
        self._ledger.put(self._drafted(desire.kernel_id, desire.generation, state, ""))

    def _drafted(
        self, kernel_id: str, generation: int, state: KernelState, reason: str
    ) -> KernelReport:
        known = self._ledger.get(kernel_id)
        if known is None or known.generation != generation:
            known = KernelReport(
                kernel_id=kernel_id, session_id="", generation=generation, state=state
            )
        return amend(known, state=state, reason=str(reason))

    def _report(self, one: Container, state: KernelState) -> None:
        container = self._named(one)
        report = self._drafted(one.kernel_id, one.generation, state, "")
        self._ledger.put(
            amend(
                report,
                session_id=container.spec.session_id,
                container_id=one.container_id,
                slots=dict(container.spec.slots),
            )
        )

    def _mark_launched(self, one: Container) -> None:
        self._amend(one.kernel_id, one.generation, launched=True)

    def _close(self, report: KernelReport) -> None:
        self._amend(report.kernel_id, report.generation, outcome=report)
        self._ledger.put(report)

    def _amend(self, kernel_id: str, generation: int, **changes: Any) -> None:
        record = self._records.get(kernel_id)
        if record is None or record.order.generation != generation:
            return
        is_gone = record.order.desired is Desired.GONE
        outcome = changes.get("outcome")
        if is_gone and outcome is not None and outcome.state is not KernelState.GONE:
            return
        record = amend(record, **changes)
        self._node.files.records[kernel_id] = record
        self._keep(record, fresh=self._desires[kernel_id].fresh)
