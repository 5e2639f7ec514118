"""What to do next on a node: desired kernels against actual containers, as values. PURE.

Nothing is ever stopped because information is missing: only a GONE order or a newer generation
stops a container, and a newer generation that was merely read from files may not stop many.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from backendai.common.contracts.agent import Desired, KernelSpec, RegistryLogin

IMPLICIT_STOPS_MAX: Final = 3
IMPLICIT_STOPS_SHARE_MAX: Final = 0.2


class Phase(enum.StrEnum):
    """What the engine says of a container; a paused one runs, a dead one has exited."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Container:
    """A container of ours, as the engine lists it."""

    kernel_id: str
    generation: int
    container_id: str
    phase: Phase


@dataclass(frozen=True, slots=True)
class Desire:
    """The newest order for a kernel.

    `fresh` says that a manager gave it to this very instance of the agent; `launched` that its
    container ran once, so that it is never made again; `ended` that its end is on record;
    `lacks_login` that the order came with one, which a restart of the agent has lost.
    """

    kernel_id: str
    generation: int
    desired: Desired
    spec: KernelSpec | None = None
    reason: str = ""
    grace_seconds: float = 5.0
    fresh: bool = True
    launched: bool = False
    ended: bool = False
    login: RegistryLogin | None = None
    lacks_login: bool = False


@dataclass(frozen=True, slots=True)
class Launch:
    """Fetch the image when needed, make the container, start it, wait for its runner."""

    kernel_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class Start:
    """Start a container that was made and never started."""

    container: Container


@dataclass(frozen=True, slots=True)
class Adopt:
    """Take up a running container: connect to its runner and report it."""

    container: Container


@dataclass(frozen=True, slots=True)
class Hold:
    """Report a created container for which no order is known; wait for one."""

    container: Container


@dataclass(frozen=True, slots=True)
class Conclude:
    """Find out why a container exited, and report that."""

    container: Container


@dataclass(frozen=True, slots=True)
class Lose:
    """Report a container as removed by somebody else."""

    kernel_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class Discard:
    """Stop a container and remove it. `for_good` false: a newer generation takes its place."""

    container: Container
    grace_seconds: float
    reason: str
    for_good: bool


@dataclass(frozen=True, slots=True)
class Clear:
    """Nothing of the kernel runs: remove its files and report it gone."""

    kernel_id: str
    generation: int


Action = Launch | Start | Adopt | Hold | Conclude | Lose | Discard | Clear


@dataclass(frozen=True, slots=True)
class View:
    """The level at one moment.

    `busy`: kernels on which a task works. `settled`: (kernel, generation, phase) already taken
    up and reported, so that the same news is not acted upon twice. `living`: (kernel, generation)
    whose report says that it lives.
    """

    desires: Mapping[str, Desire]
    containers: tuple[Container, ...]
    busy: frozenset[str] = frozenset()
    settled: frozenset[tuple[str, int, Phase]] = frozenset()
    living: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why stopping has been halted, if it has."""

    actions: tuple[Action, ...]
    halted: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order is not taken: `seen` is the newest generation known."""

    seen: int


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The order to keep from now on; `changed` false when it says nothing new."""

    desire: Desire
    changed: bool = True


def accept(order: Desire, known: Desire | None, generations: Iterable[int]) -> Acceptance | Refusal:
    """Whether `order` becomes the desire. `generations` are those of the kernel's containers.

    Of one generation GONE beats RUNNING, whichever came first; a repetition changes nothing but
    freshness, and brings the login that counts now.
    """
    seen = max([known.generation if known else 0, *generations])
    if order.generation < seen:
        return Refusal(seen)
    if known is None or known.generation < order.generation:
        return Acceptance(order)
    if known.desired is Desired.GONE or known.desired is order.desired:
        login = order.login if known.desired is order.desired else None
        again = replace(known, fresh=True, login=login, lacks_login=False)
        return Acceptance(again, changed=False)
    return Acceptance(order)


def decide(view: View) -> Decision:
    """The actions that bring the node nearer to what is desired, at most a few per kernel."""
    found = _by_kernel(view.containers)
    known = {kernel_id for kernel_id, _ in view.living}
    kernel_ids = sorted({*found, *view.desires, *known} - view.busy)
    actions = [
        action
        for kernel_id in kernel_ids
        for action in _decide_kernel(
            view, kernel_id, view.desires.get(kernel_id), found.get(kernel_id, [])
        )
    ]
    return _brake(actions, view)


def _by_kernel(containers: Iterable[Container]) -> dict[str, list[Container]]:
    found: dict[str, list[Container]] = {}
    for container in sorted(containers, key=lambda one: (one.kernel_id, one.generation)):
        found.setdefault(container.kernel_id, []).append(container)
    return found


def _decide_kernel(
    view: View, kernel_id: str, desire: Desire | None, found: list[Container]
) -> list[Action]:
    if desire is None:
        return _watch(view, found) if found else _miss(view, kernel_id)
    newer = [one for one in found if one.generation > desire.generation]
    if newer:
        # The order is older than what runs, so it says nothing about it.
        return _watch(view, newer)
    if desire.desired is Desired.GONE:
        return _end(desire, found)
    older = [one for one in found if one.generation < desire.generation]
    if older:
        return [_discard(one, desire, for_good=False) for one in older]
    return _uphold(view, desire, found)


def _watch(view: View, found: Iterable[Container]) -> list[Action]:
    """Report what is there without an order that speaks of it."""
    actions: list[Action] = []
    for one in found:
        if (one.kernel_id, one.generation, one.phase) in view.settled:
            continue
        match one.phase:
            case Phase.CREATED:
                actions.append(Hold(one))
            case Phase.RUNNING:
                actions.append(Adopt(one))
            case Phase.EXITED:
                actions.append(Conclude(one))
    return actions


def _miss(view: View, kernel_id: str) -> list[Action]:
    """A kernel that lived without an order known here, and is not there any more."""
    return [Lose(*key) for key in sorted(view.living) if key[0] == kernel_id]


def _end(desire: Desire, found: list[Container]) -> list[Action]:
    if found:
        return [_discard(one, desire, for_good=True) for one in found]
    if desire.ended:
        return []
    return [Clear(desire.kernel_id, desire.generation)]


def _uphold(view: View, desire: Desire, found: list[Container]) -> list[Action]:
    key = (desire.kernel_id, desire.generation)
    if found:
        created = [one for one in found if one.phase is Phase.CREATED]
        return [Start(one) for one in created] or _watch(view, found)
    if desire.ended or desire.lacks_login:
        return []
    return [Lose(*key) if desire.launched else Launch(*key)]


def _discard(container: Container, desire: Desire, *, for_good: bool) -> Discard:
    return Discard(container, desire.grace_seconds, desire.reason, for_good)


def _brake(actions: list[Action], view: View) -> Decision:
    """Hold back stops that no order of this instance's life asked for, when they are many."""
    implicit = [one for one in actions if isinstance(one, Discard) and _is_implicit(one, view)]
    living = sum(1 for one in view.containers if one.phase is Phase.RUNNING)
    if len(implicit) <= IMPLICIT_STOPS_MAX or len(implicit) <= living * IMPLICIT_STOPS_SHARE_MAX:
        return Decision(tuple(actions))
    kept = tuple(action for action in actions if action not in implicit)
    return Decision(
        kept,
        f"{len(implicit)} of {living} running containers would be stopped without a fresh order; "
        "none of them is: order each again to go on",
    )


def _is_implicit(action: Discard, view: View) -> bool:
    desire = view.desires[action.container.kernel_id]
    is_explicit = desire.fresh or desire.desired is Desired.GONE
    return action.container.phase is Phase.RUNNING and not is_explicit
