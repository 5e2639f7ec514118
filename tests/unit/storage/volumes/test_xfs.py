"""Project quotas on a real XFS in a file, where root may mount one; else only what is refused.

Many kernels have XFS and not its quotas. There the projects of files are real, and so is what may
be renamed where; limits are kept, and bytes counted, by a stand-in for quotactl(2).
"""

import errno
import os
import shutil
import subprocess
import tarfile
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from backendai.common.clock import SystemClock
from backendai.common.ids import SystemIds
from backendai.common.paths import RelPath
from backendai.common.storage_faults import (
    QuotaScopeExists,
    QuotaScopeNotFound,
    StorageFull,
    VolumeUnavailable,
)
from backendai.storage.archives.unpack import UnpackLimits, unpack
from backendai.storage.folders import create_folder, delete_folder
from backendai.storage.layout import FolderId, ScopeId, ScopeKind, parse_folder_id
from backendai.storage.owner import Owner
from backendai.storage.settings import VolumeOptions
from backendai.storage.trash import empty_trash
from backendai.storage.uploads import placing
from backendai.storage.uploads.record import UploadRecord
from backendai.storage.uploads.service import Chunk, UploadLimits, Uploads
from backendai.storage.volumes import projects, xfs
from backendai.storage.volumes.room import Reservation
from backendai.storage.volumes.vfs import DirectoryVolume
from backendai.storage.volumes.volume import VolumeParts
from backendai.storage.volumes.xfs import open_xfs

SCOPE = ScopeId(ScopeKind.USER, uuid.uuid4())
OTHER = ScopeId(ScopeKind.PROJECT, uuid.uuid4())
MIB = 1 << 20


def open_at(path: Path) -> DirectoryVolume:
    options = VolumeOptions("xfs", path, False, {})
    return open_xfs(VolumeParts("local", options, Owner(os.geteuid(), os.getegid()), 2, 10.0))


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[DirectoryVolume]:
    if os.geteuid() != 0 or shutil.which("mkfs.xfs") is None:
        pytest.skip("needs root and mkfs.xfs")
    disk, where = tmp_path / "disk", tmp_path / "volume"
    with disk.open("wb") as file:
        file.truncate(320 * MIB)
    where.mkdir()
    subprocess.run(["mkfs.xfs", "-q", str(disk)], check=True)
    mounting = ["mount", "-o", "loop,prjquota", str(disk), str(where)]
    done = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount XFS with prjquota here: {done.stderr.strip()}")
    made = open_at(where)
    yield made
    made.close()
    subprocess.run(["umount", "-l", str(where)], check=True)


@dataclass(slots=True)
class Quotactl:
    """Limits of projects, and what their files hold; it stops nobody."""

    top: Path
    limits: dict[int, int | None] = field(default_factory=dict)
    is_failing: bool = False

    def is_enforced(self, _fd: int) -> bool:
        return True

    def read_project_usage(self, _fd: int, project: int) -> projects.ProjectUsage:
        mine = [path for path in self.top.rglob("*") if path.is_file() and of(path) == project]
        return projects.ProjectUsage(
            sum(path.stat().st_size for path in mine), self.limits.get(project)
        )

    def write_project_limit(self, _fd: int, project: int, limit_bytes: int | None) -> None:
        if self.is_failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.limits[project] = limit_bytes


def of(path: Path) -> int:
    """The project of a file."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return projects.read_project(fd)
    finally:
        os.close(fd)


@pytest.fixture
def quotactl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Quotactl]:
    """For a volume on XFS without quotas."""
    if os.geteuid() != 0 or shutil.which("mkfs.xfs") is None:
        pytest.skip("needs root and mkfs.xfs")
    disk, where = tmp_path / "disk", tmp_path / "volume"
    with disk.open("wb") as file:
        file.truncate(320 * MIB)
    where.mkdir()
    subprocess.run(["mkfs.xfs", "-q", str(disk)], check=True)
    done = subprocess.run(
        ["mount", "-o", "loop", str(disk), str(where)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"cannot mount XFS here: {done.stderr.strip()}")
    made = Quotactl(where)
    for name in ("is_enforced", "read_project_usage", "write_project_limit"):
        monkeypatch.setattr(xfs, name, getattr(made, name))
    yield made
    subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.fixture
def plain(quotactl: Quotactl) -> Iterator[DirectoryVolume]:
    made = open_at(quotactl.top)
    yield made
    made.close()


def test_a_scope_gets_its_limit_though_a_daemon_died_before(
    plain: DirectoryVolume, quotactl: Quotactl
) -> None:
    quotactl.is_failing = True
    with pytest.raises(OSError, match="Input/output"):
        plain.quotas.make(SCOPE, MIB)
    quotactl.is_failing = False
    plain.quotas.make(SCOPE, MIB)
    assert plain.quotas.get(SCOPE).limit_bytes == MIB
    for limit in (None, MIB):
        with pytest.raises(QuotaScopeExists):
            plain.quotas.make(SCOPE, 2 * MIB)
        plain.quotas.set_limit(SCOPE, limit)
    plain.quotas.ensure(OTHER)
    plain.quotas.make(OTHER, None)
    with pytest.raises(QuotaScopeExists):
        plain.quotas.make(OTHER, MIB)


class Sent:
    """A body."""

    def __init__(self, data: bytes) -> None:
        self._left = [data]

    @property
    def has_come(self) -> bool:
        return bool(self._left)

    async def readany(self) -> bytes:
        return self._left.pop() if self._left else b""


def new_folder(volume: DirectoryVolume) -> FolderId:
    folder = FolderId(SCOPE, uuid.uuid4().hex)
    create_folder(volume, folder)
    return folder


async def send(uploads: Uploads, volume: DirectoryVolume, record: UploadRecord) -> Path:
    """All of it; returns where it is then."""
    chunk = Chunk(0, None, None, Sent(b"x" * record.size))
    await uploads.append(volume, record.id, chunk)
    return volume.path / str(parse_folder_id(record.folder).path) / record.relpath


def make_uploads() -> Uploads:
    limits = UploadLimits(bytes_max=1 << 40, lifetime_seconds=3600, idle_seconds=60)
    return Uploads(limits, SystemClock(), SystemIds())


async def test_an_upload_counts_for_its_scope_as_it_comes_and_is_renamed(
    plain: DirectoryVolume,
) -> None:
    uploads = make_uploads()
    plain.quotas.make(SCOPE, 4 * MIB)
    folder = new_folder(plain)
    record = await uploads.create(plain, folder, RelPath(("file",)), 3 * MIB)
    [part] = plain.path.glob(".uploads/*/*.part")
    assert of(part) == of(plain.path / str(SCOPE)) != 0
    inode = part.stat().st_ino
    with pytest.raises(StorageFull):
        await uploads.create(plain, folder, RelPath(("more",)), 2 * MIB)
    file = await send(uploads, plain, record)
    assert file.stat().st_ino == inode
    with pytest.raises(StorageFull):
        await uploads.create(plain, folder, RelPath(("more",)), 2 * MIB)
    await uploads.create(plain, folder, RelPath(("less",)), MIB // 2)


async def test_where_a_rename_does_not_reach_it_is_copied_without_a_deadline(
    plain: DirectoryVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with parts from before the file system counted."""
    uploads = make_uploads()
    plain.quotas.make(SCOPE, None)
    record = await uploads.create(plain, new_folder(plain), RelPath(("file",)), MIB)
    [part] = plain.path.glob(".uploads/*/*.part")
    fd = os.open(part, os.O_RDWR)
    projects.move_to_project(fd, 0)
    os.close(fd)
    threads = []

    def copy(*args: Any) -> None:
        threads.append(threading.current_thread().name)
        placing_copy(*args)

    placing_copy = placing._copy
    monkeypatch.setattr(placing, "_copy", copy)
    file = await send(uploads, plain, record)
    assert file.read_bytes() == b"x" * MIB
    assert of(file) == of(plain.path / str(SCOPE))
    assert [name.rpartition("_")[0] for name in threads] == ["local-copy"]
    assert not list(plain.path.glob(".uploads/*/*.part"))


def test_what_is_unpacked_is_renamed_too(
    plain: DirectoryVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain.quotas.make(SCOPE, None)
    folder = new_folder(plain)
    top = plain.path / str(folder.path)
    with tarfile.open(top / "a.tar", "w") as archive:
        archive.add(__file__, "dir/file")
    monkeypatch.delattr(placing, "_copy")
    report = unpack(plain, folder, RelPath(("a.tar",)), RelPath(()), UnpackLimits())
    assert (report.files, report.skipped) == (1, [])
    assert of(top / "dir" / "file") == of(plain.path / str(SCOPE))


def test_without_project_quotas_it_says_so(tmp_path: Path) -> None:
    volume = open_at(tmp_path)
    with pytest.raises(VolumeUnavailable, match="mount it with prjquota"):
        volume.quotas.make(SCOPE, MIB)
    assert sorted(os.listdir(tmp_path)) == [".backendai-volume.json"]
    volume.close()


def write_durably(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.write(b"x" * size)
        file.flush()
        os.fsync(file.fileno())


def test_structures_have_the_sizes_that_the_kernel_takes() -> None:
    assert (projects._QUOTA.size, projects._ATTRIBUTES.size) == (112, 28)


def test_the_file_system_stops_who_writes_past_the_limit(volume: DirectoryVolume) -> None:
    quotas = volume.quotas
    with pytest.raises(QuotaScopeNotFound):
        quotas.get(SCOPE)
    quotas.make(SCOPE, 4 * MIB)
    with pytest.raises(QuotaScopeExists):
        quotas.make(SCOPE, None)
    folder = FolderId(SCOPE, uuid.uuid4().hex)
    create_folder(volume, folder)
    top = volume.path / str(folder.path)
    (top / "file").write_bytes(b"x" * 3 * MIB)
    found = quotas.get(SCOPE)
    assert found.limit_bytes == 4 * MIB
    assert 3 * MIB <= (found.used_bytes or 0) < 3 * MIB + 65536
    with pytest.raises(StorageFull):
        volume.room.reserve_counting(Reservation("x", SCOPE, 2 * MIB))
    # Whatever writes, such as a container that has the folder mounted.
    with pytest.raises(OSError, match=r"No space|quota"):
        write_durably(top / "more", 2 * MIB)
    other = FolderId(OTHER, uuid.uuid4().hex)
    create_folder(volume, other)
    (volume.path / str(other.path) / "file").write_bytes(b"x" * 8 * MIB)
    quotas.set_limit(SCOPE, None)
    (top / "more").write_bytes(b"x" * 2 * MIB)
    delete_folder(volume, folder)
    empty_trash(volume)
    assert (quotas.get(SCOPE).used_bytes or 0) < MIB
