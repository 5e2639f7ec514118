"""Trees of files from this machine into a folder, and out of it."""

import asyncio
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backendai.client.channel import Channel
from backendai.client.faults import LocalFileFailed
from backendai.client.vfolders.fetching import fetch_file
from backendai.client.vfolders.files import FolderFiles
from backendai.client.vfolders.moving import PARALLEL, Move, OnProgress, for_each, run_moves
from backendai.client.vfolders.patience import Patience
from backendai.client.vfolders.proxy import StorageProxy
from backendai.client.vfolders.sending import OnBytes, send_file
from backendai.client.vfolders.trees import (
    TOP,
    Entry,
    Kind,
    Tree,
    clean,
    join,
    look_at,
    name_of,
    read_entry,
    read_local,
)
from backendai.common.faults import FileNotFound

_DIRECTORY = Entry(Kind.DIRECTORY)


@dataclass(frozen=True, slots=True)
class Copied:
    """Where the files that were copied are now; `skipped` are links, and what else is never
    copied."""

    paths: tuple[str, ...] = ()
    size_bytes: int = 0
    skipped: tuple[str, ...] = ()


class Transfers(FolderFiles):
    """What is broken off goes on where it was, and is given up after the configuration's
    `retry_seconds` without progress. Raises LocalFileFailed and what storage proxies refuse."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self._channel = channel

    async def upload(
        self,
        folder: str,
        sources: Iterable[Path | str],
        *,
        into: str = TOP,
        parallel: int = PARALLEL,
        on_progress: OnProgress | None = None,
    ) -> Copied:
        """Copy files, and directories with all in them, into the directory `into`, under their own
        names. Files that are there are replaced."""
        above = clean(into)
        named = {join(above, _own_name(Path(source))): Path(source) for source in sources}
        return await self._upload(folder, named, parallel, on_progress)

    async def upload_as(
        self,
        folder: str,
        source: Path | str,
        path: str,
        *,
        parallel: int = PARALLEL,
        on_progress: OnProgress | None = None,
    ) -> Copied:
        """Copy a file or a directory to exactly `path`."""
        return await self._upload(folder, {clean(path): Path(source)}, parallel, on_progress)

    async def download(
        self,
        folder: str,
        paths: Iterable[str],
        *,
        into: Path | str = ".",
        parallel: int = PARALLEL,
        on_progress: OnProgress | None = None,
    ) -> Copied:
        """Copy files, and directories with all in them, into the local directory `into`, under
        their own names; the top (`.`) is everything. Files that are there are replaced. Copies have
        the time of their original."""
        named = {path: Path(into) / name_of(path) for path in map(clean, paths)}
        return await self._download(folder, named, parallel, on_progress)

    async def download_as(
        self,
        folder: str,
        path: str,
        target: Path | str,
        *,
        parallel: int = PARALLEL,
        on_progress: OnProgress | None = None,
    ) -> Copied:
        """Copy a file or a directory to exactly `target`."""
        return await self._download(folder, {clean(path): Path(target)}, parallel, on_progress)

    async def _upload(
        self,
        folder: str,
        named: Mapping[str, Path],
        parallel: int,
        on_progress: OnProgress | None,
    ) -> Copied:
        cargo = _Cargo()
        for path, source in named.items():
            for inner, entry in (await _read_source(source)).items():
                place, origin = join(path, inner), source / inner
                if cargo.takes(place, str(origin), entry):
                    cargo.moves.append(self._sending(folder, origin, place, place, entry))
        await self._make(folder, cargo.directories)
        await run_moves(cargo.moves, parallel=parallel, on_progress=on_progress)
        return cargo.copied()

    async def _download(
        self,
        folder: str,
        named: Mapping[str, Path],
        parallel: int,
        on_progress: OnProgress | None,
    ) -> Copied:
        cargo = _Cargo()
        for path, target in named.items():
            for inner, entry in (await self._read_named(folder, path, parallel)).items():
                place, origin = target / inner, join(path, inner)
                if cargo.takes(str(place), origin, entry):
                    cargo.moves.append(self._fetching(folder, origin, place, str(place), entry))
        await make_local(map(Path, cargo.directories))
        await run_moves(cargo.moves, parallel=parallel, on_progress=on_progress)
        return cargo.copied()

    def _sending(self, folder: str, source: Path, path: str, shown: str, entry: Entry) -> Move:
        async def run(on_bytes: OnBytes) -> None:
            await send_file(
                self._proxy(),
                source,
                lambda size: self.begin_upload(folder, path, size),
                self._patience(),
                on_bytes,
            )

        return Move(shown, entry.size, run)

    def _fetching(self, folder: str, path: str, target: Path, shown: str, entry: Entry) -> Move:
        async def run(on_bytes: OnBytes) -> None:
            await fetch_file(
                self._proxy(),
                entry,
                target,
                lambda: self.begin_download(folder, path),
                self._patience(),
                on_bytes,
            )

        return Move(shown, entry.size, run)

    async def _read_named(self, folder: str, path: str, parallel: int) -> Tree:
        """A file, or a directory with all in it. Raises FileNotFound."""
        entry = _DIRECTORY
        if path != TOP:
            found = await self.find_file(folder, path)
            if found is None:
                raise FileNotFound(path, {"paths": [path]})
            entry = read_entry(found)
        if entry.kind is not Kind.DIRECTORY:
            return {TOP: entry}
        return {TOP: entry, **await self._read_remote(folder, path, parallel)}

    async def _read_remote(self, folder: str, top: str, parallel: int) -> dict[str, Entry]:
        """All that is below the directory `top`. Raises FileNotFound."""
        tree: dict[str, Entry] = {}
        level = [TOP]
        while level:
            listed = await self._list_several(folder, top, level, parallel)
            level = [path for path, entry in listed.items() if entry.kind is Kind.DIRECTORY]
            tree |= listed
        return tree

    async def _list_several(
        self, folder: str, top: str, directories: Sequence[str], parallel: int
    ) -> dict[str, Entry]:
        found: dict[str, Entry] = {}

        async def look(directory: str) -> None:
            for each in await self.list_files(folder, join(top, directory)):
                found[join(directory, each.filename)] = read_entry(each)

        await for_each(directories, look, parallel=parallel)
        return found

    async def _make(self, folder: str, directories: Iterable[str]) -> None:
        wanted = [path for path in directories if path != TOP]
        await self.mkdir(folder, wanted, parents=True, exist_ok=True)

    def _proxy(self) -> StorageProxy:
        return StorageProxy(self._channel.streams)

    def _patience(self) -> Patience:
        return Patience(self._channel.clock, self._channel.config.retry_seconds)


async def make_local(directories: Iterable[Path]) -> None:
    """With those above. Raises LocalFileFailed."""
    await asyncio.to_thread(_make_directories, list(directories))


async def delete_local(paths: Sequence[Path]) -> None:
    """Directories with all in them, links themselves. Raises LocalFileFailed."""
    await asyncio.to_thread(_delete_all, paths)


@dataclass(slots=True)
class _Cargo:
    directories: list[str] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def takes(self, place: str, origin: str, entry: Entry) -> bool:
        """Whether it is a file; what is none is noted."""
        if entry.kind is Kind.DIRECTORY:
            self.directories.append(place)
        elif entry.kind is Kind.OTHER:
            self.skipped.append(origin)
        return entry.kind is Kind.FILE

    def copied(self) -> Copied:
        paths = tuple(move.path for move in self.moves)
        return Copied(paths, sum(move.size for move in self.moves), tuple(self.skipped))


async def _read_source(source: Path) -> Tree:
    """A file, or a directory with all in it. Raises LocalFileFailed."""
    entry = await asyncio.to_thread(look_at, source)
    if entry is None:
        raise LocalFileFailed(f"{source}: No such file or directory")
    if entry.kind is not Kind.DIRECTORY:
        return {TOP: entry}
    return {TOP: entry, **await read_local(source)}


def _own_name(source: Path) -> str:
    """Also that of `.` and `..`."""
    return source.name if source.name not in ("", "..") else source.resolve().name


def _make_directories(directories: Sequence[Path]) -> None:
    for directory in directories:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LocalFileFailed.of(error, directory) from error


def _delete_all(paths: Sequence[Path]) -> None:
    for path in paths:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise LocalFileFailed.of(error, path) from error
