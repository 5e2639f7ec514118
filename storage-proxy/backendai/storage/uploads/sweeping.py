"""Looking through all uploads of a volume for what nobody needs any more. Blocks."""

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from backendai.common.beneath import opened_directory
from backendai.common.paths import RelPath

from ..volumes.volume import Volume
from . import files
from .record import UploadRecord, decode_record, is_upload_id

# What has no record may be an upload that begins at this moment.
ORPHAN_SECONDS: Final = 3600.0


@dataclass(slots=True)
class Sweep:
    """`whole` are uploads that have all their bytes and were not yet put into their place."""

    dropped: int = 0
    whole: list[str] = field(default_factory=list)


def sweep(volume: Volume, now: datetime) -> Sweep:
    """Raises OSError, VolumeUnavailable."""
    found = Sweep()
    with volume.opened_top() as top, suppress(FileNotFoundError):
        with opened_directory(top, files.UPLOADS) as uploads:
            names = sorted(os.listdir(uploads))
        for name in names:
            with suppress(FileNotFoundError, NotADirectoryError):
                _sweep_place(top, files.UPLOADS / name, now, found)
    return found


def _sweep_place(top: int, path: RelPath, now: datetime, found: Sweep) -> None:
    with opened_directory(top, path) as directory:
        uploads = {name.partition(".")[0] for name in os.listdir(directory)}
        for upload in sorted(filter(is_upload_id, uploads)):
            _sweep_one(directory, upload, now, found)


def _sweep_one(directory: int, upload: str, now: datetime, found: Sweep) -> None:
    record = _find_record(directory, upload)
    if record is None:
        is_over = _age_seconds(directory, upload, now) > ORPHAN_SECONDS
    else:
        is_over = record.is_expired(now)
    if not is_over:
        if record is not None and not record.done and _size_of(directory, upload) == record.size:
            found.whole.append(upload)
        return
    if _is_held(directory, upload):
        return
    files.drop(directory, upload)
    found.dropped += 1


def _find_record(directory: int, upload: str) -> UploadRecord | None:
    with suppress(FileNotFoundError):
        return decode_record(files.read_small(directory, upload + files.RECORD))
    return None


def _age_seconds(directory: int, upload: str, now: datetime) -> float:
    """Since the youngest of its files was changed. What is unpacked has times of its archive, so it
    is the time that nobody can set."""
    changed = [0.0]
    for suffix in (files.RECORD, files.FRESH, files.TRIAL, files.PART):
        with suppress(FileNotFoundError):
            found = os.stat(upload + suffix, dir_fd=directory, follow_symlinks=False)
            changed.append(found.st_ctime)
    return now.timestamp() - max(changed)


def _size_of(directory: int, upload: str) -> int | None:
    """None where there is no part: then it was put into its place."""
    with suppress(FileNotFoundError):
        return os.stat(upload + files.PART, dir_fd=directory, follow_symlinks=False).st_size
    return None


def _is_held(directory: int, upload: str) -> bool:
    # NFS gives this lock only on what is open for writing.
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(upload + files.PART, flags, dir_fd=directory)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
