"""A whole site in virtual time: managers, agents, users, and what goes wrong between them.

Everything random comes from the seed, so a run repeats exactly; its trace is hashed to prove it.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from backendai.agent.machine import Phase
from backendai.common.clock import LoopClock
from backendai.common.enums import AgentStatus, ClusterRole, SessionType
from backendai.common.faults import Conflict, Fault
from backendai.common.ids import AgentId, IdSource, KernelId, SeededIds, SessionId
from backendai.common.lifecycle import SESSION_FINAL
from backendai.manager.agents.model import Contact, Patience
from backendai.manager.lifecycle.changes import HINT_PLAN
from backendai.manager.lifecycle.core import Core, CoreSettings, Periods, Ports
from backendai.manager.lifecycle.hints import HintBoard
from backendai.manager.lifecycle.model import Changes, NewKernel, NewSession
from backendai.manager.lifecycle.orders import end_moves, fence_moves, restart_moves
from backendai.manager.sched.view import Quota

from .agent import Behaviour, FakeAgent, FakeContainer, FakeSwarm
from .checks import Checker, Violation
from .link import FakeLink, Weather
from .loop import run_virtual
from .memory import Disk, MemoryStore, Trouble, open_gate
from .troubles import CHAOS_SECONDS, Incident, Kind, draw_incidents

MANAGERS: Final = 2
AGENTS: Final = 4
SESSIONS: Final = 30
ACCESS_KEYS: Final = ("alice", "bob")
HURRIED_PER_SECOND: Final = 1.0
CALM_SECONDS: Final = 900.0
PATIENCE: Final = Patience(heartbeat_seconds=5.0, beats_missed_max=3, lost_after_seconds=30.0)
PERIODS: Final = Periods(plan=3, directory=5, overdue=5, judge=5, relay=5, drift=60, prune=3600)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went: the hash of its trace, its violation if any, its virtual seconds."""

    seed: int
    trace: str
    violation: str
    seconds: float
    incidents: tuple[Incident, ...]


class _Clock(LoopClock):
    """The virtual time as a manager sees it: while paused, no sleep ends."""

    def __init__(self, gate: asyncio.Event, skew_seconds: float) -> None:
        super().__init__(skew_seconds=skew_seconds)
        self._gate = gate

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await self._gate.wait()


class _Publisher:
    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble

    async def publish(self, topic: str, payloads: Sequence[bytes]) -> None:
        return


class _Manager:
    """One manager process; killed and started again, it is a new one."""

    def __init__(self, world: "World", number: int) -> None:
        self.name = f"m{number}"
        self.trouble = Trouble(delay=(0.0005, 0.01))
        self.weather = Weather(delay=(0.0005, 0.02), straggling=(0.0, 20.0))
        self.gate = open_gate()
        self._world = world
        self._lives = 0
        self._task: asyncio.Task[None] | None = None
        self._board: HintBoard | None = None

    def boot(self) -> None:
        if self._task is not None:
            return
        self._lives += 1
        world = self._world
        random = Random(f"{world.seed}:{self.name}:{self._lives}")
        self._board = HintBoard()
        world.disk.boards.append(self._board)
        core = Core(
            Ports(
                store=MemoryStore(world.disk, random, self.trouble, self.gate),
                link=FakeLink(self.name, world.agents, random, self.weather, world.note, self.gate),
                registry=world,
                publisher=_Publisher(self.trouble),
                clock=_Clock(self.gate, 0.0),
                board=self._board,
            ),
            CoreSettings(holder=f"{self.name}-{self._lives}", patience=PATIENCE, periods=PERIODS),
        )
        self._task = asyncio.get_running_loop().create_task(core.run(), name=self.name)
        self._task.add_done_callback(self._ended)

    def kill(self) -> None:
        if self._task is not None and self._board is not None:
            self._world.disk.boards.remove(self._board)
            self._task.cancel()
            self._task = None

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._world.fail(error)


class World:
    """One run."""

    def __init__(self, seed: int, incidents: Sequence[Incident] | None = None) -> None:
        self.seed = seed
        self.random = Random(f"world:{seed}")
        drawn = draw_incidents(Random(f"incidents:{seed}"), MANAGERS, AGENTS)
        self.incidents = tuple(drawn if incidents is None else incidents)
        self.ids: IdSource = SeededIds(seed)
        self.clock = LoopClock()
        self.disk = Disk(self.clock)
        self.disk.limits = {
            ("keypair", key): Quota(scope="keypair", name=key, sessions_max=12)
            for key in ACCESS_KEYS
        }
        self.swarm = FakeSwarm(("a0", "a1"))
        self.agents = {f"a{number}": self._make_agent(number) for number in range(AGENTS)}
        self.checker = Checker(self.disk, self.agents, self.swarm)
        self.disk.on_commit = self._commit
        self.managers: list[_Manager] = []
        self.acknowledged: list[SessionId] = []
        self._user = MemoryStore(self.disk, Random(f"user:{seed}"), Trouble((0.0005, 0.01)))
        self._hash = hashlib.sha256()
        self._failure: BaseException | None = None
        self._work: set[asyncio.Task[None]] = set()

    def _make_agent(self, number: int) -> FakeAgent:
        name = f"a{number}"
        agent = FakeAgent(
            name,
            self.clock,
            Random(f"{self.seed}:{name}"),
            {"cpu": "4", "mem": "8589934592"},
            behaviour=Behaviour(failure_rate=0.04),
            swarm=self.swarm,
        )
        agent.is_used = self._is_used
        agent.on_start = lambda one: self._on_start(name, one)
        agent.engine.on_kill = self._on_kill
        return agent

    def _is_used(self, network: str) -> bool:
        return any(one.spec.cluster_network == network for _, one in self.checker.containers())

    # What happens is noted, checked, and ends the run when it must not happen

    def note(self, *words: object) -> None:
        self._hash.update(f"{self.clock.monotonic():.6f} {words}\n".encode())

    def fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error

    def _commit(self, change: Changes) -> None:
        for moved in change.moved:
            self.note("move", moved.after.id, moved.event, moved.after.status, moved.after.revision)
        try:
            self.checker.commit(change)
        except Violation as violation:
            self.fail(violation)

    def _on_start(self, agent_id: str, one: FakeContainer) -> None:
        self.note("start", agent_id, one.kernel_id, one.generation)
        try:
            self.checker.start(agent_id, one)
        except Violation as violation:
            self.fail(violation)
        command = one.spec.startup_command
        if command:
            self._spawn(self._end_later(agent_id, one, command))

    async def _end_later(self, agent_id: str, one: FakeContainer, command: str) -> None:
        """The made-up command: `<seconds> <exit code>`."""
        seconds, code = command.split()
        await asyncio.sleep(float(seconds))
        self.note("exit", one.kernel_id, one.generation, code)
        self.agents[agent_id].engine.end(one, int(code))

    def _on_kill(self, one: FakeContainer) -> None:
        self.note("kill", one.kernel_id, one.generation)
        try:
            self.checker.kill(one.kernel_id, one.generation)
        except Violation as violation:
            self.fail(violation)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work_done)

    def _work_done(self, task: "asyncio.Task[None]") -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)

    async def offers(self) -> list[Contact]:
        return [Contact(AgentId(name), f"{name}:6001", "") for name in sorted(self.agents)]

    # The run

    async def run(self) -> None:
        """Chaos, calm, and an end. Raises Violation."""
        for agent in self.agents.values():
            agent.boot()
        self.managers = [_Manager(self, number) for number in range(MANAGERS)]
        for manager in self.managers:
            manager.boot()
        for incident in self.incidents:
            self._spawn(self._happen(incident))
        self._spawn(self._use())
        await self._pass(CHAOS_SECONDS)
        self._heal()
        await self._until(lambda: "users are busy" if self._work else "", "users")
        await self._until(self.checker.settled, "I1 in calm")
        self._spawn(self._end_all())
        await self._until(self.checker.finished, "I1 at the end")
        await self._until(self._unrelayed, "I9 at the end")
        self.checker.end(self.acknowledged)

    async def _pass(self, seconds: float) -> None:
        until = self.clock.monotonic() + seconds
        while (left := until - self.clock.monotonic()) > 0:
            await asyncio.sleep(min(left, 1.0))
            if self._failure is not None:
                raise self._failure

    async def _until(self, why_not: Any, what: str) -> None:
        limit = self.clock.monotonic() + CALM_SECONDS
        while reason := why_not():
            if self.clock.monotonic() > limit:
                raise Violation(f"{what}: {reason}")
            await self._pass(1.0)

    def _unrelayed(self) -> str:
        unsent = len(self.disk.outbox) - len(self.disk.relayed)
        return f"{unsent} events are not relayed" if unsent else ""

    # What users do

    async def _use(self) -> None:
        made: list[NewSession] = []
        for _ in range(SESSIONS):
            await asyncio.sleep(self.random.expovariate(SESSIONS / (CHAOS_SECONDS * 0.8)))
            new = self._draw_session(made)
            made.append(new)
            self._spawn(self._create(new))
            if self.random.random() < 0.5:
                self._spawn(self._meddle(self.random.choice(made).id, self.random.random() < 0.3))

    def _draw_session(self, made: Sequence[NewSession]) -> NewSession:
        random = self.random
        kind = random.choice(("single", "single", "batch", "instant", "gang", "cluster"))
        count = random.randint(2, 3) if kind in ("gang", "cluster") else 1
        is_batch = kind in ("batch", "instant")
        seconds = 0.0 if kind == "instant" else random.uniform(0, 20)
        code = 0 if random.random() < 0.8 else 1
        ends_itself = is_batch or random.random() < 0.2
        depends = is_batch and made and random.random() < 0.3
        slots = {"cpu": str(random.choice((1, 2, 3))), "mem": "1073741824"}
        return NewSession(
            id=SessionId(self.ids.uuid()),
            name=f"s{len(made)}",
            type=SessionType.BATCH if is_batch else SessionType.INTERACTIVE,
            domain_name="default",
            project_id="p",
            user_id="u",
            access_key=random.choice(ACCESS_KEYS),
            created_by="u",
            resource_group="default",
            cluster_mode="single-node" if kind == "cluster" else "multi-node",
            kernels=tuple(self._kernel(number, slots, kind) for number in range(count)),
            requested_slots=slots,
            priority=random.choice((10, 10, 20)),
            startup_command=f"{seconds:.3f} {code}" if ends_itself else None,
            depends_on=(random.choice(made).id,) if depends else (),
        )

    def _kernel(self, number: int, slots: dict[str, str], kind: str) -> NewKernel:
        role = ClusterRole.SUB if number else ClusterRole.MAIN
        own = {**slots, "cpu": "1"} if kind in ("cluster", "gang") else slots
        return NewKernel(
            id=KernelId(self.ids.uuid()),
            cluster_role=role,
            cluster_index=number or 1,
            cluster_hostname=f"{role.value}{number or 1}",
            image="python",
            architecture="x86_64",
            requested_slots=own,
            shared_memory_bytes=0,
        )

    async def _create(self, new: NewSession) -> None:
        await self._user.insert(new, self.clock.now())
        self.acknowledged.append(new.id)
        self.note("created", new.id)

    async def _meddle(self, session_id: SessionId, is_restart: bool) -> None:
        await asyncio.sleep(self.random.uniform(0, 15))
        await self._order(session_id, is_restart=is_restart)

    async def _order(self, session_id: SessionId, *, is_restart: bool) -> None:
        """End or restart a session, as the API does: look, decide, write, again when stale."""
        for _ in range(10):
            if session_id not in self.disk.sessions:
                return
            try:
                _, kernels = await self._user.load_session(session_id)
                moves = restart_moves(kernels) if is_restart else end_moves(kernels)
                await self._user.move(moves, self.clock.now())
            except Conflict:
                continue
            return

    async def _end_all(self) -> None:
        for session_id, row in list(self.disk.sessions.items()):
            if row.status not in SESSION_FINAL:
                await self._order(session_id, is_restart=False)

    # What goes wrong

    async def _happen(self, incident: Incident) -> None:
        await asyncio.sleep(incident.at)
        self.note("begin", incident)
        undo = self._begin(incident)
        await asyncio.sleep(min(incident.seconds, max(CHAOS_SECONDS - incident.at - 0.1, 0.0)))
        undo()
        self.note("over", incident)

    def _begin(self, incident: Incident) -> Any:
        manager = self.managers[incident.manager]
        agent = self.agents[f"a{incident.agent}"]
        match incident.kind:
            case Kind.KILL_MANAGER:
                manager.kill()
                return manager.boot
            case Kind.PAUSE_MANAGER:
                manager.gate.clear()
                return manager.gate.set
            case Kind.KILL_AGENT:
                agent.crash()
                return lambda: agent.is_up or agent.boot()
            case Kind.LOSE_AGENT_FILES:
                agent.crash()
                agent.files.records.clear()
                self.checker.files_lost = True
                return lambda: agent.is_up or agent.boot()
            case Kind.ENGINE_AWAY:
                return _switch(agent.engine, "is_reachable", False)
            case Kind.PARTITION | Kind.LOSE_REQUESTS | Kind.LOSE_REPLIES | Kind.FLAP:
                return self._cut(incident, manager, agent)
            case Kind.STORM:
                return self._storm(manager.weather)
            case Kind.STORE_AWAY:
                return _switch(manager.trouble, "is_away", True)
            case Kind.STORE_SHAKY:
                first = _switch(manager.trouble, "refusal", 0.1)
                second = _switch(manager.trouble, "unknown_commit", 0.1)
                return lambda: (first(), second())
            case Kind.LOSE_HINTS:
                return _switch(self.disk, "drop_hint", lambda: True)
            case Kind.FENCE:
                return self._fence(agent)
            case Kind.RIVALS:
                return self._rival(incident)
        raise AssertionError(incident.kind)

    def _cut(self, incident: Incident, manager: _Manager, agent: FakeAgent) -> Any:
        there, back = (manager.name, agent.agent_id), (agent.agent_id, manager.name)
        pairs = {
            Kind.PARTITION: {there, back},
            Kind.LOSE_REQUESTS: {there},
            Kind.LOSE_REPLIES: {back},
            Kind.FLAP: {there, back},
        }[incident.kind]
        cut = [one.weather.cut for one in self.managers if one is manager or incident.at % 2 < 1]
        for one in cut:
            one.update(pairs)
        if incident.kind is Kind.FLAP:
            self._spawn(self._flap(incident, cut, pairs))

        def undo() -> None:
            for one in cut:
                one.difference_update(pairs)

        return undo

    def _fence(self, agent: FakeAgent) -> Any:
        """An operator writes off a node whose daemon is dead and whose containers, in spite of the
        promise, still run; later the node comes back and is resumed."""
        agent.crash()
        agent_id = AgentId(agent.agent_id)
        self._set_status(agent_id, AgentStatus.TERMINATED)
        moves = fence_moves(list(self.disk.kernels.values()), agent_id)
        self.disk.move(moves, self.clock.now())
        self.note("fenced", agent_id, len(moves))

        def undo() -> None:
            if not agent.is_up:
                agent.boot()
            self._set_status(agent_id, AgentStatus.SUSPECT)

        return undo

    def _rival(self, incident: Incident) -> Any:
        """Every manager believes that it leads and writes what it planned seconds ago, while
        sessions come that go before those that wait."""
        undo = [_switch(self.disk, "is_lease_shared", True)]
        undo += [_switch(one.trouble, "placing", (0.0, 4.0)) for one in self.managers]
        self._spawn(self._hurry(incident))
        return lambda: [one() for one in undo]

    async def _hurry(self, incident: Incident) -> None:
        until = min(incident.at + incident.seconds, CHAOS_SECONDS)
        while True:
            await asyncio.sleep(self.random.expovariate(HURRIED_PER_SECOND))
            if self.clock.monotonic() >= until:
                return
            priority = self.random.randint(20, 40)
            await self._create(replace(self._draw_session(()), priority=priority))

    def _set_status(self, agent_id: AgentId, status: AgentStatus) -> None:
        record = self.disk.agents.get(agent_id)
        if record is not None:
            record.row = replace(record.row, status=status, flaps=0)
            record.status_at = self.clock.monotonic()
            self.disk.notify(HINT_PLAN)

    async def _flap(
        self, incident: Incident, cuts: list[set[Any]], pairs: set[tuple[str, str]]
    ) -> None:
        until = self.clock.monotonic() + min(incident.seconds, CHAOS_SECONDS - incident.at - 1)
        while self.clock.monotonic() < until:
            await asyncio.sleep(5)
            if self.clock.monotonic() >= until:
                return
            for one in cuts:
                one.symmetric_difference_update(pairs)

    def _storm(self, weather: Weather) -> Any:
        undo = [
            _switch(weather, "loss", 0.25),
            _switch(weather, "doubling", 0.3),
            _switch(weather, "delay", (0.01, 2.0)),
        ]
        return lambda: [one() for one in undo]

    def _heal(self) -> None:
        """Everything works again, whatever is still under way."""
        self.note("calm")
        for manager in self.managers:
            manager.gate.set()
            manager.boot()
            manager.trouble.is_away, manager.trouble.refusal = False, 0.0
            manager.trouble.unknown_commit, manager.trouble.placing = 0.0, (0.0, 0.0)
            manager.weather.cut.clear()
            manager.weather.loss = manager.weather.doubling = 0.0
            manager.weather.delay = (0.0005, 0.02)
        self.disk.drop_hint, self.disk.is_lease_shared = lambda: False, False
        for agent in self.agents.values():
            agent.engine.is_reachable = True
            if not agent.is_up:
                agent.boot()

    @property
    def trace(self) -> str:
        return self._hash.hexdigest()

    def living(self) -> int:
        return sum(1 for _, one in self.checker.containers() if one.phase is Phase.RUNNING)


def _switch(target: Any, name: str, value: Any) -> Any:
    """Set an attribute; returns how to set it back to what it is without any trouble."""
    before = _WELL.get((type(target).__name__, name), getattr(target, name))
    setattr(target, name, value)
    return lambda: setattr(target, name, before)


# Incidents overlap, so what is restored is health and not what was found.
_WELL: Final[dict[tuple[str, str], Any]] = {
    ("Weather", "loss"): 0.0,
    ("Weather", "doubling"): 0.0,
    ("Weather", "delay"): (0.0005, 0.02),
    ("Trouble", "refusal"): 0.0,
    ("Trouble", "unknown_commit"): 0.0,
    ("Trouble", "is_away"): False,
    ("Trouble", "placing"): (0.0, 0.0),
    ("Disk", "is_lease_shared"): False,
    ("FakeEngine", "is_reachable"): True,
}


def simulate(seed: int, incidents: Sequence[Incident] | None = None) -> Outcome:
    """Run one world; what it violated is in the outcome."""

    async def run() -> Outcome:
        world = World(seed, incidents)
        violation = ""
        try:
            await world.run()
        except (Violation, Fault, BaseExceptionGroup) as error:
            violation = f"{type(error).__name__}: {error}"
        return Outcome(seed, world.trace, violation, world.clock.monotonic(), world.incidents)

    return run_virtual(run())
