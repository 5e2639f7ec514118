"""Images that are brought to this node, or taken from it, while no kernel asks for that.

What is there is the record: a later life of the agent finds what was pulled, and pulls the rest.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from backendai.common.contracts.agent import (
    PULL_WAIT_SECONDS_MAX,
    ImageReport,
    Nothing,
    Pulled,
    PullImage,
    RemoveImage,
)
from backendai.common.logs import get_logger

from .backends.backend import Backend
from .faults import ImageMissing
from .images import Images

log = get_logger(__name__)

UNASKED_MAX: Final = 100


@dataclass(slots=True)
class _Work:
    """A pull; it goes on when nobody asks any more, as that of an engine would."""

    task: "asyncio.Task[None]"
    progress: str = ""


class Preloads:
    """`images` shares pulls with kernels that want the same."""

    def __init__(self, backend: Backend, images: Images) -> None:
        self._backend = backend
        self._images = images
        self._works: dict[PullImage, _Work] = {}

    async def pull(self, order: PullImage) -> Pulled:
        """A failure is told once: who asks after that lets it be tried again.

        Raises ImageMissing, RegistryLoginRefused or RegistryUnavailable.
        """
        found = await self._find(order)
        if found is None:
            work = self._work_on(order)
            await asyncio.wait([work.task], timeout=min(order.wait_seconds, PULL_WAIT_SECONDS_MAX))
            if not work.task.done():
                return Pulled(progress=work.progress)
            self._works.pop(order, None)
            work.task.result()
            found = await self._backend.find_image(order.image)
        if found is None:
            raise ImageMissing(f"{order.image}: pulled, and still not there")
        return Pulled(image=found)

    async def remove(self, order: RemoveImage) -> Nothing:
        """Raises ImageInUse."""
        found = await self._backend.find_image(order.image)
        if found is not None and order.digest in ("", found.digest):
            await self._backend.remove_image(order.image)
            log.info("image.removed", image=order.image, digest=found.digest)
        self._images.changed.hint()
        return Nothing()

    async def _find(self, order: PullImage) -> ImageReport | None:
        found = await self._backend.find_image(order.image)
        return found if found is not None and order.digest in ("", found.digest) else None

    def _work_on(self, order: PullImage) -> _Work:
        work = self._works.get(order)
        if work is None:
            task = asyncio.create_task(self._run(order), name=f"preload {order.image}")
            work = self._works[order] = _Work(task)
            self._forget_unasked()
        return work

    async def _run(self, order: PullImage) -> None:
        def note(text: str) -> None:
            if order in self._works:
                self._works[order].progress = text

        log.info("preload.begun", image=order.image)
        await self._images.pull(order.image, order.login, note)
        log.info("preload.done", image=order.image)

    def _forget_unasked(self) -> None:
        """Outcomes that nobody came back for, the oldest first."""
        over = [order for order, work in self._works.items() if work.task.done()]
        for order in over[: max(0, len(over) - UNASKED_MAX)]:
            del self._works[order]
