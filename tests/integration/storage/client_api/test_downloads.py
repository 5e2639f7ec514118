"""Downloads over HTTP: who may, ranges, validators, what browsers are told, archives of trees."""

import io
import os
import socket
import tarfile
import time
import uuid
import zipfile
from pathlib import Path
from typing import Final

import pytest

from backendai.storage.tokens import Purpose
from tests.running.storage import StorageDaemon

DATA: Final = bytes(range(256)) * 4


@pytest.fixture(scope="module")
def file(shared_daemon: StorageDaemon) -> str:
    (shared_daemon.top / "data.bin").write_bytes(DATA)
    return "data.bin"


def target(daemon: StorageDaemon, relpath: str, more: str = "", **claims: object) -> str:
    return f"/download?token={daemon.sign(Purpose.DOWNLOAD, relpath, **claims)}{more}"


def test_no_token(daemon: StorageDaemon, file: str) -> None:
    for wrong in ("/download", "/download?token=", "/download?token=a.b.c"):
        assert daemon.ask("GET", wrong).status == 401


def test_a_token_for_another_purpose(daemon: StorageDaemon, file: str) -> None:
    token = daemon.sign(Purpose.UPLOAD, file, session="0" * 32)
    assert daemon.ask("GET", f"/download?token={token}").status == 403


def test_a_token_for_somebody_elses_folder_opens_only_that(
    daemon: StorageDaemon, file: str
) -> None:
    other = f"{daemon.folder.scope}/{uuid.uuid4().hex}"
    assert daemon.ask("GET", target(daemon, file, vfid=other)).status == 404


def test_unmanaged_paths_are_refused(daemon: StorageDaemon, file: str) -> None:
    answer = daemon.ask("GET", target(daemon, file, unmanaged_path="/etc"))
    assert answer.status == 403


def test_a_whole_file(daemon: StorageDaemon, file: str) -> None:
    answer = daemon.ask("GET", target(daemon, file))
    assert (answer.status, answer.body) == (200, DATA)
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert {"etag", "last-modified"} <= set(answer.headers)


def test_large_and_empty_files(daemon: StorageDaemon) -> None:
    large = os.urandom(1 << 20) * 40
    (daemon.top / "large.bin").write_bytes(large)
    (daemon.top / "empty.bin").write_bytes(b"")
    assert daemon.ask("GET", target(daemon, "large.bin")).body == large
    answer = daemon.ask("GET", target(daemon, "empty.bin"))
    assert (answer.status, answer.headers["content-length"]) == (200, "0")


def test_head_tells_the_same_without_the_bytes(daemon: StorageDaemon, file: str) -> None:
    answer = daemon.ask("HEAD", target(daemon, file))
    assert (answer.status, answer.headers["content-length"]) == (200, str(len(DATA)))
    assert answer.body == b""


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=10-19", 206, 10, 20),
        ("bytes=1000-", 206, 1000, 1024),
        ("bytes=-24", 206, 1000, 1024),
        ("bytes=-5000", 206, 0, 1024),
        ("bytes=1020-9999999999999999", 206, 1020, 1024),
        ("BYTES = 1-2", 206, 1, 3),
        ("bytes=1024-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=5000-6000", 416, 0, 0),
        ("bytes=" + ",".join(["0-1"] * 10_00), 416, 0, 0),
        ("bytes=20-10", 200, 0, 1024),
        ("bytes=", 200, 0, 1024),
        ("bytes=a-b", 200, 0, 1024),
        ("bytes=--5", 200, 0, 1024),
        ("lines=0-5", 200, 0, 1024),
        ("bytes=0-1000,10-1010", 200, 0, 1024),
    ],
)
def test_ranges(
    daemon: StorageDaemon, file: str, asked: str, status: int, start: int, end: int
) -> None:
    answer = daemon.ask("GET", target(daemon, file), Range=asked)
    assert answer.status == status, answer
    if status == 416:
        assert answer.headers["content-range"] == f"bytes */{len(DATA)}"
        return
    assert answer.body == DATA[start:end]
    if status == 206:
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(DATA)}"


def test_several_ranges(daemon: StorageDaemon, file: str) -> None:
    answer = daemon.ask("GET", target(daemon, file), Range="bytes=0-1,-2")
    assert answer.status == 206
    kind, _, boundary = answer.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    parts = answer.body.split(f"\r\n--{boundary}".encode())
    assert parts[1].endswith(b"bytes 0-1/1024\r\n\r\n" + DATA[:2])
    assert parts[2].endswith(b"bytes 1022-1023/1024\r\n\r\n" + DATA[-2:])
    assert answer.headers["content-length"] == str(len(answer.body))


def test_validators(daemon: StorageDaemon) -> None:
    path = daemon.top / "changing.bin"
    path.write_bytes(b"first")
    address = target(daemon, "changing.bin")
    first = daemon.ask("GET", address)
    etag, modified = first.headers["etag"], first.headers["last-modified"]
    assert daemon.ask("GET", address, If_None_Match=etag).status == 304
    assert daemon.ask("GET", address, If_None_Match='"other"').status == 200
    assert daemon.ask("GET", address, If_Modified_Since=modified).status == 304
    for known in (etag, modified):
        assert daemon.ask("GET", address, If_Range=known, Range="bytes=2-").body == b"rst"
    path.write_bytes(b"second")
    os.utime(path, (1, 1))
    for known in (etag, modified, "nonsense", 'W/"x"'):
        answer = daemon.ask("GET", address, If_Range=known, Range="bytes=2-")
        assert (answer.status, answer.body) == (200, b"second")


def test_a_file_that_becomes_shorter_breaks_the_connection(daemon: StorageDaemon) -> None:
    path = daemon.top / "shrinking.bin"
    path.write_bytes(b"x" * (64 << 20))
    connection = socket.create_connection(("127.0.0.1", daemon.port))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    address = target(daemon, "shrinking.bin")
    connection.sendall(f"GET {address} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    received = len(connection.recv(1000))
    os.truncate(path, 1 << 20)
    with connection:
        while True:
            try:
                piece = connection.recv(1 << 20)
            except ConnectionResetError:
                break
            if not piece:
                break
            received += len(piece)
    assert received < 64 << 20
    path.unlink()


@pytest.mark.parametrize("slow", [8])
def test_clients_that_do_not_read_hold_no_thread(daemon: StorageDaemon, slow: int) -> None:
    path = daemon.top / "slow.bin"
    path.write_bytes(b"x" * (32 << 20))
    address = target(daemon, "slow.bin")
    waiting = []
    for _ in range(slow * 2):
        connection = socket.create_connection(("127.0.0.1", daemon.port))
        connection.sendall(f"GET {address} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        waiting.append(connection)
    started = time.monotonic()
    assert len(daemon.ask("GET", address).body) == 32 << 20
    assert time.monotonic() - started < 9
    for connection in waiting:
        connection.close()
    path.unlink()


def test_names_in_headers(daemon: StorageDaemon) -> None:
    name = 'a"b\\c\nd é;%.html'
    (daemon.top / name).write_text("<script>alert(1)</script>")
    answer = daemon.ask("GET", target(daemon, name, "&inline=true"))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == (
        'attachment; filename="a_b_c_d ___.html"; '
        "filename*=UTF-8''a%22b%5Cc%0Ad%20%C3%A9%3B%25.html"
    )
    assert "sandbox" in answer.headers["content-security-policy"]


def test_harmless_types_are_shown_when_that_is_wanted(daemon: StorageDaemon) -> None:
    (daemon.top / "note.txt").write_text("<b>hello</b>")
    answer = daemon.ask("GET", target(daemon, "note.txt", "&inline=true"))
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("inline; ")
    (daemon.top / "x.svg").write_text("<svg/>")
    answer = daemon.ask("GET", target(daemon, "x.svg", "&inline=true"))
    assert answer.headers["content-disposition"].startswith("attachment; ")


def test_what_is_no_file(daemon: StorageDaemon) -> None:
    top = daemon.top / "odd"
    top.mkdir()
    os.mkfifo(top / "pipe")
    (top / "passwd").symlink_to("/etc/passwd")
    (top / "root").symlink_to("/proc/self/root")
    (top / "zero").symlink_to("/dev/zero")
    (top / "up").symlink_to("../../..")
    (top / "loop").symlink_to("loop")
    listener = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(top)
    try:
        listener.bind("socket")
    finally:
        os.chdir(here)
    for relpath in ("pipe", "passwd", "root/etc/passwd", "zero", "up/x", "loop", "socket", "."):
        answer = daemon.ask("GET", target(daemon, f"odd/{relpath}"))
        assert answer.status == 400, (relpath, answer)
        assert str(daemon.home) not in answer.body.decode()
    answer = daemon.ask("GET", target(daemon, "odd/missing"))
    assert (answer.status, answer.problem) == (404, "file-not-found")
    listener.close()


@pytest.mark.parametrize("relpath", ["../x", "/etc/passwd", "a/../../b", "x\0"])
def test_paths_that_are_refused(daemon: StorageDaemon, relpath: str) -> None:
    assert daemon.ask("GET", target(daemon, relpath)).status == 400


def test_a_token_opens_what_it_names_and_nothing_beside_it(daemon: StorageDaemon) -> None:
    (daemon.top / "beside").mkdir()
    for place in (daemon.top, daemon.top / "beside"):
        (place / "named.bin").write_text(place.name)
    answer = daemon.ask("GET", target(daemon, "named.bin", "&dst_dir=beside"))
    assert (answer.status, answer.body.decode()) == (200, daemon.top.name)


@pytest.fixture(scope="module")
def tree(shared_daemon: StorageDaemon) -> str:
    top = shared_daemon.top / "tree"
    (top / "a/b").mkdir(parents=True)
    (top / "a/b/é.txt").write_bytes(b"deep")
    (top / "empty").mkdir()
    (top / "big").write_bytes(b"big" * 700_000)
    (top / "long").write_bytes(b"1")
    (top / ("n" * 200)).write_bytes(b"2")
    (top / "back\\slash").write_bytes(b"3")
    (top / "out").symlink_to("/etc")
    (top / "inside").symlink_to("a")
    os.mkfifo(top / "pipe")
    return "tree"


def files_of(top: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(top)): path.read_bytes()
        for path in top.rglob("*")
        if path.is_file() and not path.is_symlink() and "inside" not in str(path)
    }


def read_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    opened = archive.extractfile(member)
    assert opened is not None
    return opened.read()


def test_a_tree_as_tar(daemon: StorageDaemon, tree: str) -> None:
    answer = daemon.ask("GET", target(daemon, tree, "&archive=true&format=tar"))
    assert answer.status == 200
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as found:
        members = found.getmembers()
        files = {m.name: read_member(found, m) for m in members if m.isfile()}
    assert files == files_of(daemon.top / tree)
    assert {m.name for m in members if m.isdir()} == {"a", "a/b", "empty"}
    assert all(m.isfile() or m.isdir() for m in members)


def test_a_tree_as_zip(daemon: StorageDaemon, tree: str) -> None:
    answer = daemon.ask("GET", target(daemon, tree, archive=True))
    assert answer.headers["content-disposition"].startswith('attachment; filename="tree.zip"')
    with zipfile.ZipFile(io.BytesIO(answer.body)) as found:
        assert found.testzip() is None
        files = {n: found.read(n) for n in found.namelist() if not n.endswith("/")}
    expected = {n.replace("\\", "_"): d for n, d in files_of(daemon.top / tree).items()}
    assert files == expected


def test_a_selection(daemon: StorageDaemon, tree: str) -> None:
    address = target(daemon, tree, "&format=tar", relpaths=("a", "big", "out", "missing"))
    answer = daemon.ask("GET", address)
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as found:
        assert set(found.getnames()) == {"a", "a/b", "a/b/é.txt", "big"}


def test_archives_of_what_is_no_directory(daemon: StorageDaemon, tree: str, file: str) -> None:
    assert daemon.ask("GET", target(daemon, file, archive=True)).status == 400
    assert daemon.ask("GET", target(daemon, f"{tree}/out", archive=True)).status == 400
    assert daemon.ask("GET", target(daemon, tree, "&archive=true&format=rar")).status == 400
    assert daemon.ask("GET", target(daemon, tree, "&archive=maybe")).status == 400


def test_origins_are_told_to_browsers(daemon: StorageDaemon, file: str) -> None:
    answer = daemon.ask("GET", target(daemon, file), Origin="https://example.org")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Content-Disposition" in answer.headers["access-control-expose-headers"]
    refused = daemon.ask("GET", "/download", Origin="https://example.org")
    assert refused.headers["access-control-allow-origin"] == "*"
