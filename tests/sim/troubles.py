"""What goes wrong in a simulated run: values made from a seed, a list that can be made smaller."""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

CHAOS_SECONDS: Final = 60.0


class Kind(enum.StrEnum):
    KILL_MANAGER = "kill-manager"
    PAUSE_MANAGER = "pause-manager"
    KILL_AGENT = "kill-agent"
    LOSE_AGENT_FILES = "lose-agent-files"
    ENGINE_AWAY = "engine-away"
    PARTITION = "partition"
    LOSE_REQUESTS = "lose-requests"
    LOSE_REPLIES = "lose-replies"
    FLAP = "flap"
    STORM = "storm"
    STORE_AWAY = "store-away"
    STORE_SHAKY = "store-shaky"
    LOSE_HINTS = "lose-hints"
    FENCE = "fence"
    RIVALS = "rivals"


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that goes wrong `at` a time and is over `seconds` later. `manager` and `agent` are
    numbers; an incident uses those that it needs."""

    kind: Kind
    at: float
    seconds: float
    manager: int
    agent: int

    def __str__(self) -> str:
        return (
            f"{self.kind} at {self.at:.2f} for {self.seconds:.2f} (m{self.manager} a{self.agent})"
        )


# What it takes to write a plan that is too old: it comes on request only, since so many sessions
# more would make every world slow.
RIVALS: Final = (Incident(Kind.RIVALS, at=5.0, seconds=50.0, manager=0, agent=0),)


def draw_incidents(random: Random, managers: int, agents: int) -> list[Incident]:
    """A few to a dozen incidents within the time of chaos; short ones are more frequent."""
    kinds = [kind for kind in Kind if kind is not Kind.RIVALS]
    return [
        Incident(
            kind=random.choice(kinds),
            at=round(random.uniform(0, CHAOS_SECONDS), 3),
            seconds=round(random.choice((0.5, 3.0, 12.0, 40.0)) * random.uniform(0.5, 1.5), 3),
            manager=random.randrange(managers),
            agent=random.randrange(agents),
        )
        for _ in range(random.randint(3, 12))
    ]


def shrink(
    incidents: Sequence[Incident], fails: Callable[[Sequence[Incident]], bool], tries_max: int = 60
) -> list[Incident]:
    """A smaller list that still fails: parts are left out, ever smaller ones (ddmin)."""
    kept, parts, tries = list(incidents), 2, 0
    while kept and tries < tries_max:
        size = max(len(kept) // parts, 1)
        for start in range(0, len(kept), size):
            rest = kept[:start] + kept[start + size :]
            tries += 1
            if fails(rest):
                kept, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                return kept
            parts = min(parts * 2, len(kept))
    return kept
