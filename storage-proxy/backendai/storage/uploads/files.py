"""The files of uploads on a volume: a record, a part, and what is being checked. All of it blocks.

    <volume>/.uploads/<first two digits>/<id>.json   the record, fsynced before anybody knows it
                                        <id>.part   the bytes; its size is how far it has come
                                        <id>.trial  bytes at its end that count only when their
                                                    checksum is right

The part goes away by the rename that finishes the upload, and a record that is dropped goes before
its part: a record without a part is therefore of an upload that was finished.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from typing import Final

from backendai.common.beneath import make_directories, opened_directory
from backendai.common.upload_faults import UploadNotFound

from ..layout import UPLOADS, ScopeId
from ..volumes.top import replace_file
from ..volumes.volume import Volume
from .record import UploadRecord, decode_record, encode_record, is_upload_id

RECORD: Final = ".json"
PART: Final = ".part"
TRIAL: Final = ".trial"
FRESH: Final = ".fresh"
RECORD_BYTES_MAX: Final = 64 * 1024
_PRIVATE: Final = 0o700
_FILE_MODE: Final = 0o644


@contextmanager
def opened_place(volume: Volume, upload: str) -> Iterator[int]:
    """The directory with the files of `upload`. Raises UploadNotFound."""
    if not is_upload_id(upload):
        raise UploadNotFound
    with ExitStack() as stack:
        top = stack.enter_context(volume.opened_top())
        try:
            directory = stack.enter_context(opened_directory(top, UPLOADS / upload[:2]))
        except FileNotFoundError:
            raise UploadNotFound from None
        yield directory


def make_part(volume: Volume, upload: str, scope: ScopeId) -> None:
    """An empty part, durable in its directory, that counts for `scope`. Raises OSError."""
    path = UPLOADS / upload[:2]
    with volume.opened_top() as top:
        make_directories(top, path, _PRIVATE)
        with opened_directory(top, path) as directory:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            part = os.open(upload + PART, flags, _FILE_MODE, dir_fd=directory)
            try:
                os.fchmod(part, _FILE_MODE)
                volume.owner.take(part)
                volume.quotas.adopt(part, scope)
                os.fsync(part)
            finally:
                os.close(part)
            os.fsync(directory)


def write_record(volume: Volume, record: UploadRecord) -> None:
    """Durable, and whole or not at all. Raises UploadNotFound, OSError."""
    with opened_place(volume, record.id) as directory:
        replace_record(directory, record)


def replace_record(directory: int, record: UploadRecord) -> None:
    """Raises OSError."""
    content = encode_record(record)
    replace_file(directory, record.id + RECORD, content, 0o600, fresh=record.id + FRESH)


def read_record(directory: int, upload: str, now: datetime) -> UploadRecord:
    """Raises UploadNotFound, also for what has expired; OSError."""
    try:
        data = read_small(directory, upload + RECORD)
    except FileNotFoundError:
        raise UploadNotFound from None
    record = decode_record(data)
    if record is None or record.id != upload or record.is_expired(now):
        raise UploadNotFound
    return record


def drop(directory: int, upload: str) -> None:
    """Record first: see above. Raises OSError."""
    for suffix in (RECORD, FRESH, TRIAL, PART):
        with suppress(FileNotFoundError):
            os.unlink(upload + suffix, dir_fd=directory)


def read_small(directory: int, name: str) -> bytes:
    """Raises OSError."""
    found = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.pread(found, RECORD_BYTES_MAX, 0)
    finally:
        os.close(found)


def write_whole(fd: int, data: bytes, offset: int) -> None:
    """Raises OSError."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view, offset = view[written:], offset + written
