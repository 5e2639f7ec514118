"""Folders for kernels: found on the right volume, and held while they are mounted.

An unmanaged folder has no volume: it is a directory of this node, which its own settings offer.

Whoever writes in a folder can swap directories of it for links at any moment, and an engine follows
links. So the kernel resolves a sub-path to a descriptor, beneath the folder (`common.beneath`); the
engine gets the path which that has; and the runner compares what it finds mounted with it, before
anything of the user's runs. The descriptor is held until then, so that no other directory can get
its inode number.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from backendai.common.beneath import open_beneath, opened, opened_path, opened_regular
from backendai.common.contracts.agent import FolderMount
from backendai.common.faults import BadRequest
from backendai.common.mounts import (
    VOLUME_FILE,
    VolumeProof,
    find_clashes,
    parse_directory,
    parse_target,
)
from backendai.common.paths import RelPath, parse_relpath
from backendai.kernel.wire import MountedFolder

from .faults import BadOrder, DirectoryMissing, FolderUnfit, VolumeMissing, VolumeSilent
from .resources.plugin import Mount
from .threads import Threads

THREADS: Final = 4
ANSWER_SECONDS_MAX: Final = 15.0
_PROOF_BYTES_MAX: Final = 4096
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY
_PROOF: Final = msgspec.json.Decoder(VolumeProof)


@dataclass(frozen=True, slots=True)
class HeldFolder:
    """A directory to mount: where it is on this node, and what stat(2) tells it apart by."""

    mount: FolderMount
    source: str
    device: int
    inode: int
    descriptor: int

    @property
    def as_mount(self) -> Mount:
        return Mount(self.source, self.mount.target, self.mount.read_only)

    @property
    def expected(self) -> MountedFolder:
        """For the runner, which looks whether it is what it finds."""
        return MountedFolder(target=self.mount.target, device=self.device, inode=self.inode)


class Volumes:
    """Its threads are no others': a file system that hangs takes only these. `roots` are the
    directories of this node below which unmanaged folders may lie."""

    def __init__(self, roots: Sequence[str] = ()) -> None:
        self._roots = roots
        self._threads = Threads("volumes", THREADS)

    @asynccontextmanager
    async def held(self, mounts: Iterable[FolderMount]) -> AsyncIterator[tuple[HeldFolder, ...]]:
        """All of `mounts`, in their order. Raises as `hold_folder`, and VolumeSilent."""
        folders: list[HeldFolder] = []
        try:
            for mount in mounts:
                # One at a time, so that those which were held are let go when the next is not.
                folders += [await self._hold(mount)]
            yield tuple(folders)
        finally:
            for folder in folders:
                os.close(folder.descriptor)

    async def _hold(self, mount: FolderMount) -> HeldFolder:
        holding = asyncio.ensure_future(self._threads.run(hold_folder, mount, self._roots))
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return await asyncio.shield(holding)
        except TimeoutError:
            holding.add_done_callback(_let_go)
            raise VolumeSilent(f"{_place(mount)} does not answer on this node") from None
        except asyncio.CancelledError:
            holding.add_done_callback(_let_go)
            raise

    def close(self) -> None:
        self._threads.close()


def check_mounts(mounts: Iterable[FolderMount]) -> None:
    """What can be said of them without looking at the node. Raises BadOrder."""
    listed = list(mounts)
    try:
        for mount in listed:
            if parse_target(mount.target) != mount.target:
                raise BadOrder(f"the mount target {mount.target!r} is not written as it is meant")
            parse_relpath(mount.subpath)
            _check_place(mount)
    except BadRequest as fault:
        raise BadOrder(fault.detail) from fault
    for one, other in find_clashes([mount.target for mount in listed]):
        raise BadOrder(f"mounts at {listed[one].target} and {listed[other].target} overlap")


def hold_folder(mount: FolderMount, roots: Sequence[str] = ()) -> HeldFolder:
    """Blocks as long as the file system does. Raises VolumeMissing, DirectoryMissing or
    FolderUnfit."""
    with ExitStack() as stack:
        is_free = mount.is_unmanaged
        folder = _open_offered(stack, mount, roots) if is_free else _open_folder(stack, mount)
        try:
            descriptor = open_beneath(folder, parse_relpath(mount.subpath), _DIRECTORY)
        except OSError as error:
            raise _unfit(mount, error) from error
    try:
        return _hold_directory(mount, descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _hold_directory(mount: FolderMount, descriptor: int) -> HeldFolder:
    found = os.fstat(descriptor)
    source = str(Path(f"/proc/self/fd/{descriptor}").readlink())
    if not source.isprintable():
        raise FolderUnfit(f"{_words(mount)} cannot be mounted: its path cannot be written")
    return HeldFolder(mount, source, found.st_dev, found.st_ino, descriptor)


def _open_offered(stack: ExitStack, mount: FolderMount, roots: Sequence[str]) -> int:
    """The directory of an unmanaged folder, below the closest of `roots` that it lies in. No link
    is followed there: one folder may lie in another, whose users could turn it to what they like.
    """
    above = [root for root in roots if f"{mount.path}/".startswith(f"{root}/")]
    if not above:
        raise DirectoryMissing(
            f"folder {mount.name} cannot be mounted: {mount.path} lies below no directory that "
            "this node offers ([container] unmanaged-roots of its agent)"
        )
    root = max(above, key=len)
    inside = parse_relpath(mount.path.removeprefix(root).lstrip("/"))
    try:
        top = stack.enter_context(opened_path(root))
        return stack.enter_context(opened(top, inside, _DIRECTORY, follows_links=False))
    except OSError as error:
        raise DirectoryMissing(
            f"folder {mount.name} cannot be mounted: {mount.path} on this node: {error.strerror}"
        ) from error


def _open_folder(stack: ExitStack, mount: FolderMount) -> int:
    volume = _open_volume(stack, mount)
    _check_volume(volume, mount)
    try:
        return stack.enter_context(opened(volume, _inside_volume(mount), _DIRECTORY))
    except OSError as error:
        raise _unfit(mount, error) from error


def _open_volume(stack: ExitStack, mount: FolderMount) -> int:
    try:
        return stack.enter_context(opened_path(mount.volume_path))
    except OSError as error:
        raise _missing(mount, str(error.strerror)) from error


def _check_volume(volume: int, mount: FolderMount) -> None:
    try:
        with opened_regular(volume, RelPath((VOLUME_FILE,))) as descriptor:
            proof = _PROOF.decode(os.read(descriptor, _PROOF_BYTES_MAX))
    except FileNotFoundError as error:
        raise _missing(mount, f"there is no {VOLUME_FILE}") from error
    except (OSError, msgspec.DecodeError) as error:
        raise _missing(mount, f"{VOLUME_FILE} cannot be read: {error}") from error
    if proof.id != mount.volume_id:
        raise _missing(mount, f"what is there is another volume, {proof.id[:64]!r}")


def _unfit(mount: FolderMount, error: OSError) -> FolderUnfit:
    return FolderUnfit(f"{_words(mount)} cannot be mounted: {error.strerror}")


def _missing(mount: FolderMount, why: str) -> VolumeMissing:
    return VolumeMissing(
        f"volume {mount.volume} is not mounted at {mount.volume_path} on this node: {why}"
    )


def _place(mount: FolderMount) -> str:
    if mount.is_unmanaged:
        return f"{mount.path} of folder {mount.name}"
    return f"volume {mount.volume} at {mount.volume_path}"


def _check_place(mount: FolderMount) -> None:
    """Raises BadOrder and BadRequest."""
    if not mount.is_unmanaged:
        _inside_volume(mount)
    elif parse_directory(mount.path) != mount.path:
        raise BadOrder(f"the directory {mount.path!r} is not written as it is meant")


def _inside_volume(mount: FolderMount) -> RelPath:
    """Where the folder is below the top of its volume. Raises BadOrder."""
    top = mount.volume_path.rstrip("/") + "/"
    if not top.startswith("/") or not mount.path.startswith(top):
        raise BadOrder(f"{mount.path} of folder {mount.name} is not on its volume, {top}")
    return parse_relpath(mount.path.removeprefix(top))


def _words(mount: FolderMount) -> str:
    part = parse_relpath(mount.subpath)
    return f"folder {mount.name}" if part.is_top else f"{part} in folder {mount.name}"


def _let_go(holding: "asyncio.Future[HeldFolder]") -> None:
    """What comes after nobody waits any more is held by nobody."""
    if not holding.cancelled() and holding.exception() is None:
        os.close(holding.result().descriptor)
