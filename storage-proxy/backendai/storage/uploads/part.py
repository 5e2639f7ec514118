"""The open part of one upload: written, made durable, checked, put into its place. Blocks.

A thread that hangs in the file system may outlive the request that it works for. What it still
finds out (that bytes are lost) it therefore acts on itself.
"""

import ctypes
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from typing import Any, Final

from backendai.common.upload_faults import UploadBusy, UploadChecksumMismatch, UploadLost

from ..handle import Handle
from ..volumes.volume import Volume
from . import files
from .record import Trial, UploadRecord, decode_trial, encode_trial

# So much is handed to the disk early, so that the wait at the end of a request is short.
EARLY_BYTES: Final = 8 << 20
_READ_BYTES: Final = 1 << 20
_SYNC_FILE_RANGE_WRITE: Final = 2
_libc: Final = ctypes.CDLL(None, use_errno=True)


class Part:
    """`offset` is the end of the bytes that were written; all before it that `sync` has seen is
    durable. `is_placed` tells that the upload has been renamed to where it belongs."""

    def __init__(self, record: UploadRecord, directory: int, fd: int | None) -> None:
        self.record = record
        self.is_placed = fd is None
        self.offset = record.size if fd is None else os.fstat(fd).st_size
        self._directory = Handle(directory)
        self._bytes = Handle(os.dup(directory) if fd is None else fd)
        self._handed_on = self.offset
        self._trial: Trial | None = None
        self._hash: Any = None

    @property
    def is_whole(self) -> bool:
        return self.offset == self.record.size

    def used(self) -> AbstractContextManager[int]:
        """The descriptor of the bytes."""
        return self._bytes.used()

    def used_directory(self) -> AbstractContextManager[int]:
        """The descriptor of the directory with the files of the upload."""
        return self._directory.used()

    def close(self) -> None:
        self._bytes.release()
        self._directory.release()

    def write(self, pieces: Sequence[bytes]) -> None:
        """Append. Raises OSError; `offset` then tells how much was written."""
        with self.used() as fd:
            for piece in _grouped(pieces):
                self._write_group(fd, piece)
            if self.offset - self._handed_on >= EARLY_BYTES:
                _begin_writeback(fd, self._handed_on, self.offset - self._handed_on)
                self._handed_on = self.offset

    def _write_group(self, fd: int, pieces: list[bytes]) -> None:
        rest = [memoryview(piece) for piece in pieces]
        while rest:
            written = os.pwritev(fd, rest, self.offset)
            if not written:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.offset += written
            rest = self._after(rest, written)

    def _after(self, rest: list[memoryview], written: int) -> list[memoryview]:
        """What is left of `rest`; the bytes before it go into the checksum."""
        left = []
        for view in rest:
            done = min(written, len(view))
            written -= done
            if self._hash is not None and done:
                self._hash.update(view[:done])
            if done < len(view):
                left.append(view[done:])
        return left

    def sync(self) -> None:
        """Make all that was written durable.

        After a failure nobody knows what is on the disk, and asking again would answer "all of
        it": the upload is dropped. Raises UploadLost.
        """
        with self.used() as fd:
            try:
                os.fdatasync(fd)
            except OSError as error:
                self._lose(error)

    def _lose(self, error: OSError) -> None:
        with suppress(OSError):
            self.drop()
        raise UploadLost(error.strerror or "The disk failed.") from error

    def truncate(self, offset: int) -> None:
        """Take back what was written after `offset`, for good. Raises OSError, UploadLost."""
        with self.used() as fd:
            os.ftruncate(fd, offset)
            self.offset = self._handed_on = offset
        self.sync()

    def begin_trial(self, trial: Trial) -> None:
        """What comes now counts only when its checksum is right. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with self.used_directory() as directory:
            out = os.open(self.record.id + files.TRIAL, flags, 0o600, dir_fd=directory)
            try:
                files.write_whole(out, encode_trial(trial), 0)
                os.fsync(out)
            finally:
                os.close(out)
            os.fsync(directory)
        self._trial, self._hash = trial, hashlib.new(trial.algorithm, usedforsecurity=False)

    def end_trial(self) -> None:
        """Raises UploadChecksumMismatch, after which nothing of the chunk is left."""
        trial, found = self._trial, self._hash.digest()
        assert trial is not None
        self._trial = self._hash = None
        if self.offset != trial.offset + trial.length or found != trial.digest:
            self._take_back(trial)
            raise UploadChecksumMismatch.at(trial.offset, "Nothing of the chunk was kept.")
        # Not made durable: a trial that comes back after a crash proves itself again.
        self._unlink_trial()

    def cancel_trial(self) -> None:
        """The chunk did not come whole: nothing of it is left."""
        if self._trial is not None:
            trial, self._trial, self._hash = self._trial, None, None
            self._take_back(trial)

    def find_trial(self) -> Trial | None:
        """What a crash left unchecked."""
        with self.used_directory() as directory:
            try:
                return decode_trial(files.read_small(directory, self.record.id + files.TRIAL))
            except FileNotFoundError:
                return None

    def resolve_trial(self, trial: Trial) -> None:
        """Check what a crash left unchecked, and take it back unless it is right and whole."""
        end = trial.offset + trial.length
        if self.offset < end or self._digest(trial) != trial.digest:
            self._take_back(trial)
        self._unlink_trial()

    def _digest(self, trial: Trial) -> bytes:
        found = hashlib.new(trial.algorithm, usedforsecurity=False)
        position, end = trial.offset, trial.offset + trial.length
        with self.used() as fd:
            while position < end:
                piece = os.pread(fd, min(_READ_BYTES, end - position), position)
                if not piece:
                    break
                found.update(piece)
                position += len(piece)
        return found.digest()

    def _take_back(self, trial: Trial) -> None:
        """Bytes that come to the same place later must not be judged by this trial."""
        self.truncate(min(self.offset, trial.offset))
        self._unlink_trial()
        with self.used_directory() as directory:
            os.fsync(directory)

    def _unlink_trial(self) -> None:
        with self.used_directory() as directory, suppress(FileNotFoundError):
            os.unlink(self.record.id + files.TRIAL, dir_fd=directory)

    def set_time(self) -> None:
        """That which it shall have, when somebody said so. Raises OSError."""
        at = self.record.modified_ns
        if at is not None:
            with self.used() as fd:
                os.utime(fd, ns=(at, at))

    def mark(self, record: UploadRecord) -> None:
        """Remember what has changed of the record. Raises OSError."""
        with self.used_directory() as directory:
            files.replace_record(directory, record)
        self.record = record

    def drop(self) -> None:
        """Raises OSError."""
        with self.used_directory() as directory:
            files.drop(directory, self.record.id)
            os.fsync(directory)


def open_part(volume: Volume, upload: str, now: datetime) -> Part:
    """The upload as it is on the disk, locked against other processes.

    Raises UploadNotFound, UploadBusy, OSError.
    """
    with files.opened_place(volume, upload) as place:
        record = files.read_record(place, upload, now)
        directory = os.dup(place)
        try:
            fd = _open_locked(directory, record)
        except BaseException:
            os.close(directory)
            raise
    part = Part(record, directory, fd)
    if part.offset > record.size:
        part.truncate(record.size)
    return part


def _open_locked(directory: int, record: UploadRecord) -> int | None:
    if record.done:
        return None
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(record.id + files.PART, flags, dir_fd=directory)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise UploadBusy("Another process holds it.") from None
    return fd


def _grouped(pieces: Sequence[bytes]) -> Iterator[list[bytes]]:
    """By as many as one call of the kernel takes."""
    most = os.sysconf("SC_IOV_MAX")
    for start in range(0, len(pieces), most):
        yield [piece for piece in pieces[start : start + most] if piece]


def _begin_writeback(fd: int, offset: int, length: int) -> None:
    """A hint: file systems that do not know it write when they are told to sync."""
    _libc.sync_file_range(
        fd, ctypes.c_int64(offset), ctypes.c_int64(length), ctypes.c_uint(_SYNC_FILE_RANGE_WRITE)
    )
