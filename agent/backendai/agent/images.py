"""The images of this node: fetched once however many kernels wait, and listed for the report."""

import asyncio
from dataclasses import dataclass

from backendai.common.contracts.agent import ImageReport, KernelSpec, RegistryLogin
from backendai.common.loops import Wake

from .backends.backend import Backend, Progress
from .faults import ImageMissing


@dataclass(slots=True)
class _Pull:
    """One pull and those who listen to its progress."""

    task: "asyncio.Task[None]"
    listeners: list[Progress]


# A login that was mended meanwhile begins a pull of its own.
_Key = tuple[str, RegistryLogin | None]


class Images:
    """Finds an image for a kernel, and pulls it when the kernel's order allows that."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.changed = Wake()
        self._pulls: dict[_Key, _Pull] = {}

    async def find(self, spec: KernelSpec) -> ImageReport | None:
        """The image of `spec` when this node has the very one that is asked for."""
        found = await self._backend.find_image(spec.image)
        return found if found is not None and _fits(found, spec) else None

    async def fetch(
        self, spec: KernelSpec, login: RegistryLogin | None, progress: Progress
    ) -> ImageReport:
        """Pull the image of `spec`. Raises as `pull`."""
        if not spec.pull:
            raise ImageMissing(f"{spec.image}: this node does not have it, and may not pull it")
        await self.pull(spec.image, login, progress)
        found = await self._backend.find_image(spec.image)
        if found is None:
            raise ImageMissing(f"{spec.image}: pulled, and still not there")
        if not _fits(found, spec):
            raise ImageMissing(_describe_misfit(found, spec))
        return found

    async def pull(self, name: str, login: RegistryLogin | None, progress: Progress) -> None:
        """Once for all who want it now. Raises ImageMissing, RegistryLoginRefused or
        RegistryUnavailable."""
        key = (name, login if login is not None and opens(login, name) else None)
        pull = self._pulls.get(key)
        if pull is None:
            pull = self._pulls[key] = self._begin(*key)
        pull.listeners.append(progress)
        try:
            await asyncio.shield(pull.task)
        finally:
            pull.listeners.remove(progress)
            if not pull.listeners:
                # The last one who wanted it has gone; who comes next begins anew.
                pull.task.cancel()
            if self._pulls.get(key) is pull and (pull.task.done() or not pull.listeners):
                del self._pulls[key]

    def _begin(self, name: str, login: RegistryLogin | None) -> _Pull:
        listeners: list[Progress] = []
        task = asyncio.create_task(self._run(name, login, listeners), name=f"pull {name}")
        return _Pull(task, listeners)

    async def _run(self, name: str, login: RegistryLogin | None, listeners: list[Progress]) -> None:
        def tell(text: str) -> None:
            for listener in listeners:
                listener(text)

        await self._backend.pull_image(name, login, tell)
        self.changed.hint()


def opens(login: RegistryLogin, name: str) -> bool:
    """Whether it is for the registry of this image: no other one gets to see it. PURE."""
    return name.startswith(f"{login.hostname}/")


def _fits(image: ImageReport, spec: KernelSpec) -> bool:
    same_digest = not spec.image_digest or spec.image_digest == image.digest
    same_architecture = not image.architecture or spec.architecture == image.architecture
    return same_digest and same_architecture


def _describe_misfit(image: ImageReport, spec: KernelSpec) -> str:
    return (
        f"{spec.image}: asked for {spec.image_digest or 'any digest'} on {spec.architecture}, "
        f"got {image.digest} on {image.architecture}"
    )
