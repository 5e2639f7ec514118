"""Project quotas on a real XFS in a file, where root may mount one; else only what is refused."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendai.common.storage_faults import (
    QuotaScopeExists,
    QuotaScopeNotFound,
    StorageFull,
    VolumeUnavailable,
)
from backendai.storage.folders import create_folder, delete_folder
from backendai.storage.layout import FolderId, ScopeId, ScopeKind
from backendai.storage.owner import Owner
from backendai.storage.settings import VolumeOptions
from backendai.storage.trash import empty_trash
from backendai.storage.volumes import projects
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
        quotas.check_room(SCOPE, 2 * MIB)
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
