"""The planner beside the least that such a decision costs: one scan of all nodes, column by column.

10,000 asks on 1,000 nodes with 4 slots. The peer scans the columns with numpy for each ask, takes
the first node that fits and nothing else: no queue, no quotas, no reasons.
"""

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Final

import numpy as np

from backendai.common.enums import PlacementStrategy
from backendai.common.ids import AgentId, KernelId, Revision, SessionId
from backendai.manager.sched.plan import plan
from backendai.manager.sched.view import Ask, Group, KernelAsk, Node, Quota, View
from tests.bench.harness import Row, interleave, timed

NEEDS_STACK: Final = False
ASKS: Final = 10_000
NODES: Final = 1_000
ROUNDS: Final = 7
NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
GIB: Final = 2**30
Slots = tuple[tuple[str, int], ...]


def measure() -> list[Row]:
    rows = []
    for strategy in PlacementStrategy:
        for name, shapes in (("20 shapes, mixed", 20), ("every ask another shape", ASKS)):
            view = make_view(draw_shapes(shapes), ASKS, strategy)
            rounds = interleave(timed(partial(plan, view, NOW)), timed(scanner(view)), ROUNDS)
            rows.append(rounds.row("G7a", f"plan, {name}, {strategy.value}, to a numpy scan", 2.0))
    many, few = (
        make_view(draw_shapes(1), count, PlacementStrategy.CONCENTRATED) for count in (ASKS, 1_000)
    )
    rounds = interleave(timed(lambda: plan(many, NOW)), timed(lambda: plan(few, NOW)), ROUNDS)
    rows.append(rounds.row("G7c", "plan 10,000 identical asks, to 1,000 of them", 1.5))
    return rows


def draw_shapes(count: int) -> list[Slots]:
    random = Random(1)
    return [
        (
            ("cpu", random.randint(1, 8) * 1_000_000),
            ("cuda.device", random.choice((0, 0, 1, 2)) * 1_000_000),
            ("mem", random.randint(1, 64) * GIB + (number if count > 100 else 0)),
            ("nic", random.randint(0, 2) * 1_000_000),
        )
        for number in range(count)
    ]


def make_view(shapes: Sequence[Slots], count: int, strategy: PlacementStrategy) -> View:
    random = Random(2)
    nodes = [
        Node(
            id=AgentId(f"node-{number:04}"),
            group="default",
            architecture="x86_64",
            capacity={
                "cpu": 64_000_000,
                "cuda.device": 8_000_000,
                "mem": 512 * GIB,
                "nic": 16_000_000,
            },
            occupied={"cpu": random.randint(0, 16) * 1_000_000, "mem": random.randint(0, 99) * GIB},
        )
        for number in range(NODES)
    ]
    scopes = (("keypair", "a"), ("project", "p"), ("domain", "d"))
    asks = [
        Ask(
            session_id=SessionId(uuid.UUID(int=number)),
            group="default",
            kernels=(
                KernelAsk(
                    KernelId(uuid.UUID(int=number)),
                    Revision(0),
                    tuple(pair for pair in random.choice(shapes) if pair[1]),
                    "x86_64",
                ),
            ),
            priority=10,
            created_at=NOW,
            scopes=scopes,
        )
        for number in range(count)
    ]
    limit = Quota(scope="keypair", name="a", sessions_max=10**6)
    return View.of(nodes, asks, [Group("default", strategy)], {scopes[0]: limit})


def scanner(view: View) -> Callable[[], int]:
    """The peer: a full scan, column by column, for each ask."""
    slots = sorted(view.nodes[0].capacity)
    wishes = [tuple(dict(ask.kernels[0].slots).get(slot, 0) for slot in slots) for ask in view.asks]

    def scan() -> int:
        free = [
            np.array([n.capacity[slot] - n.occupied.get(slot, 0) for n in view.nodes], np.int64)
            for slot in slots
        ]
        a, b, c, d = free
        placed = 0
        for w, x, y, z in wishes:
            fits = (a >= w) & (b >= x) & (c >= y) & (d >= z)
            node = int(fits.argmax())
            if fits[node]:
                a[node] -= w
                b[node] -= x
                c[node] -= y
                d[node] -= z
                placed += 1
        return placed

    return scan
