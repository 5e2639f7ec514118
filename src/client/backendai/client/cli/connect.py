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


def with_client(work: Callable[[Client], Coroutine[Any, Any, R]]) -> R:
    """Runs `work` with an open client. Raises its faults, and NotConfigured."""
    try:
        return asyncio.run(_run(work))
    except KeyboardInterrupt:
        # Told already where there is something to tell; click would add an empty line.
        raise Exit(INTERRUPTED) from None


async def _run(work: Callable[[Client], Coroutine[Any, Any, R]]) -> R:
    config = Config.from_environment()
    async with Client(config, PlainTransport(config)) as client:
        return await work(client)
