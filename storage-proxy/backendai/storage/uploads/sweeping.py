"""Looking through all uploads of a volume for what nobody needs any more. Blocks."""

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ..volumes.volume import Volume
from . import files
from .listing import find_part_bytes, find_record, list_uploads
from .record import UploadRecord

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
    with volume.opened_top() as top:
        for directory, upload in list_uploads(top):
            _sweep_one(volume, directory, upload, now, found)
    return found


def _sweep_one(volume: Volume, directory: int, upload: str, now: datetime, found: Sweep) -> None:
    record = find_record(directory, upload)
    if record is None:
        is_over = _age_seconds(directory, upload, now) > ORPHAN_SECONDS
    else:
        is_over = record.is_expired(now)
    if not is_over:
        if record is not None and not record.done and _is_whole(directory, record):
            found.whole.append(upload)
        return
    if _is_held(directory, upload):
        return
    files.drop(directory, upload)
    volume.room.release(upload)
    found.dropped += 1


def _is_whole(directory: int, record: UploadRecord) -> bool:
    """And not in its place."""
    return find_part_bytes(directory, record.id) == record.size


def _age_seconds(directory: int, upload: str, now: datetime) -> float:
    """Since the youngest of its files was changed. What is unpacked has times of its archive, so it
    is the time that nobody can set."""
    changed = [0.0]
    for suffix in (files.RECORD, files.FRESH, files.TRIAL, files.PART):
        with suppress(FileNotFoundError):
            found = os.stat(upload + suffix, dir_fd=directory, follow_symlinks=False)
            changed.append(found.st_ctime)
    return now.timestamp() - max(changed)


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
