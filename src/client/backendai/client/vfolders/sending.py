"""One file into a folder: chunk by chunk, each with its checksum, going on where it broke off."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from backendai.client.faults import LocalFileFailed
from backendai.client.vfolders.patience import Patience, is_passing, is_upload_gone
from backendai.client.vfolders.proxy import StorageProxy
from backendai.client.vfolders.rows import Ticket
from backendai.common.faults import Fault

CHUNK_BYTES: Final = 8 * 1024 * 1024
GIVE_UP_SECONDS: Final = 2.0

# Takes the bytes that are done.
OnBytes = Callable[[int], None]


async def send_file(
    proxy: StorageProxy,
    source: Path,
    begin: Callable[[int], Awaitable[Ticket]],
    patience: Patience,
    on_bytes: OnBytes,
) -> None:
    """`begin` gives the ticket of an upload of so many bytes; it gets the time of `source`.

    Raises LocalFileFailed, also when the file is written to meanwhile, and what the proxy refuses.
    """
    with _opened(source) as file:
        ticket, offset = await patience.ask(lambda: begin(file.size)), 0
        try:
            while offset < file.size:
                data = await asyncio.to_thread(file.read, offset)
                try:
                    offset = await proxy.append(ticket, offset, data, file.modified_ns)
                except Fault as fault:
                    ticket, offset = await _recover(
                        proxy, fault, ticket, lambda: begin(file.size), patience
                    )
                patience.note(offset)
                on_bytes(offset)
        except BaseException:
            await _give_up(proxy, ticket)
            raise


async def _give_up(proxy: StorageProxy, ticket: Ticket) -> None:
    """Nobody goes on with it, so it shall not take room until it expires."""
    with suppress(Fault, TimeoutError):
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await proxy.drop(ticket)


async def _recover(
    proxy: StorageProxy,
    fault: Fault,
    ticket: Ticket,
    begin: Callable[[], Awaitable[Ticket]],
    patience: Patience,
) -> tuple[Ticket, int]:
    """The ticket to go on with, and the offset from which."""
    while True:
        is_gone = is_upload_gone(fault)
        await patience.pause(fault, passes=is_gone or is_passing(fault))
        if is_gone:
            return await patience.ask(begin), 0
        try:
            return ticket, await proxy.find_offset(ticket)
        except Fault as another:
            fault = another


class _LocalFile:
    """An open file that has to stay as it is."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd
        self._seen = os.fstat(fd)
        self.size = self._seen.st_size
        self.modified_ns = self._seen.st_mtime_ns

    def read(self, offset: int) -> bytes:
        """A chunk, the last one shorter. Raises LocalFileFailed."""
        wanted = min(CHUNK_BYTES, self.size - offset)
        try:
            data = os.pread(self._fd, wanted, offset)
            now = os.fstat(self._fd)
        except OSError as error:
            raise LocalFileFailed.of(error, self._path) from error
        if len(data) != wanted or now.st_mtime_ns != self._seen.st_mtime_ns:
            raise LocalFileFailed(f"{self._path} was written to while it was sent.")
        return data


@contextmanager
def _opened(path: Path) -> Iterator[_LocalFile]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise LocalFileFailed.of(error, path) from error
    try:
        yield _LocalFile(path, fd)
    finally:
        os.close(fd)
