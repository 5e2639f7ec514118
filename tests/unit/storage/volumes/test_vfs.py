import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backendai.common.mounts import VOLUME_FILE
from backendai.common.paths import RelPath
from backendai.common.storage_faults import (
    FolderNotFound,
    QuotaScopeExists,
    StorageFull,
    VolumeFailed,
    VolumeUnavailable,
)
from backendai.storage.files import list_items
from backendai.storage.folders import clone_folder, copy_within, create_folder
from backendai.storage.layout import FolderId, ScopeId, ScopeKind
from backendai.storage.owner import Owner
from backendai.storage.settings import VolumeOptions
from backendai.storage.trash import name_unfinished, throw_unfinished
from backendai.storage.volumes.limits import QUOTA_FILE
from backendai.storage.volumes.vfs import DirectoryVolume, open_vfs
from backendai.storage.volumes.volume import VolumeParts

SCOPE = ScopeId(ScopeKind.USER, uuid.uuid4())
UID, GID = (1000, 1000) if os.geteuid() == 0 else (os.geteuid(), os.getegid())


def open_at(path: Path, *, mount: bool = False) -> DirectoryVolume:
    path.mkdir(exist_ok=True)
    options = VolumeOptions("vfs", path, mount, {})
    return open_vfs(VolumeParts("local", options, Owner(UID, GID), 2, 10.0))


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[DirectoryVolume]:
    made = open_at(tmp_path / "volume")
    yield made
    made.close()


def new_folder(volume: DirectoryVolume, scope: ScopeId = SCOPE) -> FolderId:
    folder = FolderId(scope, uuid.uuid4().hex)
    create_folder(volume, folder)
    return folder


def place(volume: DirectoryVolume, folder: FolderId) -> Path:
    return volume.path / str(folder.path)


def test_a_folder_is_the_users_and_lists_nothing_of_others(volume: DirectoryVolume) -> None:
    folder = new_folder(volume)
    found = place(volume, folder).stat()
    assert (found.st_uid, found.st_gid) == (UID, GID)
    assert place(volume, folder).parents[1].stat().st_mode & 0o777 == 0o711
    with volume.opened_folder(folder) as fd:
        assert list_items(fd, RelPath(())) == []
    with pytest.raises(FolderNotFound), volume.opened_folder(FolderId(SCOPE, "0" * 32)):
        pass


def test_a_volume_keeps_its_id(volume: DirectoryVolume) -> None:
    made = volume.volume_id()
    assert volume.volume_id() == made
    again = open_at(volume.path)
    assert again.volume_id() == made
    again.close()


def test_another_directory_at_its_path_is_not_the_volume(volume: DirectoryVolume) -> None:
    volume.volume_id()
    volume.path.rename(volume.path.with_name("away"))
    with pytest.raises(VolumeUnavailable):
        volume.volume_id()
    volume.path.mkdir()
    with pytest.raises(VolumeUnavailable):
        volume.volume_id()
    assert not (volume.path / VOLUME_FILE).exists()
    other = open_at(volume.path.with_name("other"))
    other.volume_id()
    volume.path.rmdir()
    (volume.path.with_name("other")).rename(volume.path)
    with pytest.raises(VolumeUnavailable):
        volume.volume_id()
    shutil.rmtree(volume.path)
    volume.path.with_name("away").rename(volume.path)
    assert volume.volume_id()
    other.close()


def test_a_mount_that_is_not_there_is_not_written_below(tmp_path: Path) -> None:
    volume = open_at(tmp_path / "mount", mount=True)
    with pytest.raises(VolumeUnavailable, match="not mounted"):
        volume.volume_id()
    assert os.listdir(tmp_path / "mount") == []
    volume.close()


def test_a_damaged_limit_is_not_no_limit(volume: DirectoryVolume) -> None:
    volume.quotas.make(SCOPE, 100)
    (volume.path / str(SCOPE) / QUOTA_FILE).write_text("{")
    with pytest.raises(VolumeFailed):
        volume.quotas.get(SCOPE)


def test_a_scope_gets_its_limit_though_a_daemon_died_when_it_was_made(
    volume: DirectoryVolume,
) -> None:
    volume.quotas.ensure(SCOPE)
    volume.quotas.make(SCOPE, 100)
    assert volume.quotas.get(SCOPE).limit_bytes == 100
    volume.quotas.set_limit(SCOPE, None)
    with pytest.raises(QuotaScopeExists):
        volume.quotas.make(SCOPE, 100)
    assert volume.quotas.get(SCOPE).limit_bytes is None


def test_copies_keep_to_the_limit_to_the_byte(volume: DirectoryVolume) -> None:
    """Also small ones, and several at once."""
    volume.quotas.make(SCOPE, 1000)
    folder = new_folder(volume)
    (place(volume, folder) / "file").write_bytes(b"x" * 300)

    def clone(_: int) -> bool:
        try:
            clone_folder(volume, folder, volume, FolderId(SCOPE, uuid.uuid4().hex))
        except StorageFull:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(clone, range(6))) == 2
    with pytest.raises(StorageFull) as caught:
        copy_within(volume, folder, RelPath(("file",)), RelPath(("copy",)))
    assert (caught.value.http_status, caught.value.facts["limitBytes"]) == (507, 1000)
    assert os.listdir(place(volume, folder)) == ["file"]
    volume.quotas.set_limit(SCOPE, 1200)
    copy_within(volume, folder, RelPath(("file",)), RelPath(("copy",)))
    assert volume.quotas.renew(SCOPE).used_bytes == 1200


def test_copies_of_a_dead_daemon_are_thrown_away_and_its_own_are_not(
    volume: DirectoryVolume,
) -> None:
    new_folder(volume)
    staging = volume.path / str(SCOPE) / ".cloning"
    staging.mkdir()
    own = name_unfinished()
    for name in (own, uuid.uuid4().hex):
        (staging / name).mkdir()
    throw_unfinished(volume)
    assert os.listdir(staging) == [own]


def test_descriptors_are_given_back(volume: DirectoryVolume) -> None:
    folder = new_folder(volume)
    (place(volume, folder) / "a" / "b").mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        volume.usage(folder)
        clone_folder(volume, folder, volume, FolderId(SCOPE, uuid.uuid4().hex))
        with pytest.raises(FolderNotFound):
            volume.usage(FolderId(SCOPE, "0" * 32))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def small(tmp_path: Path) -> Iterator[DirectoryVolume]:
    """A volume of one MiB in memory."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    where = tmp_path / "small"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(where)], check=True)
    made = open_at(where, mount=True)
    yield made
    made.close()
    subprocess.run(["umount", "-l", str(where)], check=True)


def test_a_full_disk_leaves_no_half_clone(small: DirectoryVolume) -> None:
    folder = new_folder(small)
    for name in "abc":
        (place(small, folder) / name).write_bytes(os.urandom(200_000))
    clone = FolderId(SCOPE, uuid.uuid4().hex)
    with pytest.raises(StorageFull):
        clone_folder(small, folder, small, clone)
    assert not place(small, clone).exists()
    assert not list(small.path.glob("*/.cloning/*"))
    assert list(small.path.glob(".trash/*/*"))
    assert sorted(os.listdir(place(small, folder))) == ["a", "b", "c"]
