"""Tells systemd how a daemon is (`Type=notify`, `WatchdogSec=`); silent where nobody asks.

The watchdog hears from the event loop itself, and only while no supervised loop stands still: a
daemon that hangs, whole or in part, is ended and started again.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

from .loops import LoopHealth

# How often the watchdog hears from us within the time that it waits.
_CALLS_PER_WAIT: Final = 4


class Notifier:
    """Where systemd listens, as it says in the environment of what it starts."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._path = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_seconds = _read_watchdog(environ)

    def tell(self, *words: str) -> None:
        """Each of the form NAME=value. What cannot be told is not worth an end."""
        if not self._path:
            return
        # A name that begins with @ is abstract: its first byte is a zero.
        address = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto("\n".join(words).encode(), address)


@asynccontextmanager
async def told_ready(
    health: LoopHealth, environ: Mapping[str, str] = os.environ
) -> AsyncIterator[None]:
    """Ready for as long as the body runs, then stopping."""
    notifier = Notifier(environ)
    async with asyncio.TaskGroup() as group:
        beating = group.create_task(_beat(notifier, health), name="watchdog")
        notifier.tell("READY=1", "STATUS=Serving.")
        try:
            yield
        finally:
            notifier.tell("STOPPING=1", "STATUS=Stopping.")
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


def _read_watchdog(environ: Mapping[str, str]) -> float:
    """Seconds; 0 without a watchdog, or with one for another process."""
    pid = environ.get("WATCHDOG_PID", str(os.getpid()))
    microseconds = environ.get("WATCHDOG_USEC", "0")
    is_ours = pid == str(os.getpid()) and microseconds.isdigit()
    return int(microseconds) / 1_000_000 if is_ours else 0.0
