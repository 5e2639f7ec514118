"""Tells systemd how a daemon is (`Type=notify`, `WatchdogSec=`); silent where nobody asks.

The watchdog hears from the event loop itself, and only while no supervised loop stands still: a
daemon that hangs, whole or in part, is ended and started again.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from .handover import HANDOVER, Handover
from .loops import LoopHealth
from .systemd import Notifier

# How often the watchdog hears from us within the time that it waits.
_CALLS_PER_WAIT: Final = 4


@asynccontextmanager
async def told_ready(
    health: LoopHealth,
    environ: Mapping[str, str] = os.environ,
    handover: Handover = HANDOVER,
) -> AsyncIterator[None]:
    """Ready for as long as the body runs, then stopping: its ports go to whoever comes next."""
    notifier = Notifier(environ)
    handover.close_rest()
    async with asyncio.TaskGroup() as group:
        beating = group.create_task(_beat(notifier, health), name="watchdog")
        notifier.tell("READY=1", "STATUS=Serving.")
        try:
            yield
        finally:
            notifier.tell("STOPPING=1", "STATUS=Stopping.")
            handover.give()
            beating.cancel()


async def _beat(notifier: Notifier, health: LoopHealth) -> None:
    if not notifier.watchdog_seconds:
        return
    while True:
        standing = health.unhealthy()
        if standing:
            notifier.tell(f"STATUS=These loops stand still: {', '.join(standing)}.")
        else:
            notifier.tell("WATCHDOG=1", "STATUS=Serving.")
        await asyncio.sleep(notifier.watchdog_seconds / _CALLS_PER_WAIT)
