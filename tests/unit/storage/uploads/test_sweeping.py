"""What is swept away, and what is not: work of others, however old it says it is."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backendai.storage.layout import ScopeId, ScopeKind
from backendai.storage.owner import Owner
from backendai.storage.settings import VolumeOptions
from backendai.storage.uploads import files
from backendai.storage.uploads.record import UploadRecord
from backendai.storage.uploads.sweeping import ORPHAN_SECONDS, sweep
from backendai.storage.volumes.vfs import DirectoryVolume, open_vfs
from backendai.storage.volumes.volume import VolumeParts

UPLOAD = uuid.UUID(int=1).hex
SCOPE = ScopeId(ScopeKind.USER, uuid.UUID(int=2))


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[DirectoryVolume]:
    options = VolumeOptions("vfs", tmp_path, False, {})
    made = open_vfs(VolumeParts("local", options, Owner(os.geteuid(), os.getegid()), 2, 10.0))
    yield made
    made.close()


def test_what_is_being_unpacked_stays_however_old_its_archive(volume: DirectoryVolume) -> None:
    files.make_part(volume, UPLOAD, SCOPE)
    [part] = volume.path.glob(".uploads/*/*.part")
    os.utime(part, (0, 0))
    now = datetime.now(UTC)
    assert sweep(volume, now).dropped == 0
    assert sweep(volume, now + timedelta(seconds=ORPHAN_SECONDS + 60)).dropped == 1
    assert not part.exists()


def test_where_locks_need_writing_uploads_expire_too(
    volume: DirectoryVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS does it."""
    lock = fcntl.flock

    def lock_like_nfs(fd: int, operation: int) -> Any:
        if operation & fcntl.LOCK_EX and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == 0:
            raise OSError(9, os.strerror(9))
        return lock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", lock_like_nfs)
    now = datetime.now(UTC)
    record = UploadRecord(id=UPLOAD, folder="", relpath="a", size=1, created_at=now, expires_at=now)
    files.make_part(volume, UPLOAD, SCOPE)
    files.write_record(volume, record)
    assert sweep(volume, now).dropped == 1
