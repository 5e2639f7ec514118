"""Uploads, downloads and trees through a storage proxy, beside nginx and cp on the same disk.

nginx makes nothing durable, and ours everything. Where the ratio is about the code, both therefore
write to memory (/dev/shm), where that costs nothing. Trees, and one row of uploads, are on the
disk, beside a cp and a dd that wait for it too.
"""

import http.client
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import psutil

from backendai.storage.tokens import Purpose
from tests.bench.harness import CpuMeter, Row, interleave, show, show_cpu, timed
from tests.running.fixtures import find_port
from tests.running.storage import MANAGER_SECRET, OFFSET_TYPE, VOLUME, StorageDaemon
from tests.running.waiting import until

NEEDS_STACK: Final = False
MEMORY: Final = Path("/dev/shm")
MIB: Final = 1 << 20
LARGE_MIB: Final = 256
CHUNK_MIB: Final = 8
ROUNDS: Final = 5
SMALL_FILES: Final = 5000
SMALL_BYTES: Final = 4096
# Of the files of a tree so many times fewer are sent one by one.
SINGLE_PART: Final = 20
_NGINX: Final = """
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ }}
http {{
    access_log off;
    sendfile on;
    client_max_body_size 0;
    client_body_temp_path {home}/body;
    server {{
        listen 127.0.0.1:{port};
        root {root};
        location / {{ dav_methods PUT DELETE; create_full_put_path on; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    port: int
    root: Path
    processes: tuple[psutil.Process, ...]


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as memory, tempfile.TemporaryDirectory() as disk:
        return [*_measure_in_memory(Path(memory)), *_measure_on_disk(Path(disk))]


def _measure_in_memory(home: Path) -> list[Row]:
    source = home / "source.bin"
    source.write_bytes(os.urandom(MIB) * LARGE_MIB)
    with running_nginx(home / "nginx") as nginx, running_daemon(home / "ours") as daemon:
        return [
            *_measure_uploads(daemon, nginx, source),
            _measure_chunks(daemon, nginx, source),
            *_measure_downloads(daemon, nginx, source),
            _measure_listing(daemon),
        ]


def _measure_on_disk(home: Path) -> list[Row]:
    with running_daemon(home / "ours") as daemon:
        return [*_measure_trees(daemon, home), _measure_durable(daemon, home)]


@contextmanager
def running_daemon(home: Path) -> Iterator[StorageDaemon]:
    home.mkdir()
    daemon = StorageDaemon(home, home / "volume")
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.kill()


@contextmanager
def running_nginx(home: Path) -> Iterator[Nginx]:
    """One worker, as its own process here. Its worker may write where root made the folder."""
    program = shutil.which("nginx")
    assert program is not None, "needs nginx: apt install nginx-core"
    home.parent.chmod(0o755)
    root = home / "root"
    root.mkdir(parents=True)
    for path in (home, root):
        path.chmod(0o777)
    port = find_port()
    config = home / "nginx.conf"
    text = _NGINX.format(home=home, port=port, root=root)
    config.write_text(("user root;\n" if os.geteuid() == 0 else "") + text)
    command = [program, "-c", str(config), "-p", str(home), "-g", "daemon off;"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: http.client.HTTPConnection("127.0.0.1", port).connect() is None, "nginx")
            master = psutil.Process(process.pid)
            yield Nginx(port, root, (master, *master.children()))
        finally:
            process.terminate()


def _measure_uploads(daemon: StorageDaemon, nginx: Nginx, source: Path) -> list[Row]:
    assert daemon.process is not None
    targets = iter(lambda: daemon.begin("large.bin", source.stat().st_size), "")

    def ours() -> float:
        # To free the pages of the old one is no part of either.
        (daemon.top / "large.bin").unlink(missing_ok=True)
        target = next(targets)
        headers = ["Tus-Resumable: 1.0.0", "Upload-Offset: 0", f"Content-Type: {OFFSET_TYPE}"]
        return _curl(daemon.port, target, source, "PATCH", *headers)

    def peer() -> float:
        (nginx.root / "large.bin").unlink(missing_ok=True)
        return _curl(nginx.port, "/large.bin", source, "PUT")

    meter = CpuMeter({"ours": [psutil.Process(daemon.process.pid)], "nginx": nginx.processes})
    rounds = interleave(ours, peer, ROUNDS)
    used = meter.milliseconds_per((ROUNDS + 1) * LARGE_MIB)
    what = f"upload of {LARGE_MIB} MiB in one request"
    return [
        rounds.row("G4a", f"{what} beside nginx PUT, time", 1.1),
        Row("G4a", f"{what}, CPU", used["ours"] / used["nginx"], 0.9, "x", show_cpu(used)),
    ]


def _measure_chunks(daemon: StorageDaemon, nginx: Nginx, source: Path) -> Row:
    data = source.read_bytes()

    def ours() -> float:
        (daemon.top / "chunks.bin").unlink(missing_ok=True)
        target = daemon.begin("chunks.bin", len(data))
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port)
        started = time.perf_counter()
        for offset in range(0, len(data), CHUNK_MIB * MIB):
            _patch(connection, target, offset, memoryview(data)[offset : offset + CHUNK_MIB * MIB])
        return time.perf_counter() - started

    def peer() -> float:
        (nginx.root / "chunks.bin").unlink(missing_ok=True)
        connection = http.client.HTTPConnection("127.0.0.1", nginx.port)
        started = time.perf_counter()
        connection.request("PUT", "/chunks.bin", data)
        connection.getresponse().read()
        return time.perf_counter() - started

    what = f"the same in chunks of {CHUNK_MIB} MiB"
    return interleave(ours, peer, ROUNDS).row("G4b", what, 1.3)


def _patch(
    connection: http.client.HTTPConnection, target: str, offset: int, data: memoryview
) -> None:
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": str(offset),
        "Content-Type": OFFSET_TYPE,
        "Content-Length": str(len(data)),
    }
    connection.request("PATCH", target, data, headers)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 204, answer.status


def _measure_downloads(daemon: StorageDaemon, nginx: Nginx, source: Path) -> list[Row]:
    assert daemon.process is not None
    for place in (daemon.top, nginx.root):
        shutil.copyfile(source, place / "get.bin")
    target = f"/download?token={daemon.sign(Purpose.DOWNLOAD, 'get.bin')}"
    meter = CpuMeter({"ours": [psutil.Process(daemon.process.pid)], "nginx": nginx.processes})
    rounds = interleave(
        lambda: _curl(daemon.port, target), lambda: _curl(nginx.port, "/get.bin"), ROUNDS * 2
    )
    used = meter.milliseconds_per((ROUNDS * 2 + 1) * LARGE_MIB)
    what = f"download of {LARGE_MIB} MiB"
    return [
        rounds.row("G4c", f"{what} beside nginx sendfile, time", 1.11),
        Row("G4c", f"{what}, CPU per MiB", used["ours"], 0.15, "ms", show_cpu(used)),
    ]


def _measure_trees(daemon: StorageDaemon, home: Path) -> list[Row]:
    tree = home / "tree"
    for number in range(SMALL_FILES):
        path = tree / str(number // 500) / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(SMALL_BYTES))
    shutil.copytree(tree, daemon.top / "tree")
    what = f"{SMALL_FILES} files of {SMALL_BYTES} bytes"
    ours = _fresh(daemon.top / "up", lambda: _send_tree(daemon, tree))
    up = interleave(ours, _copier(tree, is_durable=True), 3)
    some = SMALL_FILES // SINGLE_PART
    each = _fresh(daemon.top / "each", lambda: _send_each(daemon, tree, some))() * SINGLE_PART
    down = interleave(_fresh(home / "down", lambda: _fetch_tree(daemon, home)), _copier(tree), 3)
    return [
        up.row("G4d", f"{what} up, as an archive, beside cp -r and sync -f", 2.2),
        down.row("G4d", f"{what} down, as an archive, beside cp -r", 1.5),
        Row(
            "G4d",
            f"{what} one by one, beside them as an archive",
            each / statistics.median(up.ours),
            2.0,
            "x",
            is_floor=True,
        ),
    ]


def _fresh(place: Path, action: Callable[[], None]) -> Callable[[], float]:
    """`place` is not there before. What was there is kept: for five seconds ext4 looks at each file
    that was deleted before it makes another one, which is no part of what is measured."""

    def sample() -> float:
        if place.exists():
            place.rename(place.with_name(f"{place.name}-{uuid.uuid4().hex}"))
        return timed(action)()

    return sample


def _copier(tree: Path, *, is_durable: bool = False) -> Callable[[], float]:
    copy = tree.with_name("copy")

    def act() -> None:
        subprocess.run(["cp", "-r", str(tree), str(copy)], check=True)
        if is_durable:
            subprocess.run(["sync", "-f", str(copy)], check=True)

    return _fresh(copy, act)


def _send_tree(daemon: StorageDaemon, tree: Path) -> None:
    command = ["tar", "-c", "-C", str(tree), "--transform", "s,^[.],up,", "."]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    answer = daemon.patch(daemon.begin("up.tar", len(data)), 0, data)
    assert answer.status == 204, answer
    answer = daemon.ask("POST", f"/extract?token={daemon.sign(Purpose.EXTRACT, 'up.tar')}")
    assert answer.json()["files"] == SMALL_FILES, answer


def _send_each(daemon: StorageDaemon, tree: Path, count: int) -> None:
    for path in islice(tree.rglob("*.bin"), count):
        target = daemon.begin(f"each/{path.relative_to(tree)}", SMALL_BYTES)
        assert daemon.patch(target, 0, path.read_bytes()).status == 204


def _fetch_tree(daemon: StorageDaemon, home: Path) -> None:
    token = daemon.sign(Purpose.DOWNLOAD, "tree", archive=True)
    (home / "down").mkdir()
    address = f"http://127.0.0.1:{daemon.port}/download?token={token}&format=tar"
    with subprocess.Popen(["curl", "-sf", address], stdout=subprocess.PIPE) as curl:
        subprocess.run(["tar", "-x", "-C", str(home / "down")], stdin=curl.stdout, check=True)


def _measure_listing(daemon: StorageDaemon) -> Row:
    top = daemon.top / "list"
    top.mkdir()
    for number in range(SMALL_FILES):
        (top / f"{number}.bin").touch()
    body = json.dumps({"volume": VOLUME, "vfid": str(daemon.folder), "relpath": "list"}).encode()
    headers = {
        "X-BackendAI-Storage-Auth-Token": MANAGER_SECRET,
        "Content-Type": "application/json",
    }

    def ours() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", daemon.manager_port)
        connection.request("POST", "/folder/file/list", body, headers)
        assert connection.getresponse().status == 200

    def peer() -> None:
        with os.scandir(top) as entries:
            for entry in entries:
                entry.stat(follow_symlinks=False)

    what = f"a listing of {SMALL_FILES} entries beside scandir and stat"
    return interleave(timed(ours), timed(peer), ROUNDS * 2).row("G4e", what, 3.0)


def _measure_durable(daemon: StorageDaemon, home: Path) -> Row:
    source = home / "source.bin"
    source.write_bytes(os.urandom(MIB) * LARGE_MIB)
    copy = home / "copy.bin"
    command = ["dd", f"if={source}", f"of={copy}", "bs=1M", "conv=fsync", "status=none"]

    def ours() -> float:
        target = daemon.begin("large.bin", source.stat().st_size)
        headers = ["Tus-Resumable: 1.0.0", "Upload-Offset: 0", f"Content-Type: {OFFSET_TYPE}"]
        return _curl(daemon.port, target, source, "PATCH", *headers)

    def peer() -> None:
        copy.unlink(missing_ok=True)
        subprocess.run(command, check=True)

    what = f"upload of {LARGE_MIB} MiB until durable beside dd conv=fsync"
    rounds = interleave(ours, timed(peer), ROUNDS)
    return Row("G4a", what, rounds.ratio, None, "x", show(rounds.ours), show(rounds.peer))


def _curl(
    port: int, target: str, source: Path | None = None, method: str = "GET", *headers: str
) -> float:
    """Seconds of one request, as curl itself measures them."""
    command = ["curl", "-sf", "-o", os.devnull, "-w", "%{time_total}", "-X", method]
    for header in (*headers, "Expect:"):
        command += ["-H", header]
    if source is not None:
        command += ["-T", str(source)]
    command.append(f"http://127.0.0.1:{port}{target}")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)
