"""Makes images of kernels: one at a time for each name, however often a manager asks.

The image itself is the record: what was made is found by its label, also by a later life of the
agent, and what was not is begun anew.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from backendai.common.contracts.agent import (
    COMMIT_LABEL,
    COMMIT_WAIT_SECONDS_MAX,
    CommitKernel,
    Committed,
    ImageReport,
)
from backendai.common.images import CUSTOM_PREFIX, is_custom
from backendai.common.logs import get_logger

from .backends.backend import Backend
from .faults import BadOrder
from .images import Images

log = get_logger(__name__)

UNASKED_MAX: Final = 100
# Each writes a whole layer to the disk of the node.
AT_ONCE_MAX: Final = 2

Key = tuple[str, str]


class Commits:
    """`images` learns what was made."""

    def __init__(self, backend: Backend, images: Images) -> None:
        self._backend = backend
        self._images = images
        self._works: dict[Key, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(AT_ONCE_MAX)

    async def commit(self, order: CommitKernel, find_container: Callable[[], str]) -> Committed:
        """`find_container` gives the container's id; it is asked when a commit has to begin.

        A failure is told once: who asks after that lets it be tried again.
        """
        check_order(order)
        made = await self._find(order)
        if made is None:
            work = self._work_on(order, find_container)
            await asyncio.wait([work], timeout=min(order.wait_seconds, COMMIT_WAIT_SECONDS_MAX))
            if not work.done():
                return Committed()
            self._works.pop(_key_of(order), None)
            work.result()
            made = await self._find(order)
        return Committed(image=made)

    async def _find(self, order: CommitKernel) -> ImageReport | None:
        found = await self._backend.find_image(order.image)
        is_it = found is not None and found.labels.get(COMMIT_LABEL) == order.labels[COMMIT_LABEL]
        return found if is_it else None

    def _work_on(
        self, order: CommitKernel, find_container: Callable[[], str]
    ) -> "asyncio.Task[None]":
        key = _key_of(order)
        work = self._works.get(key)
        if work is None:
            run = self._run(order, find_container())
            work = self._works[key] = asyncio.create_task(run, name=f"commit {order.image}")
            self._forget_unasked()
        return work

    async def _run(self, order: CommitKernel, container_id: str) -> None:
        async with self._places:
            log.info("commit.begun", kernel=order.kernel.kernel_id, image=order.image)
            await self._backend.commit(container_id, order.image, order.labels, order.bytes_max)
        self._images.changed.hint()
        log.info("commit.done", kernel=order.kernel.kernel_id, image=order.image)

    def _forget_unasked(self) -> None:
        """Outcomes that nobody came back for, the oldest first."""
        over = [key for key, work in self._works.items() if work.done()]
        for key in over[: max(0, len(over) - UNASKED_MAX)]:
            del self._works[key]


def check_order(order: CommitKernel) -> None:
    """Raises BadOrder for what could take the name of an image that was not committed."""
    if not is_custom(order.image):
        raise BadOrder(f"{order.image!r} does not begin with {CUSTOM_PREFIX}")
    if not order.labels.get(COMMIT_LABEL):
        raise BadOrder(f"the label {COMMIT_LABEL} is missing")


def _key_of(order: CommitKernel) -> Key:
    return order.image, order.labels[COMMIT_LABEL]
