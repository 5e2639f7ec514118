"""An app proxy as a process of its own, the nodes and apps behind it, and what browsers send."""

import asyncio
import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import psutil

from backendai.common.contracts.wsproxy import AppFacts, ProxyConf, SessionFacts, sign_conf
from backendai.common.tickets import (
    OK_LINE,
    Refusal,
    RelayCode,
    TicketRefused,
    decode_hello,
    derive_relay_key,
    encode_refusal,
    open_ticket,
)
from tests.running.fixtures import find_port
from tests.running.rest import Answer
from tests.running.waiting import until

SECRET: Final = bytes(range(32))
AGENT: Final = "i-node1"
START_SECONDS_MAX: Final = 180.0
_SETTINGS: Final = """
[wsproxy]
id = "test"
service-addr = "127.0.0.1:{port}"
bind-ports = "{first}-{last}"
{more}
[limits]
{limits}
[relay]
secret-key-file = "{secret}"
{v1}
[db]
addr = "{db_addr}"
name = "{db_name}"
user = "{db_user}"
"""


@dataclass(slots=True)
class Target:
    """A kernel with an app: what a manager knows when it asks for a circuit."""

    session: uuid.UUID
    kernel: uuid.UUID
    owner: uuid.UUID
    access_key: str
    port: int
    generation: int = 1
    app: str = "jupyterlab"
    protocol: str = "http"

    def conf(self) -> ProxyConf:
        return ProxyConf(
            kernel_host="",
            kernel_port=0,
            session=SessionFacts(
                id=self.session,
                user_uuid=self.owner,
                group_id=self.owner,
                access_key=self.access_key,
                domain_name="default",
            ),
            circuit=AppFacts(
                agent_id=AGENT,
                kernel_id=self.kernel,
                generation=self.generation,
                app=self.app,
                port=self.port,
                protocol=self.protocol,
            ),
        )


@dataclass(slots=True)
class WsproxyDaemon:
    """`more` and `limits` are lines of its settings."""

    home: Path
    dsn: str
    more: str = ""
    limits: str = ""
    v1: str = ""
    process: "subprocess.Popen[bytes] | None" = None
    port: int = field(default_factory=find_port)
    first_port: int = field(default_factory=lambda: 20_000 + (os.getpid() * 97) % 25_000)

    @property
    def log(self) -> Path:
        return self.home / "wsproxy.log"

    def start(self, failpoints: str = "") -> None:
        """Returns once it serves."""
        config = self.home / "wsproxy.toml"
        secret = self.home / "relay.secret"
        secret.write_bytes(base64.b64encode(SECRET))
        db = urlsplit(self.dsn)
        text = _SETTINGS.format(
            port=self.port,
            first=self.first_port,
            last=self.first_port + 200,
            more=self.more,
            limits=self.limits,
            v1=self.v1,
            secret=secret,
            db_addr=f"{db.hostname}:{db.port}",
            db_name=db.path.lstrip("/"),
            db_user=db.username,
        )
        if db.password:
            text += f'password = "{db.password}"\n'
        config.write_text(text)
        for path in (config, secret):
            path.chmod(0o600)
        code = "from backendai.wsproxy.cli import wsproxy; "
        code += f"wsproxy({['start-server', '-f', str(config)]!r})"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdout=log,
                stderr=log,
                env={**os.environ, "BAI_FAILPOINTS": failpoints},
            )
        self._await_start()

    def _await_start(self) -> None:
        assert self.process is not None
        started = time.monotonic()
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() - started < START_SECONDS_MAX, self.log.read_text()
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            return self.ask("GET", "/status").status == 200
        except OSError:
            return False

    def is_dead(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None

    def count_descriptors(self) -> int:
        assert self.process is not None
        return psutil.Process(self.process.pid).num_fds()

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
        """A request to the API."""
        return ask(self.port, method, target, body, **headers)

    def conf(self, target: Target) -> str:
        """The token that a manager gets for a browser."""
        body = msgspec.json.encode(target.conf())
        signed = sign_conf(SECRET, body, datetime.now(UTC))
        answer = self.ask("POST", "/v2/conf", body, **signed)
        assert answer.status == 200, answer
        return str(answer.json()["token"])

    def auth(self, target: Target, **query: str) -> Any:
        """What the circuit's address is asked with: `redirect_url`, `reuse`."""
        added = self.add(target, **query)
        assert added.status == 200, added
        url = urlsplit(added.json()["url"])
        redirect = f"&redirect={query['redirect']}" if "redirect" in query else ""
        answer = self.ask("GET", f"{url.path}?{url.query}{redirect}", Accept="application/json")
        assert answer.status == 200, answer
        return answer.json()

    def add(self, target: Target, **query: str) -> Answer:
        token = self.conf(target)
        more = "".join(f"&{name}={value}" for name, value in query.items() if name != "redirect")
        path = f"/v2/proxy/{token}/{target.session}/add?app={target.app}{more}"
        return self.ask("GET", path)

    def open(self, target: Target, **query: str) -> "Browser":
        """A browser with a permit for a circuit to `target`."""
        url = urlsplit(self.auth(target, **query)["redirect_url"])
        assert url.port is not None
        browser = Browser(url.port, host=url.netloc)
        if query.get("open_to_public"):
            return browser
        answer = browser.ask("GET", f"{url.path}?{url.query}")
        assert answer.status == 303, answer
        browser.cookie = answer.headers["set-cookie"].partition(";")[0]
        return browser


def ask(port: int, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
    """Over a connection of its own. `_` in names of headers is `-`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    try:
        connection.request(method, target, body, named)
        response = connection.getresponse()
        data = response.read()
        pairs = {name.lower(): text for name, text in response.getheaders()}
        return Answer(response.status, pairs, data)
    except http.client.HTTPException as error:
        raise ConnectionError(f"{method}: {error!r}") from error
    finally:
        connection.close()


@dataclass(slots=True)
class Browser:
    """`cookie` is the permit, as `name=value`."""

    port: int
    host: str
    cookie: str = ""

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
        given = {"Host": self.host} | ({"Cookie": self.cookie} if self.cookie else {}) | headers
        return ask(self.port, method, target, body, **given)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def head(self, first_line: str, *lines: str) -> bytes:
        """A request's head with host and permit."""
        own = [f"Host: {self.host}"] + ([f"Cookie: {self.cookie}"] if self.cookie else [])
        return "\r\n".join([first_line, *own, *lines, "", ""]).encode("latin-1")

    def send(self, data: bytes, *, half_close: bool = False) -> bytes:
        """All that comes back until the proxy ends the connection."""
        with self.connect() as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return receive_all(connection)

    def exchange(self, data: bytes) -> tuple[int, bytes]:
        """Status and everything, for a request behind which the connection ends."""
        found = self.send(data)
        return status_of(found), found


def receive_all(connection: socket.socket) -> bytes:
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def receive_until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        part = connection.recv(1 << 16)
        if not part:
            break
        data += part
    return data


def status_of(answer: bytes) -> int:
    """0 for none."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Awaitable[Any]) -> Any:
        async def whole() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(whole(), self.loop).result(60)

    def stop(self) -> None:
        async def end() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class RelayStandIn:
    """What an agent's relay is to an app proxy: it opens for tickets and passes bytes.

    `refusals` are answered to the next connections, in their order, after `silences` of them got
    no answer at all; `kernels` are those that are known.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.keys = [derive_relay_key(SECRET, AGENT)]
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = find_port()
        self.kernels: dict[str, int] = {}
        self.refusals: list[Refusal] = []
        self.silences = 0
        self.opened = 0
        self.gone = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        async def serve() -> asyncio.Server:
            return await asyncio.start_server(self._serve, "127.0.0.1", self.port)

        self._server = self._loop.run(serve())

    def stop(self) -> None:
        """All connections end, as when an agent is killed."""

        async def end() -> None:
            if self._server is not None:
                self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()

        self._loop.run(end())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.opened += 1
        try:
            await self._pass(reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            self.gone += 1
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readuntil(b"\n")
        if self.silences:
            self.silences -= 1
            await reader.read()
            return
        refusal = self.refusals.pop(0) if self.refusals else None
        try:
            ticket = open_ticket(decode_hello(line[:-1]), self.keys, time.time())
            if self.kernels.get(ticket.kernel) != ticket.generation:
                refusal = refusal or Refusal(RelayCode.GONE, "no such kernel")
        except TicketRefused as fault:
            refusal = Refusal(RelayCode.DENIED, fault.detail)
        if refusal is None:
            try:
                near, far = await asyncio.open_connection("127.0.0.1", ticket.port)
            except OSError:
                refusal = Refusal(RelayCode.REFUSED, "nobody listens")
        if refusal is not None:
            writer.write(encode_refusal(refusal))
            await writer.drain()
            writer.close()
            return
        writer.write(OK_LINE)
        self._writers.add(far)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, far))
                group.create_task(_pump(near, writer))
        except* OSError:
            pass
        finally:
            self._writers.discard(far)
            far.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


class ScriptedApp:
    """An app that takes one request for each answer: `script` gets what came and what it writes to.

    Without a script it answers with the request as JSON. `heads` are all heads that came.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.port = find_port()
        self.heads: list[bytes] = []
        self.connections = 0
        self.script: Callable[[bytes, Any, Any], Awaitable[None]] | None = None

    def start(self) -> None:
        async def serve() -> asyncio.Server:
            return await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 22)

        self._server = self._loop.run(serve())

    def stop(self) -> None:
        self._loop.loop.call_soon_threadsafe(self._server.close)

    def answer(self, data: bytes) -> None:
        """What it says to each request from now on, whatever that is; it hangs up then."""

        async def say(_head: bytes, _reader: Any, writer: Any) -> None:
            writer.write(data)
            await writer.drain()
            writer.close()

        self.script = say

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                await (self.script or _echo)(head, reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


async def _echo(head: bytes, reader: Any, writer: Any) -> None:
    body = await read_body(head, reader)
    lines = head.decode("latin-1").split("\r\n")
    headers = [line.split(": ", 1) for line in lines[1:] if line]
    shown = {"request": lines[0], "headers": headers, "body": len(body), "start": str(body[:64])}
    data = json.dumps(shown).encode()
    method = lines[0].split(" ")[0]
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\nX-App: yes\r\n\r\n".encode()
    writer.write(answer + (b"" if method == "HEAD" else data))
    await writer.drain()


async def read_body(head: bytes, reader: Any) -> bytes:
    found = {
        name.lower(): value
        for name, _, value in (line.partition(b": ") for line in head.split(b"\r\n")[1:])
    }
    if found.get(b"transfer-encoding") == b"chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return body
    return bytes(await reader.readexactly(int(found.get(b"content-length", 0))))


@contextlib.contextmanager
def running_wsproxy(home: Path, dsn: str, **settings: str) -> Iterator[WsproxyDaemon]:
    home.mkdir(parents=True, exist_ok=True)
    daemon = WsproxyDaemon(home, dsn, **settings)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.kill()


def await_log(daemon: WsproxyDaemon, words: str) -> None:
    until(lambda: words in daemon.log.read_text(), f"the log says {words}")
