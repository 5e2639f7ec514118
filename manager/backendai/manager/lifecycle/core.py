"""The manager's core as one thing to run: planner, observers, deadlines, health, relay.

It is built from ports only, so the simulator runs this very class.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from backendai.common.clock import Clock
from backendai.common.contracts.agent import AgentReport
from backendai.common.ids import AgentId
from backendai.common.logs import get_logger
from backendai.common.loops import LoopHealth, Wake, supervise
from backendai.manager.agents.directory import Registry, choose_contacts
from backendai.manager.agents.link import AgentLink
from backendai.manager.agents.model import Patience
from backendai.manager.sched.loop import Planner

from .changes import HINT_NETWORKS, HINT_OUTBOX, HINT_PLAN, agent_hint
from .drive import AgentObserver, RelayKeys
from .hints import HintBoard
from .outbox import Publisher, Relay
from .reap import Reaper
from .store import CoreStore
from .weave import Weaver

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Periods:
    """How often each loop looks when nothing hints at it, in seconds."""

    plan: float = 1.5
    directory: float = 2.0
    overdue: float = 2.0
    judge: float = 2.0
    relay: float = 2.0
    networks: float = 5.0
    drift: float = 60.0
    prune: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """`holder` names this manager among others, and is new at each start."""

    holder: str
    patience: Patience = field(default_factory=Patience)
    periods: Periods = field(default_factory=Periods)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything that the core touches outside itself."""

    store: CoreStore
    link: AgentLink
    registry: Registry
    publisher: Publisher
    clock: Clock
    board: HintBoard
    relay_keys: RelayKeys | None = None


@dataclass(slots=True)
class _Watched:
    observer: AgentObserver
    task: asyncio.Task[None]


class Core:
    """Runs until cancelled; may be killed at any point."""

    def __init__(self, ports: Ports, settings: CoreSettings) -> None:
        self._ports = ports
        self._settings = settings
        self.health = LoopHealth(ports.clock)
        self._reaper = Reaper(ports.store, ports.clock, settings.patience, self._list_reports)
        self._watched: dict[AgentId, _Watched] = {}
        self._refusals: frozenset[str] = frozenset()

    @property
    def observers(self) -> dict[AgentId, AgentObserver]:
        """The agents in sight, with what they last reported and which orphans they have."""
        return {key: watched.observer for key, watched in self._watched.items()}

    async def run(self) -> None:
        ports, periods = self._ports, self._settings.periods
        with ExitStack() as watches:
            plan_wake = watches.enter_context(ports.board.watch(HINT_PLAN))
            relay_wake = watches.enter_context(ports.board.watch(HINT_OUTBOX))
            weave_wake = watches.enter_context(ports.board.watch(HINT_NETWORKS))
            weaver = Weaver(ports.store, ports.link, self._list_reports)
            planner = Planner(ports.store, ports.clock, self._settings.holder, plan_wake)
            relay = Relay(
                ports.store, ports.publisher, ports.clock, self._settings.holder, relay_wake
            )
            async with asyncio.TaskGroup() as tasks:
                self._start(tasks, "plan", planner.step, periods.plan, plan_wake)
                self._start(tasks, "relay", relay.step, periods.relay, relay_wake)
                self._start(tasks, "directory", lambda: self._look_around(tasks), periods.directory)
                self._start(tasks, "overdue", self._reaper.end_overdue, periods.overdue)
                self._start(tasks, "judge", self._reaper.judge_agents, periods.judge)
                self._start(tasks, "networks", weaver.step, periods.networks, weave_wake)
                self._start(tasks, "drift", self._reaper.check_drift, periods.drift)
                self._start(tasks, "prune", self._reaper.prune, periods.prune)

    def _start(
        self,
        tasks: asyncio.TaskGroup,
        name: str,
        step: Callable[[], Awaitable[object]],
        period_seconds: float,
        wake: Wake | None = None,
    ) -> None:
        loop = supervise(
            name,
            step,
            period_seconds=period_seconds,
            clock=self._ports.clock,
            wake=wake,
            health=self.health,
        )
        tasks.create_task(loop, name=f"core.{name}")

    def _list_reports(self) -> dict[AgentId, AgentReport]:
        """What each node in sight said last."""
        said = ((key, observer.report) for key, observer in self.observers.items())
        return {key: report for key, report in said if report is not None}

    async def _look_around(self, tasks: asyncio.TaskGroup) -> None:
        """Watch every agent that is known or announced, at the place where it is."""
        known = await self._ports.store.list_agents()
        offers = await self._ports.registry.offers()
        contacts, refusals = choose_contacts(known, offers, self._settings.patience)
        for refusal in sorted(set(refusals) - self._refusals):
            log.error("agent.refused", why=refusal)
        self._refusals = frozenset(refusals)
        for agent_id, contact in sorted(contacts.items()):
            watched = self._watched.get(agent_id)
            if watched is not None and watched.observer.contact == contact:
                continue
            if watched is not None:
                await _stop(watched.task)
            observer = AgentObserver(
                contact,
                self._ports.store,
                self._ports.link,
                self._ports.clock,
                patience=self._settings.patience,
                health=self.health,
                relay_keys=self._ports.relay_keys,
            )
            task = tasks.create_task(self._observe(observer), name=f"core.agent:{agent_id}")
            self._watched[agent_id] = _Watched(observer, task)
            log.info("agent.watched", agent=agent_id, address=contact.address)

    async def _observe(self, observer: AgentObserver) -> None:
        topic = agent_hint(observer.contact.agent_id)
        with self._ports.board.watch(topic, observer.wake):
            await observer.run()


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
