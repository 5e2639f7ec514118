"""Uploads under random trouble: cuts, kills of the daemon at each step, doubled and parallel
requests, a disk that fills up.

Every upload ends whole or can go on, and no byte that was acknowledged is ever lost.
`BAI_TEST_UPLOADS` is how many (200), `BAI_TEST_SEED` chooses other ones.
"""

import base64
import contextlib
import hashlib
import itertools
import os
import random
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from backendai.common.failpoints import find_failpoints
from tests.running.storage import OFFSET_TYPE, StorageDaemon, running_storage
from tests.running.waiting import until

COUNT: Final = int(os.environ.get("BAI_TEST_UPLOADS", "200"))
SEED: Final = int(os.environ.get("BAI_TEST_SEED", "1"))
FAILPOINTS: Final = sorted(
    name for name in find_failpoints(["backendai.storage"]) if name.startswith("storage.upload.")
)
PATIENCE_SECONDS: Final = 60.0


class Upload:
    """One file on its way, and the most that its client was ever told to be safe."""

    def __init__(self, daemon: StorageDaemon, dice: random.Random, size: int) -> None:
        self.daemon = daemon
        self.dice = dice
        self.name = f"{dice.getrandbits(64):x}.bin"
        self.data = dice.randbytes(size)
        self.acknowledged = 0
        self.target = ""

    @property
    def path(self) -> Path:
        return self.daemon.top / self.name

    def begin(self) -> None:
        self.target = self.daemon.begin(self.name, len(self.data))

    def look(self) -> int:
        """Where to go on, which must not be before what was acknowledged."""
        offset = self.daemon.offset(self.target)
        assert offset >= self.acknowledged, (self.name, offset, self.acknowledged)
        self.acknowledged = offset
        return offset

    def send(self, offset: int, length: int, **headers: str) -> None:
        """One chunk. Raises OSError when the daemon dies under it."""
        answer = self.daemon.patch(
            self.target, offset, self.data[offset : offset + length], **headers
        )
        assert answer.status in (204, 409, 413, 423, 507), answer
        if answer.status == 204:
            self.acknowledged = max(self.acknowledged, int(answer.headers["upload-offset"]))

    def cut(self, offset: int, length: int) -> None:
        """A chunk that breaks off somewhere, in the head or in the body."""
        head = (
            f"PATCH {self.target} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\n"
            f"Upload-Offset: {offset}\r\nContent-Type: {OFFSET_TYPE}\r\n"
            f"Content-Length: {length}\r\n\r\n"
        ).encode()
        whole = head + self.data[offset : offset + length]
        with contextlib.suppress(OSError):
            connection = socket.create_connection(("127.0.0.1", self.daemon.port), timeout=10)
            with connection:
                connection.sendall(whole[: self.dice.randrange(len(whole))])
                if self.dice.random() < 0.5:
                    reset = b"\x01\0\0\0\0\0\0\0"
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)

    def double(self, offset: int, length: int) -> None:
        """The same chunk by several connections at once."""

        def send() -> None:
            with contextlib.suppress(OSError):
                self.send(offset, length)

        threads = [threading.Thread(target=send) for _ in range(self.dice.randint(2, 4))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def trouble(self, offset: int) -> None:
        left = len(self.data) - offset
        length = self.dice.randint(1, left)
        match self.dice.choice(["send", "cut", "double", "wrong", "stale", "sum"]):
            case "send":
                self.send(offset, length)
            case "cut":
                self.cut(offset, length)
            case "double":
                self.double(offset, length)
            case "wrong":
                wrong = "sha256 " + "A" * 43 + "="
                answer = self.daemon.patch(
                    self.target, offset, self.dice.randbytes(length), Upload_Checksum=wrong
                )
                assert answer.status in (460, 423), answer
            case "stale":
                self.send(self.dice.randint(0, len(self.data)), 1)
            case "sum":
                chunk = self.data[offset : offset + length]
                self.send(offset, length, Upload_Checksum=sum_of(chunk))

    def finish(self) -> None:
        while (offset := self.look()) < len(self.data):
            chunk = self.data[offset : offset + self.dice.randint(1, len(self.data))]
            headers = {"Upload_Checksum": sum_of(chunk)} if self.dice.random() < 0.3 else {}
            self.send(offset, len(chunk), **headers)

    def check(self) -> None:
        assert self.path.read_bytes() == self.data, self.name
        self.path.unlink()


def sum_of(chunk: bytes) -> str:
    return f"sha256 {base64.b64encode(hashlib.sha256(chunk).digest()).decode()}"


def test_random_cuts_doubles_and_checksums(own_daemon: StorageDaemon) -> None:
    dice = random.Random(SEED)
    for _ in range(COUNT - COUNT // 16):
        upload = Upload(own_daemon, dice, dice.choice([1, 100, 5000, 300_000, 3_000_000]))
        upload.begin()
        for _ in range(dice.randint(0, 6)):
            offset = upload.look()
            if offset == len(upload.data):
                break
            upload.trouble(offset)
        upload.finish()
        upload.check()
    assert not left_over(own_daemon, suffix=".part")


def test_the_daemon_is_killed_at_every_step(own_daemon: StorageDaemon) -> None:
    """Recovery is killed too: each new daemon dies at the next failpoint."""
    dice = random.Random(SEED + 1)
    wanted = max(len(FAILPOINTS), COUNT // 16)
    deadly = (FAILPOINTS[number % len(FAILPOINTS)] for number in itertools.count())
    killed: list[str] = []
    own_daemon.kill()
    armed = next(deadly)
    own_daemon.start(f"{armed}:kill:1")
    while len(killed) < wanted:
        upload = Upload(own_daemon, dice, dice.choice([0, 5000, 3_000_000]))
        while True:
            try:
                go_through(upload, drops=armed.endswith("_drop"))
                break
            except OSError:
                own_daemon.await_death()
                if upload.path.exists():
                    assert upload.path.read_bytes() == upload.data, armed
                killed.append(armed)
                armed = next(deadly)
                own_daemon.start(f"{armed}:kill:{dice.choice([1, 1, 2])}")
        upload.check()
    assert set(killed) == set(FAILPOINTS)


def go_through(upload: Upload, *, drops: bool) -> None:
    """An upload from wherever it is to its end. Raises OSError when the daemon dies."""
    if drops:
        unwanted = upload.daemon.begin("unwanted", 10)
        upload.daemon.ask("DELETE", unwanted, Tus_Resumable="1.0.0")
    if not upload.target:
        upload.begin()
    for _ in range(3):
        offset = upload.look()
        if offset < len(upload.data):
            upload.trouble(offset)
    upload.finish()


def left_over(daemon: StorageDaemon, suffix: str = "") -> list[Path]:
    return [path for path in (daemon.volume / ".uploads").rglob(f"*{suffix}") if path.is_file()]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    place = tmp_path / "volume"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    subprocess.run(mount, check=True)
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    """What does not fit is refused with the offset to go on from, once there is room."""
    dice = random.Random(SEED + 2)
    with running_storage(small_disk) as daemon:
        ballast = daemon.volume / "ballast"
        for _ in range(max(4, COUNT // 50)):
            upload = Upload(daemon, dice, 12 << 20)
            upload.begin()
            # Whoever else writes to the volume takes the room that the upload was promised.
            ballast.write_bytes(b"x" * (16 << 20))
            answer = daemon.patch(upload.target, 0, upload.data)
            assert answer.status == 507, answer
            upload.acknowledged = int(answer.headers["upload-offset"])
            assert 0 < upload.look() < len(upload.data)
            assert daemon.patch(upload.target, upload.look(), b"x" * (4 << 20)).status == 507
            ballast.unlink()
            upload.look()
            # What had fitted of the other bytes is theirs that came last.
            assert daemon.ask("DELETE", upload.target, Tus_Resumable="1.0.0").status == 204
            upload.begin()
            upload.acknowledged = 0
            upload.finish()
            upload.check()


def test_parallel_uploads(own_daemon: StorageDaemon) -> None:
    dice = random.Random(SEED + 3)
    uploads = [Upload(own_daemon, random.Random(dice.random()), 1_000_000) for _ in range(16)]

    def run(upload: Upload) -> None:
        upload.begin()
        upload.finish()

    threads = [threading.Thread(target=run, args=(upload,)) for upload in uploads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for upload in uploads:
        upload.check()


def test_a_body_that_pauses_too_long_is_ended(tmp_path: Path) -> None:
    with running_storage(tmp_path, client="idle-timeout = 1") as daemon:
        upload = Upload(daemon, random.Random(SEED), 1000)
        upload.begin()
        with socket.create_connection(("127.0.0.1", daemon.port)) as connection:
            connection.sendall(
                f"PATCH {upload.target} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\n"
                f"Upload-Offset: 0\r\nContent-Type: {OFFSET_TYPE}\r\n"
                "Content-Length: 1000\r\n\r\n".encode()
                + upload.data[:10]
            )
            assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")
        assert upload.look() == 10
        upload.finish()
        upload.check()


def test_old_uploads_are_swept_and_whole_ones_finished(tmp_path: Path) -> None:
    lifetime = "token-lifetime = 60"
    with running_storage(tmp_path, more=lifetime) as daemon:
        old = Upload(daemon, random.Random(SEED), 1000)
        old.begin()
        old.send(0, 10)
        whole = Upload(daemon, random.Random(SEED + 1), 1000)
        whole.begin()
        daemon.kill()
        for path in left_over(daemon, ".json"):
            text = path.read_text()
            if old.name in text:
                path.write_text(text.replace('"expires_at":"20', '"expires_at":"19'))
                kept = path
            else:
                path.with_suffix(".part").write_bytes(whole.data)
        daemon.start()
        until(lambda: not kept.exists(), "the old one is gone", PATIENCE_SECONDS)
        until(whole.path.exists, "the whole one is in its place", PATIENCE_SECONDS)
        assert daemon.ask("HEAD", old.target).status == 404
        whole.check()
