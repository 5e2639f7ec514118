"""What is taken for a silent Postgres, and what is not."""

import asyncio
import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from backendai.manager.db.pulse import Pulse

HOLD_SECONDS = 0.1


async def test_a_busy_process_takes_nobody_for_silent(
    make_database: Callable[[str | None], str],
) -> None:
    """The first question opens a connection, which takes many turns of the loop."""
    dsn = await asyncio.to_thread(make_database, None)
    engine = create_async_engine(sa.make_url(dsn).set(drivername="postgresql+asyncpg"))
    pulse = Pulse(engine, silence_seconds=HOLD_SECONDS * 2)
    busy = asyncio.create_task(hold_the_loop())
    await pulse.look()
    assert not pulse.is_silent
    busy.cancel()
    await pulse.close()
    await engine.dispose()


async def hold_the_loop() -> None:
    while True:
        time.sleep(HOLD_SECONDS)  # noqa: ASYNC251
        await asyncio.sleep(0)
