"""How commands reach the API: the environment's user over the plain transport."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from click.exceptions import Exit

from backendai.client.cli.exits import INTERRUPTED
from backendai.client.client import Client
from backendai.client.config import Config
from backendai.client.plain import PlainTransport

R = TypeVar("R")


def with_client(work: Callable[[Client], Coroutine[Any, Any, R]], *, is_busy: bool = False) -> R:
    """Runs `work` with an open client; one that `is_busy` with many requests keeps connections,
    which takes longer to be ready. Raises its faults, and NotConfigured."""
    try:
        return asyncio.run(_run(work, is_busy))
    except KeyboardInterrupt:
        # Told already where there is something to tell; click would add an empty line.
        raise Exit(INTERRUPTED) from None


async def _run(work: Callable[[Client], Coroutine[Any, Any, R]], is_busy: bool) -> R:
    config = Config.from_environment()
    async with Client(config, None if is_busy else PlainTransport(config)) as client:
        return await work(client)
