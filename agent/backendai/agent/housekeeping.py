"""What a node does beside its kernels: lists images, sweeps files, lets old logs go."""

import asyncio
from collections.abc import Callable
from typing import Final

from backendai.common.logs import get_logger
from backendai.common.loops import LoopHealth, supervise

from .ledger import Ledger
from .node import Node

log = get_logger(__name__)

IMAGES_PERIOD_SECONDS: Final = 20.0
SWEEP_PERIOD_SECONDS: Final = 30.0
LOGS_PERIOD_SECONDS: Final = 3600.0


class Housekeeper:
    """`networks_in_use` names the networks that kernels have or are about to have."""

    def __init__(
        self, node: Node, ledger: Ledger, networks_in_use: Callable[[], frozenset[str]]
    ) -> None:
        self._node = node
        self._ledger = ledger
        self._networks_in_use = networks_in_use

    def start(self, group: asyncio.TaskGroup, health: LoopHealth) -> "list[asyncio.Task[None]]":
        """Begin all loops of it in `group`. Removing takes as long as users had files: it is no
        part of the daemon's health, which it is ended by."""
        node = self._node
        loops = (
            ("images", self.list_images, IMAGES_PERIOD_SECONDS, node.images.changed, health),
            ("sweep", self.sweep, SWEEP_PERIOD_SECONDS, None, None),
            ("logs", self.expire_logs, LOGS_PERIOD_SECONDS, None, None),
        )
        return [
            group.create_task(
                supervise(
                    name, step, period_seconds=period, clock=node.clock, wake=wake, health=told
                ),
                name=name,
            )
            for name, step, period, wake, told in loops
        ]

    async def list_images(self) -> None:
        """Raises EngineUnreachable; what was listed before stays in the report."""
        self._ledger.set_images(await self._node.backend.list_images())

    async def sweep(self) -> None:
        count = await self._node.threads.run(self._node.scratch.sweep)
        if count:
            log.info("scratch.swept", kernels=count)
        # Before the first listing nobody knows which kernels there are, nor what they use.
        if self._ledger.engine.is_reachable:
            await self._node.backend.sweep(self._networks_in_use)

    async def expire_logs(self) -> None:
        count = await self._node.threads.run(self._node.scratch.expire_logs)
        if count:
            log.info("logs.expired", kernels=count)
