"""Room: what is there and what is on its way never pass a limit together."""

import asyncio
import os
import subprocess
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backendai.common.storage_faults import StorageFull, VolumeUnavailable
from backendai.storage.folders import create_folder
from backendai.storage.layout import FolderId, ScopeId, ScopeKind
from backendai.storage.owner import Owner
from backendai.storage.settings import VolumeOptions
from backendai.storage.uploads import files
from backendai.storage.uploads.record import UploadRecord
from backendai.storage.volumes import count, limits, room
from backendai.storage.volumes.room import Reservation
from backendai.storage.volumes.vfs import DirectoryVolume, open_vfs
from backendai.storage.volumes.volume import VolumeParts
from tests.running.waiting import until

SCOPE = ScopeId(ScopeKind.USER, uuid.uuid4())
OTHER = ScopeId(ScopeKind.PROJECT, uuid.uuid4())
THREADS = 2


def open_at(path: Path) -> DirectoryVolume:
    options = VolumeOptions("vfs", path, False, {})
    owner = Owner(os.geteuid(), os.getegid())
    return open_vfs(VolumeParts("local", options, owner, THREADS, 60.0))


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[DirectoryVolume]:
    made = open_at(tmp_path)
    yield made
    made.close()


def ask(size: int, scope: ScopeId = SCOPE, **more: Any) -> Reservation:
    return Reservation(uuid.uuid4().hex, scope, size, **more)


def fits(volume: DirectoryVolume, size: int, scope: ScopeId = SCOPE) -> bool:
    """Whether so much could be reserved now."""
    wanted = ask(size, scope)
    try:
        volume.room.reserve_counting(wanted)
    except StorageFull:
        return False
    volume.room.release(wanted.id)
    return True


def test_what_is_reserved_counts_until_it_is_released(volume: DirectoryVolume) -> None:
    volume.quotas.make(SCOPE, 1000)
    first = ask(600)
    volume.room.reserve_counting(first)
    with pytest.raises(StorageFull) as caught:
        volume.room.reserve_counting(ask(401))
    assert caught.value.facts == {
        "usedBytes": 0,
        "openBytes": 600,
        "limitBytes": 1000,
        "wantedBytes": 401,
    }
    assert fits(volume, 400)
    volume.room.release(first.id)
    assert fits(volume, 1000)
    assert not fits(volume, 1001)


def test_no_two_get_the_same_room(volume: DirectoryVolume) -> None:
    volume.quotas.make(SCOPE, 1000)

    def reserve(_: int) -> bool:
        try:
            volume.room.reserve_counting(ask(100))
        except StorageFull:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(reserve, range(64))) == 10


def test_what_is_written_inside_counts_once(volume: DirectoryVolume) -> None:
    volume.quotas.make(SCOPE, 1000)
    volume.quotas.get(SCOPE)
    copy = ask(600, is_inside=True)
    volume.room.reserve_counting(copy)
    volume.room.spend(copy, 500)
    assert fits(volume, 400)
    # It grew while it was copied.
    volume.room.spend(copy, 300)
    assert fits(volume, 200)
    assert not fits(volume, 201)
    with pytest.raises(StorageFull):
        volume.room.spend(copy, 201)
    # What was told of is there until it is counted anew, and nobody is refused for an old count.
    volume.room.release(copy.id)


def upload(volume: DirectoryVolume, folder: FolderId, size: int, **more: Any) -> UploadRecord:
    now = datetime.now(UTC)
    record = UploadRecord(
        id=uuid.uuid4().hex,
        folder=str(folder),
        relpath="a",
        size=size,
        created_at=now,
        expires_at=now + timedelta(hours=1),
        **more,
    )
    files.make_part(volume, record.id, folder.scope)
    files.write_record(volume, record)
    return record


def test_a_new_daemon_finds_what_is_open(volume: DirectoryVolume) -> None:
    volume.quotas.make(SCOPE, 1000)
    folder = FolderId(SCOPE, uuid.uuid4().hex)
    create_folder(volume, folder)
    open_one = upload(volume, folder, 600)
    upload(volume, folder, 500, done=True)
    placed = upload(volume, folder, 500)
    (volume.path / ".uploads" / placed.id[:2] / f"{placed.id}.part").unlink()
    damaged = upload(volume, folder, 500)
    (volume.path / ".uploads" / damaged.id[:2] / f"{damaged.id}.json").write_text("{")
    again = open_at(volume.path)
    assert fits(again, 400)
    assert not fits(again, 401)
    again.room.release(open_one.id)
    assert fits(again, 1000)
    late = open_at(volume.path)
    # One that ends before anybody asked for room does not come back.
    late.room.release(open_one.id)
    assert fits(late, 1000)
    again.close()
    late.close()


def test_small_uploads_are_bounded_in_number(
    volume: DirectoryVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "OPEN_MAX", 3)
    volume.quotas.make(SCOPE, None)
    volume.quotas.make(OTHER, None)
    for _ in range(3):
        volume.room.reserve_counting(ask(0))
    assert not fits(volume, 0)
    assert fits(volume, 0, OTHER)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[DirectoryVolume]:
    """A volume of one MiB in memory."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    where = tmp_path / "small"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(where)], check=True)
    made = open_at(where)
    yield made
    made.close()
    subprocess.run(["umount", "-l", str(where)], check=True)


def test_uploads_of_all_scopes_share_the_space_that_is_free(small: DirectoryVolume) -> None:
    for scope in (SCOPE, OTHER):
        small.quotas.make(scope, None)
    first = ask(600_000)
    small.room.reserve_counting(first)
    assert not fits(small, 600_000, OTHER)
    with pytest.raises(StorageFull, match="uploads need 600000"):
        small.room.check_space(600_000)
    # What has come takes space itself.
    (small.path / "part").write_bytes(b"x" * 300_000)
    small.room.progress(first.id, 300_000)
    assert fits(small, 400_000, OTHER)
    assert not fits(small, 500_000, OTHER)
    small.room.release(first.id)
    assert fits(small, 600_000, OTHER)


class HugeScope:
    """Counting SCOPE takes until `end` is set; others are counted as ever."""

    def __init__(self, top: Path) -> None:
        self.end = threading.Event()
        self.walks = 0
        self._inode = top.stat().st_ino

    def count_tree(self, top: int, left_out: str = "") -> count.Count:
        if os.fstat(top).st_ino == self._inode:
            self.walks += 1
            self.end.wait()
        return count.count_tree(top, left_out)


@pytest.fixture
def huge(volume: DirectoryVolume, monkeypatch: pytest.MonkeyPatch) -> Iterator[HugeScope]:
    for scope in (SCOPE, OTHER):
        volume.quotas.make(scope, 1000)
    made = HugeScope(volume.path / str(SCOPE))
    monkeypatch.setattr(limits, "count_tree", made.count_tree)
    yield made
    made.end.set()


async def test_counting_a_huge_scope_holds_up_nobody_else(
    volume: DirectoryVolume, huge: HugeScope
) -> None:
    many = [
        asyncio.create_task(volume.run_counted(volume.room.reserve, ask(10))) for _ in range(40)
    ]
    shown = asyncio.create_task(volume.run_shared(SCOPE, volume.quotas.get, SCOPE))
    await asyncio.to_thread(until, lambda: huge.walks, "it is being counted")
    async with asyncio.timeout(30):
        for _ in range(THREADS * 2):
            assert await volume.run(lambda: 1) == 1
        await volume.run_counted(volume.room.reserve, ask(10, OTHER))
    assert not any(task.done() for task in (*many, shown))
    huge.end.set()
    for task in many:
        await task
    assert (await shown).limit_bytes == 1000
    assert huge.walks == 1
    assert not fits(volume, 601)


async def test_who_waits_too_long_for_a_count_is_told_so(
    volume: DirectoryVolume, huge: HugeScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = volume._parts
    # For counting alone: a machine on which much else runs needs its time for short work.
    monkeypatch.setattr(volume, "_parts", replace(patient, io_timeout_seconds=0.1))
    for _ in range(3):
        with pytest.raises(VolumeUnavailable, match="being counted"):
            await volume.run_counted(volume.room.reserve, ask(10))
    assert huge.walks == 1
    huge.end.set()
    monkeypatch.setattr(volume, "_parts", patient)
    await volume.run_counted(volume.room.reserve, ask(10))
