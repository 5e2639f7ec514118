"""Unpacking archives that nobody vouches for: what is made, what is skipped, what is refused."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from backendai.storage.tokens import Purpose
from tests.running.rest import Answer
from tests.running.storage import StorageDaemon

FILES: Final = {"a.txt": b"first", "d/e/é.bin": b"deep" * 50_000, "d/empty": b""}


def extract(daemon: StorageDaemon, data: bytes, **claims: Any) -> tuple[Answer, Path]:
    """The answer, and the directory that it was to be unpacked into."""
    name = uuid.uuid4().hex
    (daemon.top / f"{name}.archive").write_bytes(data)
    token = daemon.sign(Purpose.EXTRACT, f"{name}.archive", dst_dir=f"into-{name}", **claims)
    answer = daemon.ask("POST", f"/extract?token={token}")
    return answer, daemon.top / f"into-{name}"


def files_in(top: Path) -> dict[str, bytes]:
    return {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file()}


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for info, data in members:
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, **more: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for key, value in more.items():
        setattr(made, key, value)
    return made


def sound_tar() -> bytes:
    return tar_of(*((member(name), data) for name, data in FILES.items()))


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_no_token(daemon: StorageDaemon) -> None:
    assert daemon.ask("POST", "/extract").status == 401


def test_a_token_for_another_purpose(daemon: StorageDaemon) -> None:
    token = daemon.sign(Purpose.DOWNLOAD, "x")
    assert daemon.ask("POST", f"/extract?token={token}").status == 403


def test_somebody_elses_folder(daemon: StorageDaemon) -> None:
    other = f"{daemon.folder.scope}/{uuid.uuid4().hex}"
    assert extract(daemon, sound_tar(), vfid=other)[0].status == 404


@pytest.mark.parametrize(
    "pack",
    [
        bytes,
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda data: gzip.compress(data[:5000]) + gzip.compress(data[5000:]),
    ],
    ids=["plain", "gzip", "bzip2", "xz", "gzip-parts"],
)
def test_tar(daemon: StorageDaemon, pack: Callable[[bytes], bytes]) -> None:
    answer, top = extract(daemon, pack(sound_tar()))
    assert answer.status == 200, answer
    assert files_in(top) == FILES
    assert answer.json() == {
        "files": 3,
        "directories": 0,
        "bytes": sum(map(len, FILES.values())),
        "skipped_count": 0,
        "skipped": [],
    }


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_zip(daemon: StorageDaemon, method: int) -> None:
    answer, top = extract(daemon, zip_of(FILES, method))
    assert answer.status == 200, answer
    assert files_in(top) == FILES


def test_what_our_own_archives_hold_comes_back(daemon: StorageDaemon) -> None:
    _, top = extract(daemon, sound_tar())
    for word in ("tar", "zip"):
        token = daemon.sign(Purpose.DOWNLOAD, top.name, archive=True)
        packed = daemon.ask("GET", f"/download?token={token}&format={word}").body
        answer, copy = extract(daemon, packed)
        assert answer.status == 200, answer
        assert files_in(copy) == FILES


def test_the_archive_is_removed_after_that_if_wanted(daemon: StorageDaemon) -> None:
    before = set(daemon.top.glob("*.archive"))
    extract(daemon, sound_tar(), remove=True)
    assert set(daemon.top.glob("*.archive")) == before
    answer, _ = extract(daemon, tar_of((member("../out"), b"x")), remove=True)
    assert answer.json()["skipped_count"] == 1
    assert len(set(daemon.top.glob("*.archive")) - before) == 1


def test_files_are_replaced_and_directories_are_not(daemon: StorageDaemon) -> None:
    name = uuid.uuid4().hex
    top = daemon.top / name
    (top / "d").mkdir(parents=True)
    (top / "f").write_bytes(b"old")
    token = daemon.sign(Purpose.EXTRACT, f"{name}/x.tar", dst_dir=name)
    data = tar_of((member("f"), b"new"), (member("d"), b"new"), (member("f/below"), b"new"))
    (top / "x.tar").write_bytes(data)
    answer = daemon.ask("POST", f"/extract?token={token}")
    assert answer.status == 200, answer
    assert {s["name"] for s in answer.json()["skipped"]} == {f"{name}/d", f"{name}/f/below"}
    assert (top / "f").read_bytes() == b"new"
    assert (top / "d").is_dir()


SLIPS: Final = ["../out", "a/../../out", "/tmp/out", "..", "x/../..", "a" * 300]


def test_names_that_lead_out_are_skipped(daemon: StorageDaemon) -> None:
    before = sorted(daemon.home.rglob("out"))
    for data in (
        tar_of(*((member(name), b"x") for name in SLIPS), (member("good"), b"y")),
        zip_of({**dict.fromkeys(SLIPS, b"x"), "good": b"y"}),
    ):
        answer, top = extract(daemon, data)
        assert answer.status == 200, answer
        assert answer.json()["skipped_count"] == len(SLIPS)
        assert files_in(top) == {"good": b"y"}
    assert sorted(daemon.home.rglob("out")) == before
    assert not Path("/tmp/out").exists()


def test_links_and_devices_are_skipped(daemon: StorageDaemon) -> None:
    data = tar_of(
        (member("link", tarfile.SYMTYPE, linkname="/etc"), b""),
        (member("link/passwd"), b"x"),
        (member("hard", tarfile.LNKTYPE, linkname="good"), b""),
        (member("up", tarfile.SYMTYPE, linkname="../.."), b""),
        (member("null", tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
        (member("sda", tarfile.BLKTYPE, devmajor=8), b""),
        (member("pipe", tarfile.FIFOTYPE), b""),
        (member("good"), b"y"),
    )
    answer, top = extract(daemon, data)
    assert answer.status == 200, answer
    assert {s["name"]: s["why"] for s in answer.json()["skipped"]} == {
        "link": "a link",
        "hard": "a link",
        "up": "a link",
        "null": "a device or a pipe",
        "sda": "a device or a pipe",
        "pipe": "a device or a pipe",
    }
    # Without the link its name is that of a directory of ours.
    assert files_in(top) == {"good": b"y", "link/passwd": b"x"}


def test_links_in_the_folder_lead_nowhere_else(daemon: StorageDaemon) -> None:
    name = uuid.uuid4().hex
    top = daemon.top / name
    top.mkdir()
    outside = daemon.home / f"outside-{name}"
    outside.mkdir()
    (top / "out").symlink_to(outside)
    (top / "x.tar").write_bytes(tar_of((member("out/x"), b"x")))
    token = daemon.sign(Purpose.EXTRACT, f"{name}/x.tar", dst_dir=name)
    answer = daemon.ask("POST", f"/extract?token={token}")
    assert (answer.status, answer.json()["skipped_count"]) == (200, 1)
    assert not list(outside.iterdir())


def test_setuid_is_taken_off(daemon: StorageDaemon) -> None:
    _, top = extract(daemon, tar_of((member("su", mode=0o6755), b"x")))
    assert stat.S_IMODE((top / "su").stat().st_mode) == 0o755


def test_links_and_secrets_in_zips(daemon: StorageDaemon) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("secret", b"x")
        archive.writestr("good", b"y")
    data = bytearray(out.getvalue())
    at = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    data[at + 8] |= 1
    answer, top = extract(daemon, bytes(data))
    assert {s["name"]: s["why"] for s in answer.json()["skipped"]} == {
        "link": "a link",
        "secret": "encrypted",
    }
    assert files_in(top) == {"good": b"y"}


def test_bombs_stop(daemon: StorageDaemon) -> None:
    zeros = bytes(100 << 20)
    bomb = gzip.compress(tar_of((member("before"), b"x"), (member("zeros"), zeros)))
    answer, top = extract(daemon, bomb)
    assert (answer.status, answer.problem) == (413, "archive-too-large")
    assert answer.json()["data"]["bytes"] > 64 << 20
    assert not (top / "zeros").exists()
    answer, top = extract(daemon, zip_of({"zeros": zeros}))
    assert answer.status == 413
    assert not list((daemon.volume / ".uploads/00").glob("*.part"))


def test_heads_without_an_end_are_refused(daemon: StorageDaemon) -> None:
    head = bytearray(member("x", tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT))
    head[124:136] = b"%011o\0" % (20 << 20)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    answer, _ = extract(daemon, gzip.compress(bytes(head) + bytes(20 << 20)))
    assert (answer.status, answer.problem) == (400, "archive-refused")


def test_a_zip_with_a_directory_too_large_is_refused(daemon: StorageDaemon) -> None:
    data = bytearray(zip_of({"a": b"x"}))
    at = data.rindex(b"PK\x05\x06")
    struct.pack_into("<L", data, at + 12, 40 << 20)
    answer, _ = extract(daemon, bytes(data))
    assert (answer.status, answer.problem) == (400, "archive-refused")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive at all" * 100,
        os.urandom(4000),
        b"\x1f\x8b" + os.urandom(100),
        b"BZh9" + os.urandom(100),
        b"\xfd7zXZ\0" + os.urandom(100),
        b"PK\x03\x04" + os.urandom(100),
        gzip.compress(sound_tar())[:-2000],
        zip_of(FILES)[:-30],
    ],
    ids=["empty", "text", "random", "gzip", "bzip2", "xz", "zip", "cut-tar", "cut-zip"],
)
def test_what_is_no_archive(daemon: StorageDaemon, data: bytes) -> None:
    answer, _ = extract(daemon, data)
    assert answer.status == 400, answer


def test_what_is_no_file(daemon: StorageDaemon) -> None:
    token = daemon.sign(Purpose.EXTRACT, ".")
    assert daemon.ask("POST", f"/extract?token={token}").status == 400
    token = daemon.sign(Purpose.EXTRACT, "missing.tar")
    assert daemon.ask("POST", f"/extract?token={token}").status == 404
