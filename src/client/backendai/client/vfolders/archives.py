"""Archives of what is in a folder: fetched as one file, or unpacked where they lie."""

import asyncio
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

from backendai.client.vfolders.fetching import as_local, gathered
from backendai.client.vfolders.files import FolderFiles
from backendai.client.vfolders.proxy import StorageProxy
from backendai.client.vfolders.rows import Extracted
from backendai.client.vfolders.trees import PART_PREFIX, PART_SUFFIX, TOP, clean

ArchiveKind = Literal["zip", "tar"]


class Archives(FolderFiles):
    async def download_archive(
        self,
        folder: str,
        paths: Sequence[str],
        target: Path | str,
        *,
        kind: ArchiveKind = "zip",
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> int:
        """Fetch files and directories as the one archive `target`, which is there when it is whole;
        the top (`.`) is everything. Links are left out. Returns its bytes, of which `on_bytes` is
        told as they come.

        It is made while it is sent, so one that breaks off begins anew when it is called again.
        Raises LocalFileFailed, ConnectionLost, and BadRequest for too many names.
        """
        ticket = await self.begin_archive(folder, [clean(path) for path in paths])
        written = 0
        proxy = StorageProxy(self._channel.streams)
        with _opened(Path(target)) as file:
            async with proxy.archive(ticket, kind) as content:
                async for data in gathered(content.pieces):
                    await asyncio.to_thread(file.write, data)
                    written += len(data)
                    on_bytes(written)
        return written

    async def extract(
        self, folder: str, path: str, *, into: str = TOP, removes: bool = False
    ) -> Extracted:
        """Unpack the zip or tar at `path` into the directory `into`, over files of the same names;
        `removes` deletes it when all of it was unpacked. Raises ArchiveRefused, ArchiveTooLarge."""
        ticket = await self.begin_extraction(folder, clean(path), clean(into), removes=removes)
        return await StorageProxy(self._channel.streams).extract(ticket)


@contextmanager
def _opened(target: Path) -> Iterator[BinaryIO]:
    """Beside its place until it is whole."""
    part = target.with_name(f"{PART_PREFIX}{secrets.token_hex(8)}{PART_SUFFIX}")
    with as_local(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("xb")
    try:
        with as_local(target), file:
            yield file
        with as_local(target):
            part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
