"""PURE: what is wrong, from stored facts. What was over a limit has to fall well below."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from backendai.common.enums import AgentStatus
from backendai.manager.agents.render import age
from backendai.manager.idle.utilization import FRESH_SECONDS, Container, families_of

from .model import AlertKind, Key, Look

# Without it, what is about at its limit would begin and end all day.
MARGIN_PERCENT: Final = 3.0
# Drivers tell of some percent even where nothing runs.
IDLE_PERCENT: Final = 2.0


@dataclass(frozen=True, slots=True)
class AgentFact:
    """A node; `used` is what was kept of how it was when it was heard last."""

    id: str
    status: AgentStatus
    resource_group: str
    silent_seconds: float
    used: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SessionFact:
    """A session that runs, and its containers."""

    id: str
    name: str
    owner: str
    held: tuple[Container, ...]


class OwnedScope(NamedTuple):
    """A quota scope, and whose it is."""

    host: str
    id: str
    owner: str

    @property
    def name(self) -> str:
        return f"{self.owner} on {self.host}"


@dataclass(frozen=True, slots=True)
class Space:
    """A volume or a quota scope; None is not known, or without a limit."""

    name: str
    used_bytes: int | None
    limit_bytes: int | None


@dataclass(frozen=True, slots=True)
class Limits:
    """From which level on something is wrong."""

    silent_seconds: float = 60.0
    full_percent: float = 90.0


def judge_agents(
    agents: Iterable[AgentFact], limits: Limits, open_keys: Collection[Key], *, has_listened: bool
) -> Look:
    """A node that is heard again is still lost until it is trusted again. Where nobody has listened
    for as long as a node may be silent, nobody knows whether it was."""
    wrong: dict[Key, str] = {}
    for agent in agents:
        key = Key(AlertKind.AGENT_LOST, agent.id)
        is_silent = agent.silent_seconds >= limits.silent_seconds
        is_doubted = key in open_keys and agent.status is not AgentStatus.ALIVE
        if agent.status is not AgentStatus.TERMINATED and (is_silent or is_doubted):
            wrong[key] = (
                f"Node {agent.id} of {agent.resource_group} has not been heard for "
                f"{age(agent.silent_seconds)}"
            )
    return Look(wrong) if has_listened else Look({}, wrong.keys())


def judge_disks(agents: Iterable[AgentFact], limits: Limits, open_keys: Collection[Key]) -> Look:
    """Disks of nodes. What a node that is silent said last still counts: it is what is known."""
    wrong: dict[Key, str] = {}
    for agent in agents:
        for disk in agent.used.get("disks", ()):
            used = disk["total_bytes"] - disk["free_bytes"]
            space = Space(f"{agent.id}:{disk['path']}", used, disk["total_bytes"])
            wrong |= _over(AlertKind.DISK_NEAR_FULL, space, limits, open_keys, "Disk")
    return Look(wrong)


def judge_spaces(
    kind: AlertKind,
    word: str,
    spaces: Iterable[Space | str],
    limits: Limits,
    open_keys: Collection[Key],
) -> Look:
    """Volumes or quota scopes; the name alone of one that could not be asked."""
    wrong: dict[Key, str] = {}
    unseen: list[Key] = []
    for space in spaces:
        if isinstance(space, str):
            unseen.append(Key(kind, space))
        else:
            wrong |= _over(kind, space, limits, open_keys, word)
    return Look(wrong, unseen)


def judge_accelerators(sessions: Iterable[SessionFact], now: datetime) -> Look:
    """Sessions that hold accelerators of which none does anything."""
    wrong: dict[Key, str] = {}
    unseen: list[Key] = []
    for session in sessions:
        key = Key(AlertKind.IDLE_ACCELERATOR, session.id)
        levels = [_level(one, family, now) for one in session.held for family in families_of([one])]
        if any(level is not None and level > IDLE_PERCENT for level in levels) or not levels:
            continue
        if None in levels:
            unseen.append(key)
            continue
        wrong[key] = f"Session {session.name} of {session.owner} holds accelerators and uses none"
    return Look(wrong, unseen)


def join(looks: Iterable[Look]) -> Look:
    wrong: dict[Key, str] = {}
    unseen: set[Key] = set()
    for look in looks:
        wrong |= look.wrong
        unseen |= set(look.unseen)
    return Look(wrong, frozenset(unseen))


def _over(
    kind: AlertKind, space: Space, limits: Limits, open_keys: Collection[Key], word: str
) -> dict[Key, str]:
    if not space.limit_bytes or space.used_bytes is None:
        return {}
    key = Key(kind, space.name)
    percent = 100 * space.used_bytes / space.limit_bytes
    margin = MARGIN_PERCENT if key in open_keys else 0.0
    if percent < limits.full_percent - margin:
        return {}
    free = max(space.limit_bytes - space.used_bytes, 0) / (1 << 30)
    return {key: f"{word} {space.name} is {percent:.0f} % full, {free:.1f} GiB are left"}


def _level(container: Container, family: str, now: datetime) -> float | None:
    """How busy its devices are, in percent; None where that was not told of late."""
    at = container.use.get("sampled_at", 0)
    if abs(now.timestamp() - at) > FRESH_SECONDS:
        return None
    known = container.use.get("accelerators", {}).get(f"{family}_util")
    return None if known is None else float(known)
