"""What dies and comes back: the app proxy itself, its database, and the agents of nodes."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from backendai.common.relay_secrets import RelaySecret, write_secrets
from backendai.common.tickets import derive_relay_key
from tests.integration.wsproxy.cluster import Cluster
from tests.running.fixtures import find_port
from tests.running.waiting import until
from tests.running.wsproxy import (
    AGENT,
    SECRET,
    Browser,
    Loop,
    WsproxyDaemon,
    ask,
    await_log,
    running_wsproxy,
)


class Wire:
    """A way to the database that can be cut."""

    def __init__(self, loop: Loop, host: str, port: int) -> None:
        self._loop = loop
        self._far = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = find_port()

    def join(self) -> None:
        async def serve() -> asyncio.Server:
            return await asyncio.start_server(self._serve, "127.0.0.1", self.port)

        self._server = self._loop.run(serve())

    def cut(self) -> None:
        async def end() -> None:
            assert self._server is not None
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()

        self._loop.run(end())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near, far = await asyncio.open_connection(*self._far)
        self._writers |= {writer, far}

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(65536):
                    target.write(data)
            except OSError:
                pass
            finally:
                target.transport.abort()

        await asyncio.gather(pump(reader, far), pump(near, writer))
        self._writers -= {writer, far}


@pytest.fixture
def wire(cluster: Cluster) -> Iterator[Wire]:
    db = urlsplit(cluster.dsn)
    assert db.hostname is not None
    found = Wire(cluster.loop, db.hostname, db.port or 5432)
    found.join()
    yield found
    found.cut()


@pytest.fixture
def own_daemon(cluster: Cluster, wire: Wire, tmp_path: Path) -> Iterator[WsproxyDaemon]:
    """Behind a database that can be taken away."""
    db = urlsplit(cluster.dsn)
    user = db.netloc.rpartition("@")[0]
    dsn = urlunsplit(db._replace(netloc=f"{user}@127.0.0.1:{wire.port}"))
    with running_wsproxy(tmp_path, dsn, more="# the rest is as usual") as found:
        yield found


def test_what_was_offered_is_offered_again(
    own_daemon: WsproxyDaemon, cluster: Cluster, wire: Wire
) -> None:
    """The daemon is killed, its database goes, the agent goes: nobody has to open an app anew."""
    browser = own_daemon.open(cluster.run_kernel())
    tcp = cluster.run_kernel("tcp", "sshd")
    url = own_daemon.auth(tcp)["redirect_url"]
    port = own_daemon.ask("GET", url[url.index("/setup") :]).json()["port"]
    assert browser.ask("GET", "/").status == 200

    own_daemon.kill()
    own_daemon.start()
    until(lambda: browser.ask("GET", "/").status == 200, "the circuit is there again", 5)
    until(lambda: ask(port, "GET", "/").status == 200, "the bare one too", 5)

    wire.cut()
    for _ in range(3):
        assert browser.ask("GET", "/").status == 200
    added = own_daemon.add(cluster.run_kernel())
    refused = own_daemon.ask("GET", added.json()["url"].partition(str(own_daemon.port))[2])
    assert refused.status == 503
    assert "retry-after" in refused.headers
    assert own_daemon.ask("GET", "/status").status == 200
    await_log(own_daemon, "loop.step_failed")
    assert browser.ask("GET", "/").status == 200
    wire.join()
    await_log(own_daemon, "loop.recovered")
    assert browser.ask("GET", "/").status == 200

    cluster.relay.stop()
    threading.Timer(1.0, cluster.relay.start).start()
    started = time.monotonic()
    assert browser.ask("GET", "/").status == 200
    assert time.monotonic() - started > 0.5
    assert own_daemon.stop() == 0
    assert "Traceback" not in own_daemon.log.read_text()


def test_a_node_that_stays_away_is_told_of(daemon: WsproxyDaemon, cluster: Cluster) -> None:
    browser = daemon.open(cluster.run_kernel())
    assert browser.ask("GET", "/").status == 200
    cluster.relay.stop()
    try:
        answer = browser.ask("GET", "/", Accept="text/html")
        assert answer.status == 503
        assert answer.headers["retry-after"] == "3"
        assert b"request <code>" in answer.body
    finally:
        cluster.relay.start()
    assert browser.ask("GET", "/").status == 200


def test_its_secret_is_replaced_while_it_serves(cluster: Cluster, tmp_path: Path) -> None:
    relay, new = cluster.relay, RelaySecret(b"n" * 32, datetime.now(UTC))
    with running_wsproxy(tmp_path, cluster.dsn, more="# for another secret") as daemon:
        browser, target = daemon.open(cluster.run_kernel()), cluster.run_kernel()
        before = daemon.conf(target)
        with browser.connect() as connection:
            connection.sendall(browser.head("GET / HTTP/1.1"))
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
            write_secrets(tmp_path / "relay.secret", (RelaySecret(SECRET), new))
            until(lambda: daemon.conf(target) and "secret_read" in daemon.log.read_text(), "read")
            try:
                relay.keys = [derive_relay_key(new.key, AGENT)]
                added = daemon.ask(
                    "GET", f"/v2/proxy/{before}/{target.session}/add?app={target.app}"
                )
                assert added.status == 200, added
                assert daemon.open(cluster.run_kernel()).ask("GET", "/").status == 200
            finally:
                relay.keys = [derive_relay_key(SECRET, AGENT)]
            # Nobody has hung up on it meanwhile.
            connection.sendall(browser.head("GET / HTTP/1.1"))
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_browsers_keep_their_permits_when_the_secret_is_lost(
    cluster: Cluster, tmp_path: Path
) -> None:
    relay, new = cluster.relay, RelaySecret(b"m" * 32)
    with running_wsproxy(tmp_path, cluster.dsn, more="# for a lost secret") as daemon:
        browser = daemon.open(cluster.run_kernel())
        write_secrets(tmp_path / "relay.secret", (new,))
        relay.keys = [derive_relay_key(new.key, AGENT)]
        try:
            until(lambda: browser.ask("GET", "/").status == 200, "it has read the new secret")
        finally:
            relay.keys = [derive_relay_key(SECRET, AGENT)]


@pytest.fixture
def older_daemon(cluster: Cluster, tmp_path: Path) -> Iterator[WsproxyDaemon]:
    """It may ask the app of the cluster, which plays the manager."""
    v1 = f'[v1]\nendpoints = ["http://127.0.0.1:{cluster.app.port}"]'
    with running_wsproxy(tmp_path, cluster.dsn, v1=v1) as found:
        yield found


def test_the_older_api_starts_the_app_itself(older_daemon: WsproxyDaemon, cluster: Cluster) -> None:
    target = cluster.run_kernel()
    token = older_daemon.conf(target)

    async def manager(head: bytes, reader: Any, writer: Any) -> None:
        data = json.dumps({"token": token, "wsproxy_addr": "x"}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data))
        await writer.drain()
        writer.close()

    cluster.app.script = manager
    endpoint = f"http://127.0.0.1:{cluster.app.port}"
    login = {"endpoint": endpoint, "mode": "SESSION", "session": "a-login-1", "api_version": "7"}
    for changes in (
        {"endpoint": "http://169.254.169.254"},
        {"endpoint": f"{endpoint}.evil"},
        {"endpoint": f"{endpoint}/x"},
        {"endpoint": endpoint.replace("127.0.0.1", "localhost")},
    ):
        body = json.dumps(login | changes).encode()
        assert older_daemon.ask("PUT", "/conf", body).status == 403, changes
    broken = json.dumps(login | {"session": "a\r\nb"}).encode()
    assert older_daemon.ask("PUT", "/conf", broken).status == 401
    given = older_daemon.ask("PUT", "/conf", json.dumps(login).encode()).json()["token"]
    assert not cluster.app.heads
    path = f"/proxy/{given}/{target.session}/add?app={target.app}&protocol=http"
    added = older_daemon.ask("GET", path)
    assert added.status == 200, added
    assert cluster.app.heads[0].startswith(b"POST /func/session/")
    assert b"X-BackendAI-SessionID: a-login-1" in cluster.app.heads[0]
    by_cookie = json.dumps(login | {"auth_mode": "cookie"}).encode()
    other = older_daemon.ask("PUT", "/conf", by_cookie).json()["token"]
    path = f"/proxy/{other}/{target.session}/add?app={target.app}&protocol=http"
    assert older_daemon.ask("GET", path).status == 200
    # Webservers take a cookie for no login without one of the headers that no form can send.
    assert b"Cookie: AIOHTTP_SESSION=a-login-1" in cluster.app.heads[1]
    assert b"X-BackendAI-Version: " in cluster.app.heads[1]
    cluster.app.script = None
    url = added.json()["url"]
    assert older_daemon.ask("GET", url.partition(str(older_daemon.port))[2]).status == 303
    assert older_daemon.ask("GET", f"/proxy/x/{target.session}/add?app=a").status == 401


def test_behind_a_proxy_with_a_prefix(cluster: Cluster, tmp_path: Path) -> None:
    port = find_port()
    more = (
        'advertised-url = "https://portal.example.org/wsproxy"\ntrusted-proxies = ["127.0.0.0/8"]'
    )
    more += '\napps-host = "127.0.0.1"\nallowed-origins = ["https://portal.example.org"]'
    with running_wsproxy(tmp_path / str(port), cluster.dsn, more=more) as daemon:
        target = cluster.run_kernel()
        added = daemon.add(target).json()["url"]
        assert added.startswith("https://portal.example.org/wsproxy/v2/proxy/auth?")
        inner = added.partition("https://portal.example.org")[2]
        answer = daemon.ask("GET", inner, Accept="application/json", Origin="https://evil")
        assert "access-control-allow-origin" not in answer.headers
        browser = daemon.open(target)
        shown = browser.ask("GET", "/", X_Forwarded_For="6.6.6.6, 203.0.113.9, 127.0.0.2").json()
        headers = dict(shown["headers"])
        assert headers["X-Forwarded-For"] == "203.0.113.9"
        assert headers["X-Forwarded-Proto"] == "https"
        bare = cluster.run_kernel(protocol="tcp")
        link = urlsplit(daemon.auth(bare)["redirect_url"])
        target_path = f"{link.path}?{link.query}"
        given = daemon.ask("GET", target_path, X_Forwarded_For="unknown")
        assert (given.status, given.json()["address"]) == (200, "127.0.0.1")


def test_a_circuit_that_went_while_its_link_was_used_ends_nobody_else(
    daemon: WsproxyDaemon, cluster: Cluster
) -> None:
    """Its row goes with the user; the proxy knows of it until it looks again."""
    target = cluster.run_kernel()
    url = urlsplit(daemon.auth(target)["redirect_url"])
    assert url.port is not None
    cluster.sql("DELETE FROM circuits WHERE kernel_id = $1", target.kernel)
    with contextlib.suppress(ConnectionError):
        answer = Browser(url.port, url.netloc).ask("GET", f"{url.path}?{url.query}")
        assert answer.status == 410, answer
    assert daemon.open(cluster.run_kernel()).ask("GET", "/").status == 200
    assert not daemon.is_dead()


def test_a_database_that_refuses_is_as_one_that_is_away(
    daemon: WsproxyDaemon, cluster: Cluster
) -> None:
    browser = daemon.open(cluster.run_kernel())
    cluster.sql("ALTER VIEW live_circuits RENAME TO hidden")
    try:
        await_log(daemon, "store.refused")
        assert browser.ask("GET", "/").status == 200
        assert daemon.add(cluster.run_kernel(protocol="tcp")).status == 503
    finally:
        cluster.sql("ALTER VIEW hidden RENAME TO live_circuits")
    assert not daemon.is_dead()
