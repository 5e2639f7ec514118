"""Asking again what a broken connection left without a reply, as long as the call's time lasts.

Only for callers that somebody waits for: a loop that re-reads the level needs no repetition.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from ..faults import AgentConnectionLost
from .call import Call

Rep = TypeVar("Rep")

# Spread, so that the callers that one break has met do not come back in one moment.
PAUSE_SECONDS: Final = (0.05, 0.2)


async def ask_repeatedly(
    call: Call[Any, Rep], timeout_seconds: float | None, ask: Callable[[float], Awaitable[Rep]]
) -> Rep:
    """What `ask(seconds left)` gives. A call that is not idempotent is asked once.

    Raises what `ask` raises, AgentConnectionLost only when the time is over.
    """
    loop = asyncio.get_running_loop()
    limit = call.deadline_seconds if timeout_seconds is None else timeout_seconds
    deadline = loop.time() + limit
    while True:
        try:
            return await ask(max(deadline - loop.time(), 0.0))
        except AgentConnectionLost:
            pause = random.uniform(*PAUSE_SECONDS)  # noqa: S311 - nothing secret
            if not call.idempotent or loop.time() + pause >= deadline:
                raise
        await asyncio.sleep(pause)
