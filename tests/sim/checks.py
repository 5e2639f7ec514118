"""What must hold: after each commit, at each change of a container, in calm, and at the end."""

import uuid
from collections.abc import Iterable, Mapping
from decimal import Decimal

from backendai.agent.machine import Phase
from backendai.common.enums import AgentStatus
from backendai.common.ids import KernelId
from backendai.common.lifecycle import (
    FINAL,
    HOLDING,
    SESSION_FINAL,
    TABLE,
    KernelEvent,
    KernelStatus,
    SessionStatus,
    session_status,
)
from backendai.manager.lifecycle.model import Changes, is_spread
from backendai.manager.lifecycle.specs import network_of

from .agent import FakeAgent, FakeContainer, FakeSwarm
from .memory import Disk

# Where a session may be for long when nothing goes wrong.
SETTLED = SESSION_FINAL | {
    SessionStatus.PENDING,
    SessionStatus.RUNNING,
    SessionStatus.RUNNING_DEGRADED,
}


class Violation(AssertionError):
    """An invariant does not hold. The message begins with its number."""


class Checker:
    """Watches a disk and its agents."""

    def __init__(self, disk: Disk, agents: Mapping[str, FakeAgent], swarm: FakeSwarm) -> None:
        self._disk = disk
        self._swarm = swarm
        self._agents = agents
        self.files_lost = False

    def containers(self) -> Iterable[tuple[str, FakeContainer]]:
        for agent_id, agent in self._agents.items():
            for one in agent.engine.containers.values():
                yield agent_id, one

    # After each commit

    def commit(self, change: Changes) -> None:
        self._check_path(change)
        self._check_proofs(change)
        self._check_room()
        rows = self._disk.kernels_of(change.session.id)
        derived = session_status([row.status for row in rows])
        _hold("I12", derived is change.session.status, f"{change.session.id} is not {derived}")

    def _check_path(self, change: Changes) -> None:
        for moved in change.moved:
            pair = (moved.before.status, moved.event)
            _hold("I12", TABLE.get(pair) is moved.after.status, f"{pair} -> {moved.after.status}")
            _hold("I12", moved.before.status not in FINAL, f"{moved.before.id} left a final status")

    def _check_proofs(self, change: Changes) -> None:
        """What the database writes off must not run anywhere, but where an operator says so."""
        for moved in change.moved:
            if moved.before.status not in HOLDING or moved.after.status in HOLDING:
                continue
            if moved.event is KernelEvent.FENCED:
                continue
            for agent_id, one in self.containers():
                is_it = one.kernel_id == str(moved.before.id)
                runs = one.phase is Phase.RUNNING and one.generation <= moved.before.generation
                _hold(
                    "I11",
                    not (is_it and runs),
                    f"{one.kernel_id}.{one.generation} was written off ({moved.event}, "
                    f"{moved.after.status_info}) and runs on {agent_id}",
                )

    def _check_room(self) -> None:
        for agent_id, slots in self._disk.occupied().items():
            capacity = self._disk.capacities.get(agent_id, {})
            for slot, amount in slots.items():
                whole = capacity.get(slot, Decimal(0))
                _hold("I3", 0 <= amount <= whole, f"{agent_id} {slot}: {amount} of {whole}")
        drift = self._disk.drift()
        _hold("I3", not drift, f"drift: {drift[:2]}")
        for scope, count in self._disk.running_sessions().items():
            quota = self._disk.limits.get(scope)
            limit = quota.sessions_max if quota is not None else None
            _hold("I10", limit is None or count <= limit, f"{scope}: {count} of {limit}")

    # At each change of a container

    def start(self, agent_id: str, started: FakeContainer) -> None:
        """A kernel runs once, and each generation of it is started once."""
        engine = self._agents[agent_id].engine
        key = (started.kernel_id, started.generation)
        others = [
            (name, one)
            for name, one in self.containers()
            if one.kernel_id == started.kernel_id
            and one.phase is Phase.RUNNING
            and one is not started
        ]
        count = sum(agent.engine.started.count(key) for agent in self._agents.values())
        if self.files_lost:
            return
        _hold("I4", not others, f"{key} starts on {agent_id} while {others} runs")
        _hold("I4", count == 1, f"{key} was started {count} times")
        _hold("I4", key in engine.started, "a start is on record")

    def kill(self, kernel_id: str, generation: int) -> None:
        """A container that is killed was ordered to end by what the history tells."""
        row = self._disk.kernels.get(KernelId(uuid.UUID(kernel_id)))
        if row is None or row.generation < generation:
            raise Violation(f"I11 {kernel_id}.{generation} is unknown and was killed")
        # An agent that lost its memory may follow an order that was under way when the kernel
        # ended: what it then starts is over in the database, and has to go.
        is_revenant = self.files_lost and row.status in FINAL
        if row.generation > generation or is_revenant:
            return
        wanted = {KernelEvent.TERMINATE.value, KernelEvent.FENCED.value}
        asked = any(
            line.kernel_id == row.id and line.generation == generation and line.event in wanted
            for line in self._disk.history
        )
        _hold("I11", asked, f"{kernel_id}.{generation} ({row.status}) was killed, nobody asked")

    # When calm has come

    def settled(self) -> str:
        """Why things are not settled yet; empty when they are."""
        for row in self._disk.kernels.values():
            if row.status in FINAL or row.status is KernelStatus.PENDING:
                continue
            if row.status is not KernelStatus.RUNNING:
                return f"kernel {row.id} is {row.status}"
        for row in self._disk.sessions.values():
            if row.status is SessionStatus.PENDING and row.id not in self._disk.waiting:
                return f"session {row.id} waits and has no reason"
            if row.status not in SETTLED:
                return f"session {row.id} is {row.status}"
        for agent_id, one in self.containers():
            known = self._disk.kernels[KernelId(uuid.UUID(one.kernel_id))]
            if known.generation != one.generation or known.status in FINAL:
                return f"{one.kernel_id}.{one.generation} is left on {agent_id}"
        return self._agents_back() or self._differences() or self._networks()

    def _networks(self) -> str:
        """Sessions over several nodes have theirs, and nothing is left of those that ended."""
        due = {
            network_of(row.session_id)
            for row in self._disk.kernels.values()
            if row.status in HOLDING and is_spread(self._disk.sessions[row.session_id])
        }
        left, lacking = self._swarm.networks - due, due - self._swarm.networks
        return f"networks left {sorted(left)}, lacking {sorted(lacking)}" if left or lacking else ""

    def _agents_back(self) -> str:
        for agent_id, record in self._disk.agents.items():
            if record.row.status is not AgentStatus.ALIVE:
                return f"{agent_id} is {record.row.status}"
        return ""

    def _differences(self) -> str:
        """What the database says and what the nodes have must become the same thing. A container
        may end in this very moment, so a difference is no violation until it stays."""
        running = {
            (one.kernel_id, one.generation): agent_id
            for agent_id, one in self.containers()
            if one.phase is Phase.RUNNING
        }
        due = {
            (str(row.id), row.generation): str(row.agent_id)
            for row in self._disk.kernels.values()
            if row.status is KernelStatus.RUNNING
        }
        if orphans := running.keys() - due.keys():
            return f"I5 orphans: {sorted(orphans)}"
        if ghosts := due.keys() - running.keys():
            return f"I6 ghosts: {sorted(ghosts)}"
        return "" if running == due else "I6 kernels run where the database does not place them"

    # At the end

    def finished(self) -> str:
        """Why not everything is over yet; empty when it is."""
        for row in self._disk.sessions.values():
            if row.status not in SESSION_FINAL:
                return f"session {row.id} is {row.status}"
        for agent_id, one in self.containers():
            return f"{one.kernel_id}.{one.generation} is left on {agent_id}"
        return ""

    def end(self, acknowledged: Iterable[object]) -> None:
        for session_id in acknowledged:
            _hold("I2", session_id in self._disk.sessions, f"{session_id} was lost")
        held = [one for one in self._disk.allocations if one.is_live]
        _hold("I3", not held, f"held at the end: {held[:2]}")
        self._check_chains()
        unsent = [key for key, _, _ in self._disk.outbox if key not in self._disk.relayed]
        _hold("I9", not unsent, f"{len(unsent)} events were never relayed")

    def _check_chains(self) -> None:
        last: dict[object, str] = {}
        for line in self._disk.history:
            key = line.kernel_id or line.session_id
            _hold("I2", last.get(key) == line.from_status, f"a gap in the history of {key}")
            last[key] = line.to_status
        for row in self._disk.kernels.values():
            _hold("I2", last[row.id] == row.status.value, f"{row.id} moved without history")
        for session in self._disk.sessions.values():
            is_told = last[session.id] == session.status.value
            _hold("I2", is_told, f"{session.id} moved without history")


def _hold(number: str, is_true: bool, message: str) -> None:
    if not is_true:
        raise Violation(f"{number} {message}")
