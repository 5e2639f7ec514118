"""Why a session waits: numbers for programs, and one sentence for people. PURE."""

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from .view import Dependency, Quota, show_units


class Rule(enum.StrEnum):
    """What holds a session back; the planner checks them in this order."""

    FROZEN = "frozen"
    STARTS_AT = "starts-at"
    DEPENDENCIES = "dependencies"
    RESOURCE_GROUP = "resource-group"
    QUOTA = "quota"
    NETWORK = "network"
    ROOM = "room"


class Cause(enum.StrEnum):
    """Why a node cannot take a kernel; `not-enough-<slot>` are made by the planner."""

    LOST = "lost"
    SUSPECT = "suspect"
    NOT_SCHEDULABLE = "not-schedulable"
    ENGINE_UNREACHABLE = "engine-unreachable"
    WRONG_ARCHITECTURE = "wrong-architecture"
    NOT_DESIGNATED = "not-designated"
    FAILED_BEFORE = "failed-before"
    RESERVED = "reserved"
    TAKEN_BY_SIBLINGS = "taken-by-siblings"
    NOT_IN_SWARM = "not-in-swarm"
    SWARM_UNMANAGED = "swarm-unmanaged"


_TOLD: Final[Mapping[str, str]] = {
    Cause.LOST: "{nodes} not heard of for long",
    Cause.SUSPECT: "{nodes} not answering now",
    Cause.NOT_SCHEDULABLE: "{nodes} closed to new sessions",
    Cause.ENGINE_UNREACHABLE: "{nodes} without a working container engine",
    Cause.WRONG_ARCHITECTURE: "{nodes} of another processor architecture",
    Cause.NOT_DESIGNATED: "{nodes} not among those asked for",
    Cause.FAILED_BEFORE: "{nodes} where it failed to start before",
    Cause.RESERVED: "{nodes} kept free for a session that has waited longer",
    Cause.TAKEN_BY_SIBLINGS: "{nodes} filled by its own other kernels",
    Cause.NOT_IN_SWARM: "{nodes} outside of the Docker Swarm",
    Cause.SWARM_UNMANAGED: "{nodes} in a Docker Swarm whose managers have no agent that answers",
}


@dataclass(frozen=True, slots=True)
class WaitReason:
    """`need` and `have` are for reading: texts by slot or limit. `causes` count nodes."""

    rule: Rule
    detail: str
    need: Mapping[str, str] = field(default_factory=dict)
    have: Mapping[str, str] = field(default_factory=dict)
    causes: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "rule": self.rule.value,
            "detail": self.detail,
            "need": dict(self.need),
            "have": dict(self.have),
            "causes": dict(self.causes),
        }

    @property
    def digest(self) -> str:
        """Equal for equal reasons: what has not changed is not written again."""
        return json.dumps(self.to_json(), sort_keys=True)


def frozen() -> WaitReason:
    return WaitReason(
        Rule.FROZEN, "An administrator has frozen the cluster; it starts no sessions."
    )


def starts_later(starts_at: datetime) -> WaitReason:
    when = starts_at.isoformat(timespec="seconds")
    return WaitReason(Rule.STARTS_AT, f"It was asked to start at {when}.", {"starts_at": when})


def depends_on(waiting: Sequence[Dependency]) -> WaitReason:
    names = ", ".join(one.name for one in waiting)
    return WaitReason(
        Rule.DEPENDENCIES,
        f"It waits for {names} to finish.",
        need={one.name: "finished" for one in waiting},
        have={one.name: one.status for one in waiting},
    )


def no_group(name: str) -> WaitReason:
    return WaitReason(Rule.RESOURCE_GROUP, f"The resource group {name} takes no sessions now.")


def too_many_sessions(quota: Quota, used: int) -> WaitReason:
    most = "1 session" if quota.sessions_max == 1 else f"{quota.sessions_max} sessions"
    running = "1 is" if used == 1 else f"{used} are"
    return WaitReason(
        Rule.QUOTA,
        f"The {quota.scope} {quota.name} may run {most} at once; {running} running. "
        "This one starts when another ends.",
        need={"sessions": "1"},
        have={"limit": str(quota.sessions_max), "used": str(used), "scope": quota.scope},
    )


def unreadable_limits(quota: Quota) -> WaitReason:
    return WaitReason(
        Rule.QUOTA,
        f"The limits of the {quota.scope} {quota.name} cannot be read ({quota.problem}); "
        "an administrator has to mend them.",
        have={"scope": quota.scope, "problem": quota.problem},
    )


def too_much_of(quota: Quota, slot: str, need: int, used: int) -> WaitReason:
    limit = show_units(slot, quota.slots_max.get(slot, 0))
    asked, taken = show_units(slot, need), show_units(slot, used)
    return WaitReason(
        Rule.QUOTA,
        f"The {quota.scope} {quota.name} may use {limit} of {slot}; {taken} is in use and "
        f"{asked} more is asked for.",
        need={slot: asked},
        have={"limit": limit, "used": taken, "scope": quota.scope, "slot": slot},
    )


def no_network(group: str, causes: Mapping[str, int]) -> WaitReason:
    """Why kernels of several nodes could not reach each other; what an administrator can do."""
    if Cause.SWARM_UNMANAGED in causes:
        lack = "has an agent on a manager of its Docker Swarm that answers, which makes the network"
        cure = "start an agent on a manager of that swarm, or promote a node that has one"
    else:
        lack = "is in a Docker Swarm"
        cure = "join the nodes to one (docker swarm init, docker swarm join)"
    return WaitReason(
        Rule.NETWORK,
        "Its kernels may be on several nodes and need a network between these, but no node of the "
        f"resource group {group} {lack}. An administrator can {cure}; a session of cluster mode "
        "single-node needs none.",
        need={"network": "docker-swarm"},
        causes=dict(causes),
    )


def no_room(
    need: Mapping[str, int],
    have: Mapping[str, int],
    causes: Mapping[str, int],
    node_count: int,
    *,
    can_ever_fit: bool,
    kernel_count: int = 1,
) -> WaitReason:
    """`need` is of the largest single placement; `have` the most of each slot on a usable node."""
    wish = " and ".join(f"{show_units(slot, amount)} {slot}" for slot, amount in need.items())
    what = wish or "a node" if kernel_count == 1 else f"{kernel_count} kernels with {wish}"
    told = ", ".join(_tell(cause, count) for cause, count in causes.items())
    if node_count == 0:
        detail = "The resource group has no nodes."
    elif not can_ever_fit:
        detail = f"No node is large enough for {what}, even when empty ({told})."
    else:
        detail = f"No node has room for {what} now ({told})."
    return WaitReason(
        Rule.ROOM,
        detail,
        need={slot: show_units(slot, amount) for slot, amount in need.items()},
        have={slot: show_units(slot, amount) for slot, amount in have.items()},
        causes=dict(causes),
    )


def _tell(cause: str, count: int) -> str:
    """One cause in words: `2 nodes with too little cpu free`."""
    nodes = "1 node" if count == 1 else f"{count} nodes"
    slot = cause.removeprefix("not-enough-")
    return _TOLD.get(cause, f"{{nodes}} with too little {slot} free").format(nodes=nodes)
