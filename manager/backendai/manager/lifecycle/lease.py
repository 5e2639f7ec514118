"""A manager's hold on work that one manager at a time does; it saves work and guards nothing."""

from backendai.common.clock import Clock

from .store import CoreStore


class Lease:
    """Asked for again when most of its time is over, or earlier where that keeps nobody waiting."""

    def __init__(
        self, store: CoreStore, clock: Clock, name: str, holder: str, seconds: float
    ) -> None:
        self._store = store
        self._clock = clock
        self._name = name
        self._holder = holder
        self._seconds = seconds
        self._held_until = float("-inf")

    async def is_held(self) -> bool:
        """Whether this manager does the work now. Raises StoreUnavailable."""
        return await self._is_held_for(self._seconds / 4)

    async def keep(self) -> None:
        """For who has nothing to do at the moment: then later work need not wait for the lease."""
        await self._is_held_for(self._seconds * 3 / 4)

    async def _is_held_for(self, seconds: float) -> bool:
        """As `is_held`; it is taken again where less than `seconds` are left of it."""
        now = self._clock.monotonic()
        if now < self._held_until - seconds:
            return True
        is_held = await self._store.hold_lease(self._name, self._holder, self._seconds)
        self._held_until = now + self._seconds if is_held else float("-inf")
        return is_held
