"""Uploads over HTTP: who may, what the protocol says, what stays on the disk."""

import base64
import hashlib
import os
import socket
import threading
import time
import uuid
from typing import Final

import pytest

from backendai.storage.tokens import Purpose
from tests.running.rest import Answer
from tests.running.storage import OFFSET_TYPE, StorageDaemon, metadata_of
from tests.running.waiting import until

DATA: Final = os.urandom(300_000)


def name() -> str:
    return f"{uuid.uuid4().hex}.bin"


def raw_patch(
    daemon: StorageDaemon, target: str, offset: int, length: int, begin: bytes
) -> socket.socket:
    """A PATCH that announces `length` bytes and has sent `begin` of them."""
    connection = socket.create_connection(("127.0.0.1", daemon.port))
    head = (
        f"PATCH {target} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\n"
        f"Upload-Offset: {offset}\r\nContent-Type: {OFFSET_TYPE}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    )
    connection.sendall(head.encode() + begin)
    return connection


def test_no_token(daemon: StorageDaemon) -> None:
    for method in ("HEAD", "PATCH", "DELETE", "POST"):
        answer = daemon.ask(method, "/upload", b"", Tus_Resumable="1.0.0")
        assert answer.status == 401, (method, answer)


def test_a_token_that_was_changed(daemon: StorageDaemon) -> None:
    head, claims, signature = daemon.sign(Purpose.UPLOAD, "x", session="0" * 32).split(".")
    padded = base64.urlsafe_b64decode(claims + "==").replace(b'"x"', b'"y"')
    changed = base64.urlsafe_b64encode(padded).rstrip(b"=").decode()
    answer = daemon.patch(f"/upload?token={head}.{changed}.{signature}", 0, b"")
    assert (answer.status, answer.problem) == (401, "invalid-token")


def test_a_token_for_another_purpose(daemon: StorageDaemon) -> None:
    for purpose in (Purpose.DOWNLOAD, Purpose.EXTRACT, Purpose.CREATE):
        target = f"/upload?token={daemon.sign(purpose, 'x', session='0' * 32)}"
        assert daemon.patch(target, 0, b"").status == 403
        assert daemon.ask("HEAD", target).status == 403


def test_a_token_that_has_expired(daemon: StorageDaemon) -> None:
    token = daemon.sign(Purpose.UPLOAD, "x", session="0" * 32, exp=int(time.time()) - 1)
    answer = daemon.patch(f"/upload?token={token}", 0, b"")
    assert (answer.status, answer.problem) == (401, "token-expired")


def test_what_clients_are_told_first(daemon: StorageDaemon) -> None:
    answer = daemon.ask("OPTIONS", "/upload", Origin="https://example.org")
    assert answer.status == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-max-size"] == str(1 << 40)
    assert set(answer.headers["tus-extension"].split(",")) == {
        "creation",
        "creation-with-upload",
        "termination",
        "checksum",
        "expiration",
    }
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "PATCH" in answer.headers["access-control-allow-methods"]


def test_one_chunk(daemon: StorageDaemon) -> None:
    file = name()
    target = daemon.begin(file, len(DATA))
    assert daemon.offset(target) == 0
    answer = daemon.patch(target, 0, DATA)
    assert answer.status == 204
    assert answer.headers["upload-offset"] == answer.headers["upload-length"] == str(len(DATA))
    assert answer.headers["cache-control"] == "no-store"
    assert "GMT" in answer.headers["upload-expires"]
    assert (daemon.top / file).read_bytes() == DATA
    assert daemon.offset(target) == len(DATA)


def test_chunks_into_a_directory_that_is_made(daemon: StorageDaemon) -> None:
    file = f"{uuid.uuid4().hex}/new/é.bin"
    target = daemon.begin(file, len(DATA))
    for start in range(0, len(DATA), 65_536):
        assert not (daemon.top / file).exists()
        assert daemon.patch(target, start, DATA[start : start + 65_536]).status == 204
    assert (daemon.top / file).read_bytes() == DATA


def test_a_file_of_no_bytes_needs_no_chunk(daemon: StorageDaemon) -> None:
    file = name()
    target = daemon.begin(file, 0)
    assert (daemon.top / file).read_bytes() == b""
    assert daemon.offset(target) == 0
    assert daemon.patch(target, 0, b"").status == 204


def test_creation_with_upload(daemon: StorageDaemon) -> None:
    file = name()
    named = base64.b64encode(file.encode()).decode()
    answer = daemon.ask(
        "POST",
        f"/upload?token={daemon.sign(Purpose.CREATE, size=1 << 20)}",
        DATA[:1000],
        Tus_Resumable="1.0.0",
        Upload_Length=str(len(DATA)),
        Upload_Metadata=f"filename {named}",
        Content_Type=OFFSET_TYPE,
    )
    assert (answer.status, answer.headers["upload-offset"]) == (201, "1000")
    assert daemon.patch(answer.headers["location"], 1000, DATA[1000:]).status == 204
    assert (daemon.top / file).read_bytes() == DATA


def test_a_whole_upload_stays_told_of_and_takes_no_more(daemon: StorageDaemon) -> None:
    target = daemon.begin(name(), 10)
    assert daemon.patch(target, 0, DATA[:10]).status == 204
    assert daemon.patch(target, 10, b"").status == 204
    assert daemon.patch(target, 10, b"more").status == 413
    assert daemon.patch(target, 0, DATA[:10]).status == 409


def test_an_existing_file_is_replaced_at_the_end_only(daemon: StorageDaemon) -> None:
    file = name()
    (daemon.top / file).write_bytes(b"old")
    target = daemon.begin(file, 10)
    daemon.patch(target, 0, DATA[:5])
    assert (daemon.top / file).read_bytes() == b"old"
    daemon.patch(target, 5, DATA[5:10])
    assert (daemon.top / file).read_bytes() == DATA[:10]


def test_a_directory_is_not_replaced(daemon: StorageDaemon) -> None:
    file = name()
    target = daemon.begin(file, 10)
    (daemon.top / file).mkdir()
    answer = daemon.patch(target, 0, DATA[:10])
    assert (answer.status, answer.json()["data"]["paths"]) == (400, [file])
    (daemon.top / file).rmdir()
    assert daemon.offset(target) == 10
    assert (daemon.top / file).read_bytes() == DATA[:10]


def test_a_link_is_replaced_not_followed(daemon: StorageDaemon) -> None:
    file, other = name(), daemon.home / name()
    other.write_bytes(b"untouched")
    (daemon.top / file).symlink_to(other)
    target = daemon.begin(file, 10)
    assert daemon.patch(target, 0, DATA[:10]).status == 204
    assert other.read_bytes() == b"untouched"
    assert not (daemon.top / file).is_symlink()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload_Offset": "-1"}, 400),
        ({"Upload_Offset": "1e3"}, 400),
        ({"Upload_Offset": ""}, 400),
        ({"Upload_Offset": "9" * 30}, 400),
        ({"Upload_Offset": "5"}, 409),
        ({"Content_Type": "application/octet-stream"}, 415),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Tus_Resumable": "0.2.2"}, 412),
        ({"Upload_Checksum": "md5 AAAA"}, 400),
        ({"Upload_Checksum": "sha1"}, 400),
        ({"Upload_Checksum": "sha256 !!!!"}, 400),
        ({"Upload_Checksum": "sha1 " + base64.b64encode(b"0" * 20).decode()}, 460),
    ],
)
def test_headers_that_are_wrong(
    daemon: StorageDaemon, headers: dict[str, str], status: int
) -> None:
    target = daemon.begin(name(), 100)
    sent = {
        "Tus_Resumable": "1.0.0",
        "Content_Type": OFFSET_TYPE,
        "Upload_Offset": "0",
    } | headers
    answer = daemon.ask("PATCH", target, b"x" * 10, **sent)
    assert answer.status == status, answer
    assert answer.json()["type"].startswith("https://api.backend.ai/probs/storage/")
    if status in (409, 460):
        assert answer.headers["upload-offset"] == "0"
    assert daemon.offset(target) == 0


def test_headers_given_twice(daemon: StorageDaemon) -> None:
    target = daemon.begin(name(), 100)
    connection = socket.create_connection(("127.0.0.1", daemon.port))
    connection.sendall(
        f"PATCH {target} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Upload-Offset: 1\r\nContent-Type: {OFFSET_TYPE}\r\nContent-Length: 1\r\n\r\nx".encode()
    )
    assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    connection.close()


def test_more_than_announced(daemon: StorageDaemon) -> None:
    target = daemon.begin(name(), 100)
    assert daemon.patch(target, 0, b"x" * 40).status == 204
    answer = daemon.patch(target, 40, b"y" * 61)
    assert (answer.status, answer.headers["upload-offset"]) == (413, "40")
    assert daemon.offset(target) == 40


def test_more_than_announced_without_a_length(daemon: StorageDaemon) -> None:
    target = daemon.begin(name(), 100)
    connection = socket.create_connection(("127.0.0.1", daemon.port))
    connection.sendall(
        f"PATCH {target} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Content-Type: {OFFSET_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n"
        "60\r\n".encode()
        + b"a" * 0x60
        + b"\r\n60\r\n"
        + b"b" * 0x60
        + b"\r\n0\r\n\r\n"
    )
    assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    connection.close()
    assert daemon.offset(target) == 0


def test_larger_than_allowed(daemon: StorageDaemon) -> None:
    answer = daemon.ask(
        "POST",
        f"/upload?token={daemon.sign(Purpose.CREATE, size=10)}",
        Tus_Resumable="1.0.0",
        Upload_Length="11",
        Upload_Metadata="filename eA==",
    )
    assert (answer.status, answer.problem) == (413, "upload-too-large")


def checksum(data: bytes, algorithm: str = "sha256") -> str:
    digest = hashlib.new(algorithm, data).digest()
    return f"{algorithm} {base64.b64encode(digest).decode()}"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_chunks_with_checksums(daemon: StorageDaemon, algorithm: str) -> None:
    file = name()
    target = daemon.begin(file, len(DATA))
    half = len(DATA) // 2
    sum_of_all = checksum(DATA, algorithm)
    assert daemon.patch(target, 0, DATA[:half], Upload_Checksum=sum_of_all).status == 460
    assert daemon.offset(target) == 0
    right = checksum(DATA[:half], algorithm)
    assert daemon.patch(target, 0, DATA[:half], Upload_Checksum=right).status == 204
    assert daemon.patch(target, half, DATA[half:], Upload_Checksum=right).status == 460
    assert not (daemon.top / file).exists()
    assert daemon.patch(target, half, DATA[half:]).status == 204
    assert (daemon.top / file).read_bytes() == DATA


def test_a_chunk_with_a_checksum_that_breaks_off_leaves_nothing(daemon: StorageDaemon) -> None:
    target = daemon.begin(name(), len(DATA))
    connection = socket.create_connection(("127.0.0.1", daemon.port))
    connection.sendall(
        f"PATCH {target} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Content-Type: {OFFSET_TYPE}\r\nContent-Length: {len(DATA)}\r\n"
        f"Upload-Checksum: {checksum(DATA)}\r\n\r\n".encode()
        + DATA[:1000]
    )
    connection.close()
    assert daemon.offset(target) == 0


def test_a_cut_keeps_what_was_written(daemon: StorageDaemon) -> None:
    file, data = name(), os.urandom(3 << 20)
    target = daemon.begin(file, len(data))

    def count_written() -> int:
        return sum(part.stat().st_size for part in daemon.volume.glob(".uploads/*/*.part"))

    before = count_written()
    with raw_patch(daemon, target, 0, len(data), data[: 2 << 20]):
        until(lambda: count_written() - before >= 1 << 20, "some of it is written")
    reached = daemon.offset(target)
    assert 1 << 20 <= reached <= 2 << 20
    assert daemon.patch(target, reached, data[reached:]).status == 204
    assert (daemon.top / file).read_bytes() == data


def test_a_newer_request_ends_an_older_one(daemon: StorageDaemon) -> None:
    file = name()
    target = daemon.begin(file, len(DATA))
    with raw_patch(daemon, target, 0, len(DATA), DATA[:50_000]) as old:
        daemon.ask("GET", "/")
        reached = daemon.offset(target)
        assert old.recv(100).startswith(b"HTTP/1.1 409 ")
        assert daemon.patch(target, reached, DATA[reached:]).status == 204
    assert (daemon.top / file).read_bytes() == DATA


def test_parallel_requests_for_the_same_bytes(daemon: StorageDaemon) -> None:
    file = name()
    target = daemon.begin(file, len(DATA))
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(daemon.patch(target, 0, DATA)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status for answer in answers} <= {204, 409}
    reached = daemon.offset(target)
    if reached < len(DATA):
        assert daemon.patch(target, reached, DATA[reached:]).status == 204
    assert (daemon.top / file).read_bytes() == DATA


def test_an_upload_that_is_given_up(daemon: StorageDaemon) -> None:
    target = daemon.begin(name(), 100)
    daemon.patch(target, 0, b"x" * 10)
    assert daemon.ask("DELETE", target, Tus_Resumable="1.0.0").status == 204
    assert daemon.ask("DELETE", target, Tus_Resumable="1.0.0").status == 404
    answer = daemon.patch(target, 10, b"x")
    assert (answer.status, answer.problem) == (404, "no-such-upload-session")
    assert daemon.ask("HEAD", target).status == 404


def test_dst_dir_in_the_query(daemon: StorageDaemon) -> None:
    file = name()
    target = daemon.begin(file, 10) + "&dst_dir=some/where"
    assert daemon.patch(target, 0, DATA[:10]).status == 204
    assert (daemon.top / "some/where" / file).read_bytes() == DATA[:10]


BAD_PATHS: Final = [
    "../x",
    "a/../../x",
    "/etc/passwd",
    "..",
    "x\0y",
    "a" * 256,
    "b/" * 2100,
    "",
    ".",
    "//",
    "\udc80",
]


@pytest.mark.parametrize("path", BAD_PATHS, ids=lambda path: ascii(path)[:20])
def test_paths_that_are_refused(daemon: StorageDaemon, path: str) -> None:
    named = base64.b64encode(path.encode("utf-8", "surrogateescape")).decode()
    answer = daemon.ask(
        "POST",
        f"/upload?token={daemon.sign(Purpose.CREATE, size=100)}",
        Tus_Resumable="1.0.0",
        Upload_Length="1",
        Upload_Metadata=f"filename {named}",
    )
    assert answer.status == 400, answer


@pytest.mark.parametrize(
    "given", ["../x", "..%2fx", "%2e%2e", "/etc", "a%00b", "out/x", "%252e%252e/../..", "a" * 300]
)
def test_destinations_that_are_refused(daemon: StorageDaemon, given: str) -> None:
    out = daemon.top / "out"
    if not out.is_symlink():
        out.symlink_to(daemon.home)
    before = sorted(daemon.home.iterdir())
    target = daemon.begin(name(), 3)
    answer = daemon.patch(f"{target}&dst_dir={given}", 0, b"abc")
    assert answer.status == 400, answer
    assert sorted(daemon.home.iterdir()) == before


def test_a_folder_that_is_gone(daemon: StorageDaemon) -> None:
    token = daemon.sign(Purpose.CREATE, size=9, vfid=f"{daemon.folder.scope}/{'0' * 32}")
    answer = daemon.ask(
        "POST",
        f"/upload?token={token}",
        Tus_Resumable="1.0.0",
        Upload_Length="1",
        Upload_Metadata="filename eA==",
    )
    assert (answer.status, answer.problem) == (404, "folder-not-found")


SECONDS: Final = 1_700_000_000


@pytest.mark.parametrize(
    ("given", "modified_ns"),
    [
        (f"{SECONDS}", SECONDS * 10**9),
        (f"{SECONDS}.123456789", SECONDS * 10**9 + 123_456_789),
        ("2023-11-14T22:13:20Z", SECONDS * 10**9),
        ("2023-11-15T00:13:20.5+02:00", SECONDS * 10**9 + 500_000_000),
        ("0", 0),
    ],
)
def test_the_time_that_a_file_gets(daemon: StorageDaemon, given: str, modified_ns: int) -> None:
    for size in (0, 1000):
        file = name()
        target = daemon.begin(file, size, mtime=given)
        if size:
            assert daemon.patch(target, 0, DATA[:1000]).status == 204
        assert (daemon.top / file).stat().st_mtime_ns == modified_ns


def test_the_time_comes_with_the_bytes_where_a_manager_began_it(daemon: StorageDaemon) -> None:
    file = name()
    asked = daemon.order_file("upload", relpath=file, size=1000)
    target = f"/upload?token={asked.json()['token']}"
    assert daemon.patch(target, 0, DATA[:500]).status == 204
    mtime = metadata_of(mtime=f"{SECONDS}")
    assert daemon.patch(target, 500, DATA[500:1000], Upload_Metadata=mtime).status == 204
    assert (daemon.top / file).stat().st_mtime == SECONDS


@pytest.mark.parametrize("given", ["", "-1", "now", "2023-11-14T22:13:20", "9" * 12, "1e9"])
def test_times_that_are_none(daemon: StorageDaemon, given: str) -> None:
    answer = daemon.ask_upload(name(), 1000, mtime=given)
    assert answer.status == 400
    assert "mtime" in answer.json()["data"]["Upload-Metadata"]
