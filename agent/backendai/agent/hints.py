"""Ends of containers that somebody waits for: set by events and by listings, whichever is first."""

import asyncio
from collections.abc import Iterable


class Exits:
    """`wait` returns when the container is known to run no more."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Event] = {}

    async def wait(self, container_id: str) -> None:
        event = self._waiting.setdefault(container_id, asyncio.Event())
        try:
            await event.wait()
        finally:
            self._waiting.pop(container_id, None)

    async def wait_at_most(self, container_id: str, seconds: float) -> bool:
        """True when it ended in time."""
        try:
            async with asyncio.timeout(seconds):
                await self.wait(container_id)
        except TimeoutError:
            return False
        return True

    def tell(self, ended: Iterable[str]) -> None:
        for container_id in ended:
            if (event := self._waiting.get(container_id)) is not None:
                event.set()

    def awaited(self) -> frozenset[str]:
        return frozenset(self._waiting)
