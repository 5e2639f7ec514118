"""The loops that empty the trash: one for each volume, so that none waits for one that hangs."""

from collections.abc import Coroutine
from typing import Any, Final

from backendai.common.clock import Clock
from backendai.common.loops import Wake, supervise

from .trash import empty_trash, throw_unfinished
from .volumes.load import Volumes
from .volumes.volume import Volume, Work

PERIOD_SECONDS: Final = 300.0


class TrashEmptiers:
    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._wakes = {volume.name: Wake() for volume in volumes}

    def hint(self, volume: Volume) -> None:
        """There is something in the trash of `volume`."""
        self._wakes[volume.name].hint()

    def loops(self, clock: Clock) -> dict[str, Coroutine[Any, Any, None]]:
        """Name -> a loop that runs until it is cancelled.

        None is part of the daemon's health: a volume that hangs must not have it restarted.
        """
        return {f"trash:{volume.name}": self._run(volume, clock) for volume in self._volumes}

    async def _run(self, volume: Volume, clock: Clock) -> None:
        is_first = True

        async def step() -> None:
            nonlocal is_first
            if is_first:
                # Once is enough: what this process begins it ends itself.
                await volume.run_long(Work.CLEAN, throw_unfinished, volume)
                is_first = False
            await volume.run_long(Work.CLEAN, empty_trash, volume)

        await supervise(
            f"trash:{volume.name}",
            step,
            period_seconds=PERIOD_SECONDS,
            clock=clock,
            wake=self._wakes[volume.name],
        )
