"""What this node reports, with a version that grows with each change worth hearing of."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from backendai.common.contracts.agent import (
    ImageReport,
    KernelReport,
    KernelState,
    ResourceUse,
    SwarmReport,
)

LIVE_STATES: Final = frozenset(
    {
        KernelState.WAITING,
        KernelState.PULLING,
        KernelState.PREPARING,
        KernelState.RUNNING,
        KernelState.STOPPING,
        KernelState.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True)
class Engine:
    """Whether the engine answers; `detail` says what is odd about it or its containers."""

    is_reachable: bool
    detail: str = ""


class Ledger:
    """One report per kernel, of its newest generation, and what concerns the node as a whole."""

    def __init__(self) -> None:
        self.version = 1
        self.engine = Engine(is_reachable=False, detail="the engine has not been asked yet")
        self.halted = ""
        self.images: list[ImageReport] = []
        self.swarm = SwarmReport()
        self._devices: tuple[Mapping[str, str], Mapping[tuple[str, str], str]] = ({}, {})
        self._kernels: dict[str, KernelReport] = {}
        self._uses: dict[str, ResourceUse] = {}
        self._changed = asyncio.Event()

    def get(self, kernel_id: str) -> KernelReport | None:
        return self._kernels.get(kernel_id)

    def kernels(self) -> list[KernelReport]:
        """All reports, with the latest usage."""
        return [
            replace(report, use=self._uses.get(kernel_id))
            for kernel_id, report in sorted(self._kernels.items())
        ]

    def put(self, report: KernelReport) -> None:
        """Take `report` as the level of its kernel; an older generation is ignored."""
        known = self._kernels.get(report.kernel_id)
        if known is not None and known.generation > report.generation:
            return
        if known is not None and known.generation < report.generation:
            self._uses.pop(report.kernel_id, None)
        if known != report:
            self._kernels[report.kernel_id] = report
            self._bump()

    def note_use(self, kernel_id: str, use: ResourceUse) -> None:
        """Usage is no news: it changes the next report, and wakes nobody."""
        if kernel_id in self._kernels:
            self._uses[kernel_id] = use

    def drop(self, kernel_ids: Iterable[str]) -> None:
        for kernel_id in list(kernel_ids):
            self._uses.pop(kernel_id, None)
            if self._kernels.pop(kernel_id, None) is not None:
                self._bump()

    def set_engine(self, engine: Engine) -> None:
        if engine != self.engine:
            self.engine = engine
            self._bump()

    def set_halted(self, reason: str) -> None:
        if reason != self.halted:
            self.halted = reason
            self._bump()

    def set_images(self, images: list[ImageReport]) -> None:
        if images != self.images:
            self.images = images
            self._bump()

    def set_swarm(self, swarm: SwarmReport) -> None:
        if swarm != self.swarm:
            self.swarm = swarm
            self._bump()

    def set_devices(
        self, capacity: Mapping[str, str], problems: Mapping[tuple[str, str], str]
    ) -> None:
        """News of what the node can give, and of which devices are sick by (slot, id)."""
        if (capacity, problems) != self._devices:
            self._devices = (capacity, problems)
            self._bump()

    async def wait_beyond(self, version: int, seconds: float) -> None:
        """Return when the version differs from `version`, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self.version == version:
                    await self._changed.wait()
        except TimeoutError:
            return

    def _bump(self) -> None:
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()
