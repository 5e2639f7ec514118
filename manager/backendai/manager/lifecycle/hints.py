"""Hints inside a manager: who waits for news of a topic is told to look now.

Topics are `plan`, `outbox`, `agent:<id>`, `session:<id>` and `session:<id>:<status>`. They come
from Postgres notifications, so every manager hears what any of them did. A hint may be lost; who
waits also looks each period.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from backendai.common.clock import Clock
from backendai.common.logs import get_logger
from backendai.common.loops import Wake

from .moves import NOTIFY_CHANNEL

log = get_logger(__name__)

RETRY_SECONDS: Final = 0.5
CONNECT_TIMEOUT_SECONDS: Final = 3.0
# A connection that has died without a word is found out by asking it something.
PROBE_SECONDS: Final = 5.0


class HintBoard:
    """Who waits for which topic."""

    def __init__(self) -> None:
        self._wakes: dict[str, list[Wake]] = {}

    @contextmanager
    def watch(self, topic: str, wake: Wake | None = None) -> Iterator[Wake]:
        """A Wake (a new one, or `wake`) that is hinted at each piece of news of `topic`."""
        wake = wake or Wake()
        self._wakes.setdefault(topic, []).append(wake)
        try:
            yield wake
        finally:
            wakes = self._wakes[topic]
            wakes.remove(wake)
            if not wakes:
                del self._wakes[topic]

    def post(self, topic: str) -> None:
        for wake in self._wakes.get(topic, ()):
            wake.hint()

    def post_all(self) -> None:
        """News may have been missed: everybody looks."""
        for wakes in list(self._wakes.values()):
            for wake in wakes:
                wake.hint()


async def listen(board: HintBoard, dsn: str, clock: Clock) -> None:
    """Feed `board` from Postgres for ever, across restarts of the server.

    `dsn` is a plain `postgresql://` address.
    """
    while True:
        try:
            await _listen_once(board, dsn)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("hints.listen_failed", error=repr(error))
        await clock.sleep(RETRY_SECONDS)


async def _listen_once(board: HintBoard, dsn: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_SECONDS)
    try:

        def on_notify(_connection: object, _pid: int, _channel: str, payload: str) -> None:
            board.post(payload)

        await connection.add_listener(NOTIFY_CHANNEL, on_notify)
        board.post_all()
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            await connection.execute("SELECT 1", timeout=CONNECT_TIMEOUT_SECONDS)
    finally:
        connection.terminate()
