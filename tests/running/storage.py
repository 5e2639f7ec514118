"""A storage proxy as a process of its own, and what clients send to it."""

import base64
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from backendai.common.clock import SystemClock
from backendai.storage.layout import FolderId, ScopeId, ScopeKind
from backendai.storage.tokens import Claims, Purpose, TokenBox
from tests.running.rest import Answer
from tests.running.waiting import until

SECRET: Final = "a-secret-of-tests-0123"
MANAGER_SECRET: Final = "another-secret-of-tests-0123"
VOLUME: Final = "local"
LIFETIME_SECONDS: Final = 3600
# A machine on which much else runs takes long to import a daemon.
START_SECONDS_MAX: Final = 180.0
OFFSET_TYPE: Final = "application/offset+octet-stream"
_SETTINGS: Final = """
[storage-proxy]
secret = "{secret}"
{more}
[api.client]
service-addr = "127.0.0.1:0"
{client}
[api.manager]
service-addr = "127.0.0.1:0"
secret = "{manager_secret}"
[volume.{volume}]
path = "{path}"
"""


@dataclass(slots=True)
class StorageDaemon:
    """`more` and `client` are lines of its settings."""

    home: Path
    volume: Path
    more: str = ""
    client: str = ""
    process: "subprocess.Popen[bytes] | None" = None
    port: int = 0
    manager_port: int = 0
    tokens: TokenBox = field(default_factory=lambda: TokenBox(SECRET, SystemClock()))
    folder: FolderId = field(
        default_factory=lambda: FolderId(ScopeId(ScopeKind.USER, uuid.uuid4()), uuid.uuid4().hex)
    )

    @property
    def top(self) -> Path:
        """The directory of the folder that tests use."""
        return self.volume / str(self.folder.path)

    @property
    def log(self) -> Path:
        return self.home / "storage.log"

    def start(self, failpoints: str = "") -> None:
        """Returns once it serves. Folder and volume are made where they are not there."""
        self.top.mkdir(parents=True, exist_ok=True)
        config = self.home / "storage-proxy.toml"
        config.write_text(
            _SETTINGS.format(
                secret=SECRET,
                manager_secret=MANAGER_SECRET,
                volume=VOLUME,
                path=self.volume,
                more=self.more,
                client=self.client,
            )
        )
        config.chmod(0o600)
        arguments = ["start-server", "-f", str(config)]
        code = f"from backendai.storage.cli import storage; storage({arguments!r})"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdout=log,
                stderr=log,
                env={**os.environ, "BAI_FAILPOINTS": failpoints},
            )
        self._await_addresses()

    def _await_addresses(self) -> None:
        assert self.process is not None
        started = time.monotonic()
        while True:
            if self._read_addresses():
                return
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() - started < START_SECONDS_MAX, self.log.read_text()
            time.sleep(0.01)

    def _read_addresses(self) -> bool:
        for line in self.log.read_text().splitlines():
            if "storage.started" in line:
                self.port, self.manager_port = _ports_of(line)
                return True
        return False

    def is_dead(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None

    def await_death(self) -> None:
        """Of a daemon that a failpoint kills."""
        until(self.is_dead, "the daemon was killed", 30)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def sign(self, op: Purpose, relpath: str = "", **more: Any) -> str:
        claims: dict[str, Any] = {
            "op": op,
            "volume": VOLUME,
            "vfid": str(self.folder),
            "relpath": relpath,
            "exp": int(time.time()) + LIFETIME_SECONDS,
        }
        return self.tokens.sign(Claims(**(claims | more)))

    def order(self, method: str, path: str, secret: str = MANAGER_SECRET, **body: Any) -> Answer:
        """What a manager asks for."""
        headers = {"X-BackendAI-Storage-Auth-Token": secret, "Content-Type": "application/json"}
        return _ask(self.manager_port, method, path, json.dumps(body).encode(), headers)

    def order_file(self, word: str, **body: Any) -> Answer:
        """`/folder/file/<word>`, in the folder that tests use."""
        path = f"/folder/file/{word}"
        return self.order("POST", path, volume=VOLUME, vfid=str(self.folder), **body)

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
        """Over a connection of its own. `_` in names of headers is `-`."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return _ask(self.port, method, target, body, named)

    def begin(self, name: str, size: int, **metadata: str) -> str:
        """The address of a new upload."""
        answer = self.ask_upload(name, size, **metadata)
        assert answer.status == 201, answer
        return answer.headers["location"]

    def ask_upload(self, name: str, size: int, **metadata: str) -> Answer:
        """For a new upload, with more metadata."""
        pairs = {"filename": name, **metadata}
        return self.ask(
            "POST",
            f"/upload?token={self.sign(Purpose.CREATE, size=1 << 40)}",
            Tus_Resumable="1.0.0",
            Upload_Length=str(size),
            Upload_Metadata=metadata_of(**pairs),
        )

    def patch(self, target: str, offset: int, body: bytes, **headers: str) -> Answer:
        more = {"Tus_Resumable": "1.0.0", "Content_Type": OFFSET_TYPE} | headers
        return self.ask("PATCH", target, body, Upload_Offset=str(offset), **more)

    def offset(self, target: str) -> int:
        answer = self.ask("HEAD", target, Tus_Resumable="1.0.0")
        assert answer.status == 200, answer
        return int(answer.headers["upload-offset"])


def _ask(
    port: int, method: str, target: str, body: bytes | None, headers: dict[str, str]
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        data = response.read()
        pairs = {name.lower(): text for name, text in response.getheaders()}
        return Answer(response.status, pairs, data)
    except http.client.HTTPException as error:
        raise ConnectionError(f"{method}: {error!r}") from error
    finally:
        connection.close()


@contextlib.contextmanager
def running_storage(home: Path, **settings: str) -> Iterator[StorageDaemon]:
    home.mkdir(parents=True, exist_ok=True)
    daemon = StorageDaemon(home, home / "volume", **settings)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.kill()


def _ports_of(line: str) -> tuple[int, int]:
    if line.startswith("{"):
        found = json.loads(line)
        return int(found["client"].rpartition(":")[2]), int(found["manager"].rpartition(":")[2])
    words = dict(word.split("=", 1) for word in line.split() if "=" in word)
    return int(words["client"].rpartition(":")[2]), int(words["manager"].rpartition(":")[2])


def metadata_of(**pairs: str) -> str:
    """A header Upload-Metadata."""
    return ",".join(
        f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in pairs.items()
    )
