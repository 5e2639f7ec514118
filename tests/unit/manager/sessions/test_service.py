"""How long the end of sessions is waited for."""

import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from backendai.common.clock import FakeClock
from backendai.common.lifecycle import SessionStatus
from backendai.manager.sessions.service import END_WAIT_SECONDS, Ended, Sessions


class Stuck:
    """A Watch of sessions that do not end; it waits by a clock of its own."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.waited: list[float] = []

    async def wait(
        self, _session: uuid.UUID, _is_done: Callable[[SessionStatus], bool], seconds: float
    ) -> SessionStatus | None:
        self.waited.append(seconds)
        await self._clock.advance(seconds)
        return None


async def test_many_sessions_are_waited_for_together() -> None:
    clock = FakeClock()
    watch = Stuck(clock)
    sessions = Sessions(cast(Any, None), cast(Any, None), watch, clock)
    stuck = [
        Ended(cast(Any, SimpleNamespace(id=uuid.UUID(int=index))), SessionStatus.TERMINATING)
        for index in range(5)
    ]
    ended = await sessions.await_ends(stuck)
    assert sum(watch.waited) == END_WAIT_SECONDS
    assert {one.status for one in ended} == {SessionStatus.TERMINATING}
