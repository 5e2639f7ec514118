"""The open part of an upload: whose it is when nobody waits for it any more."""

import asyncio
import os
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backendai.common.storage_faults import VolumeUnavailable
from backendai.common.upload_faults import UploadBusy
from backendai.storage.layout import ScopeId, ScopeKind
from backendai.storage.owner import Owner
from backendai.storage.settings import VolumeOptions
from backendai.storage.uploads import files
from backendai.storage.uploads.part import Part, open_part
from backendai.storage.uploads.record import UploadRecord
from backendai.storage.volumes.vfs import DirectoryVolume, open_vfs
from backendai.storage.volumes.volume import VolumeParts
from tests.running.waiting import until

UPLOAD = uuid.UUID(int=1).hex
SCOPE = ScopeId(ScopeKind.USER, uuid.UUID(int=2))


async def test_one_that_opens_after_its_request_gave_up_is_not_held_for_ever(
    tmp_path: Path,
) -> None:
    options = VolumeOptions("vfs", tmp_path, False, {})
    volume = open_vfs(VolumeParts("local", options, Owner(os.geteuid(), os.getegid()), 2, 0.2))
    now = datetime.now(UTC)
    record = UploadRecord(
        id=UPLOAD,
        folder="",
        relpath="a",
        size=1,
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )
    files.make_part(volume, UPLOAD, SCOPE)
    files.write_record(volume, record)
    hang = threading.Event()

    def open_late() -> Part:
        hang.wait()
        return open_part(volume, UPLOAD, now)

    with pytest.raises(VolumeUnavailable):
        await volume.run(open_late)
    hang.set()
    part = await asyncio.to_thread(until, lambda: open_again(volume, now), "it is free again")
    part.close()
    volume.close()


def open_again(volume: DirectoryVolume, now: datetime) -> Part | None:
    """None while it is held."""
    try:
        return open_part(volume, UPLOAD, now)
    except UploadBusy:
        return None
