"""An archive comes back as it was written, or is refused; a failure leaves no file."""

import errno
import gzip
import io
import random
import stat
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backendai.manager.backup import archive, model
from backendai.manager.backup.archive import read_chunks, verify_archive, write_archive
from backendai.manager.backup.model import BackupRefused, Manifest, TableEntry

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
CHUNKS = {
    "tables/domains/000001": b"default\n" * 100,
    "tables/users/000001": random.Random(1).randbytes(5000),
    "tables/users/000002": b"",
}


def write(path: Path) -> Manifest:
    with write_archive(path, AT) as writer:
        writer.add(model.PAIRS, b'{"config/announcement":"Back at noon"}')
        writer.add("keys/secret-key", b"key\n")
        for name, data in CHUNKS.items():
            writer.add(name, data)
        manifest = Manifest(
            format=model.FORMAT,
            release="1",
            revision="0001",
            taken_at=AT,
            namespace="local",
            key_id="",
            tables=[
                TableEntry("domains", ["name"], 100, 1, {}),
                TableEntry("users", ["id"], 1, 2, {}),
            ],
            sums=dict(writer.sums),
        )
        writer.add_manifest(manifest)
    return manifest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.tar.gz"
    write(path)
    return path


def rewrite(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    with gzip.open(path, "wb") as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def members_of(path: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as tar:
        found = [(info, tar.extractfile(info)) for info in tar.getmembers()]
        return [(info, file.read() if file else b"") for info, file in found]


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "cluster.tar.gz"
    manifest = write(path)
    found = verify_archive(path)
    assert found.manifest == manifest
    assert found.pairs == {"config/announcement": "Back at noon"}
    assert found.keys == {"secret-key": b"key\n"}
    assert list(read_chunks(found)) == list(CHUNKS.items())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["cluster.tar.gz"]


def test_an_existing_file_is_kept(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(BackupRefused, match="name another file"):
        write(path)
    assert path.read_bytes() == before


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with write_archive(tmp_path / "x", AT) as writer:
            writer.add("etcd.json", b"{}")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(BackupRefused, match="x cannot be written: No space"),
        write_archive(tmp_path / "x", AT),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="cannot be written"):
        write(tmp_path / "nowhere" / "x")


def test_any_changed_byte_is_found(path: Path) -> None:
    sound = path.read_bytes()
    # The name and time in gzip's head tell nothing of the content.
    for place in random.Random(7).sample(range(10, len(sound)), 150):
        damaged = bytearray(sound)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(BackupRefused, match=r"damaged|manifest"):
            verify_archive(path)


def test_any_missing_end_is_found(path: Path) -> None:
    sound = path.read_bytes()
    for size in (0, 1, 20, len(sound) // 2, len(sound) - 9, len(sound) - 1):
        path.write_bytes(sound[:size])
        with pytest.raises(BackupRefused, match="damaged"):
            verify_archive(path)


def test_a_member_too_many_or_too_few_or_changed_is_found(path: Path) -> None:
    members = members_of(path)
    rewrite(path, members)
    verify_archive(path)
    extra = tarfile.TarInfo("tables/users/000003")
    for changed in (
        members[1:],
        members[:-1],
        [*members, (extra, b"")],
        [(extra, b""), *members],
        [members[0], *members],
        [(members[0][0], b'{"config/announcement":"?"}'), *members[1:]],
    ):
        rewrite(path, changed)
        with pytest.raises(BackupRefused, match="damaged"):
            verify_archive(path)


def test_what_is_no_plain_file_is_refused(path: Path) -> None:
    members = members_of(path)
    link = tarfile.TarInfo("etcd.json")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    rewrite(path, [(link, b""), *members[1:]])
    with pytest.raises(BackupRefused, match="no member of ours"):
        verify_archive(path)


def test_a_huge_member_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MEMBER_BYTES_MAX", 4000)
    with pytest.raises(BackupRefused, match="no member of ours"):
        verify_archive(path)


def test_rows_that_changed_after_the_check_are_found(path: Path) -> None:
    checked = verify_archive(path)
    members = members_of(path)
    rewrite(path, [(info, data.replace(b"default", b"DEFAULT")) for info, data in members])
    with pytest.raises(BackupRefused, match="has changed"):
        list(read_chunks(checked))
