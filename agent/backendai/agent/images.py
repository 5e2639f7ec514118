"""The images of this node: fetched once however many kernels wait, and listed for the report."""

import asyncio
from dataclasses import dataclass

from backendai.common.contracts.agent import ImageReport, KernelSpec
from backendai.common.loops import Wake

from .backends.backend import Backend, Progress
from .faults import ImageMissing


@dataclass(slots=True)
class _Pull:
    """One pull and those who listen to its progress."""

    task: "asyncio.Task[None]"
    listeners: list[Progress]


class Images:
    """Finds an image for a kernel, and pulls it when the kernel's order allows that."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.changed = Wake()
        self._pulls: dict[str, _Pull] = {}

    async def find(self, spec: KernelSpec) -> ImageReport | None:
        """The image of `spec` when this node has the very one that is asked for."""
        found = await self._backend.find_image(spec.image)
        return found if found is not None and _fits(found, spec) else None

    async def fetch(self, spec: KernelSpec, progress: Progress) -> ImageReport:
        """Pull the image of `spec`. Raises ImageMissing or RegistryUnavailable."""
        if not spec.pull:
            raise ImageMissing(f"{spec.image}: this node does not have it, and may not pull it")
        await self._pull(spec.image, progress)
        found = await self._backend.find_image(spec.image)
        if found is None:
            raise ImageMissing(f"{spec.image}: pulled, and still not there")
        if not _fits(found, spec):
            raise ImageMissing(_describe_misfit(found, spec))
        return found

    async def _pull(self, name: str, progress: Progress) -> None:
        pull = self._pulls.get(name)
        if pull is None:
            pull = self._pulls[name] = self._begin(name)
        pull.listeners.append(progress)
        try:
            await asyncio.shield(pull.task)
        finally:
            pull.listeners.remove(progress)
            if not pull.listeners:
                # The last one who wanted it has gone; who comes next begins anew.
                pull.task.cancel()
            if self._pulls.get(name) is pull and (pull.task.done() or not pull.listeners):
                del self._pulls[name]

    def _begin(self, name: str) -> _Pull:
        listeners: list[Progress] = []
        task = asyncio.create_task(self._run(name, listeners), name=f"pull {name}")
        return _Pull(task, listeners)

    async def _run(self, name: str, listeners: list[Progress]) -> None:
        def tell(text: str) -> None:
            for listener in listeners:
                listener(text)

        await self._backend.pull_image(name, tell)
        self.changed.hint()


def _fits(image: ImageReport, spec: KernelSpec) -> bool:
    same_digest = not spec.image_digest or spec.image_digest == image.digest
    same_architecture = not image.architecture or spec.architecture == image.architecture
    return same_digest and same_architecture


def _describe_misfit(image: ImageReport, spec: KernelSpec) -> str:
    return (
        f"{spec.image}: asked for {spec.image_digest or 'any digest'} on {spec.architecture}, "
        f"got {image.digest} on {image.architecture}"
    )
