"""How often a node is asked to remove what it keeps."""

from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any, cast

from backendai.common.clock import FakeClock
from backendai.common.faults import Conflict
from backendai.manager.agents.link import AgentLink
from backendai.manager.db.engine import Database
from backendai.manager.images.discard import PAUSE, Discard, Leftover, load_leftovers

LEFT = Leftover("n1", "tools:1", "sha256:1")


class FakeDatabase:
    def __init__(self) -> None:
        self.leftovers = [LEFT]

    async def transact(self, _work: Callable[[Any], Awaitable[None]]) -> None:
        return

    async def read(self, work: Callable[[Any], Awaitable[Any]]) -> list[Leftover]:
        assert work is load_leftovers
        return self.leftovers


class KeepingLink:
    """A node with a container of others that is made of the image."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.asked_at: list[float] = []

    async def ask(self, *_order: Any) -> None:
        self.asked_at.append(self._clock.monotonic())
        raise Conflict("a container is made of it")


class OwnTurn:
    async def is_held(self) -> bool:
        return True


async def test_what_a_node_keeps_is_asked_for_ever_more_seldom() -> None:
    clock = FakeClock()
    link, database = KeepingLink(clock), FakeDatabase()
    discard = Discard(cast(Database, database), cast(AgentLink, link), OwnTurn(), clock)
    for _ in range(800):
        await discard.step()
        await clock.advance(3.0)
    waits = [after - before for before, after in pairwise(link.asked_at)]
    assert waits[:5] == [3.0, 3.0, 6.0, 12.0, 24.0]
    assert max(waits) == PAUSE.seconds_max
    assert len(link.asked_at) < 20
