"""What hostile browsers, pages, apps and networks try, each with the answer that it gets."""

import contextlib
import os
import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.integration.wsproxy.cluster import Cluster
from tests.running.fixtures import find_port
from tests.running.waiting import NotInTime, until
from tests.running.wsproxy import (
    Browser,
    Target,
    WsproxyDaemon,
    ask,
    receive_all,
    receive_until,
    running_wsproxy,
    status_of,
)

WEBSOCKET = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: a")
ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


@pytest.fixture(scope="module")
def shared_browser(shared_daemon: WsproxyDaemon, shared_target: Target) -> Browser:
    return shared_daemon.open(shared_target)


@pytest.fixture
def browser(shared_browser: Browser, daemon: WsproxyDaemon) -> Browser:
    return shared_browser


@pytest.fixture
def stranger(browser: Browser) -> Browser:
    """At the same circuit, without a permit."""
    return Browser(browser.port, browser.host)


async def accept(_head: bytes, reader: Any, writer: Any) -> None:
    """An app with a WebSocket that echoes."""
    writer.write(ACCEPTED)
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


# Permits (T89, T90, T100, T102)


def test_no_token_of_another_user_kernel_or_app_opens(
    daemon: WsproxyDaemon, cluster: Cluster, target: Target
) -> None:
    other = cluster.run_kernel()
    token = daemon.conf(other)
    paths = (
        f"/v2/proxy/{token}/{target.session}/add?app={target.app}",
        f"/v2/proxy/{token}/{other.session}/add?app=another",
        f"/v2/proxy/auth?token={token}&session_id={target.session}",
        f"/v2/proxy/auth?token={token}&app=another",
    )
    assert [daemon.ask("GET", path).status for path in paths] == [403] * 4
    for forged in ("x", token[:-2], token + "x", "a.b.c", "x" * 5000):
        assert daemon.ask("GET", f"/v2/proxy/auth?token={forged}").status == 401


def test_a_manager_proves_itself(daemon: WsproxyDaemon) -> None:
    for headers in ({}, {"X-BackendAI-Token": "0" * 64}, {"X-BackendAI-Token": "\xe9" * 8}):
        assert daemon.ask("POST", "/v2/conf", b"{}", **headers).status == 401


def test_a_setup_link_is_good_once(daemon: WsproxyDaemon, cluster: Cluster) -> None:
    url = daemon.auth(cluster.run_kernel())["redirect_url"]
    port, path = int(url.split(":")[2].split("/")[0]), "/" + url.split("/", 3)[3]
    first = ask(port, "GET", path)
    assert first.status == 303
    assert first.headers["referrer-policy"] == "no-referrer"
    assert first.headers["cache-control"] == "no-store"
    assert ask(port, "GET", path).status == 401
    cookie = first.headers["set-cookie"].partition(";")[0]
    again = ask(port, "GET", path, Cookie=cookie)
    assert again.status == 303
    assert "set-cookie" not in again.headers
    token = path.partition("token=")[2].partition("&")[0]
    assert token not in daemon.log.read_text()
    assert not cluster.app.heads


def test_a_page_elsewhere_gets_a_permit_and_is_led_nowhere(
    daemon: WsproxyDaemon, cluster: Cluster
) -> None:
    url = daemon.auth(cluster.run_kernel())["redirect_url"]
    port, path = int(url.split(":")[2].split("/")[0]), "/" + url.split("/", 3)[3]
    fetch = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}
    first = ask(port, "GET", path, **fetch)
    assert (first.status, first.body) == (204, b"")
    assert "location" not in first.headers
    cookie = first.headers["set-cookie"].partition(";")[0]
    assert ask(port, "GET", path, **fetch).status == 401
    assert ask(port, "GET", path, **fetch, Cookie=cookie).status == 204
    assert not cluster.app.heads
    assert ask(port, "GET", "/", Cookie=cookie).status == 200


def test_a_setup_link_of_another_circuit_is_refused(
    daemon: WsproxyDaemon, cluster: Cluster, stranger: Browser
) -> None:
    url = daemon.auth(cluster.run_kernel())["redirect_url"]
    assert stranger.ask("GET", "/" + url.split("/", 3)[3]).status == 403
    assert stranger.ask("GET", "/.backendai/setup?token=x").status == 401
    assert stranger.ask("GET", "/.backendai/else").status == 404


def test_a_websocket_needs_a_permit_too(stranger: Browser, cluster: Cluster) -> None:
    assert stranger.exchange(stranger.head("GET /ws HTTP/1.1", *WEBSOCKET))[0] == 401
    assert not cluster.app.heads


def test_an_expired_permit_is_none(daemon: WsproxyDaemon, cluster: Cluster) -> None:
    target = cluster.run_kernel()
    browser = daemon.open(target)
    assert browser.ask("GET", "/").status == 200
    cluster.sql(
        "UPDATE permits SET expires_at = now() - interval '1 s' WHERE circuit_id IN "
        "(SELECT id FROM circuits WHERE kernel_id = $1)",
        target.kernel,
    )
    until(lambda: browser.ask("GET", "/").status == 401, "the permit is none any more", 10)


def test_circuits_and_permits_cannot_be_guessed(
    daemon: WsproxyDaemon, cluster: Cluster, browser: Browser
) -> None:
    name, _, value = browser.cookie.partition("=")
    assert len(bytes.fromhex(value)) == 32
    assert len(name.rpartition("_")[2]) == 32
    kept = cluster.sql("SELECT hash FROM permits")
    assert bytes.fromhex(value) not in [bytes(row[0]) for row in kept]


# Pages of other origins (T91, T94)


def test_pages_of_other_origins_open_no_websocket(browser: Browser, cluster: Cluster) -> None:
    cluster.app.script = accept
    own = f"http://{browser.host}"
    foreign = ("http://evil.example", "null", f"{own}.evil.example", f"https://{browser.host}")
    foreign += ("http://127.0.0.1:1", f"{own}0", "")
    for origin in foreign:
        head = browser.head("GET /ws HTTP/1.1", *WEBSOCKET, f"Origin: {origin}")
        assert browser.exchange(head)[0] == 403, origin
    assert not cluster.app.heads
    with browser.connect() as connection:
        connection.sendall(browser.head("GET /ws HTTP/1.1", *WEBSOCKET, f"Origin: {own}"))
        assert b" 101 " in receive_until(connection, b"\r\n\r\n")


def test_pages_of_other_apps_do_nothing_with_the_cookie(browser: Browser) -> None:
    other = f"http://127.0.0.1:{browser.port + 1}"
    assert browser.ask("POST", "/api", b"x", Origin=other).status == 403
    assert browser.ask("DELETE", "/api", Origin="null").status == 403
    fetch = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}
    assert browser.ask("GET", "/api", **fetch).status == 403
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert browser.ask("GET", "/", **link).status == 200
    own = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
    assert browser.ask("POST", "/", b"x", Origin=f"http://{browser.host}", **own).status == 200


# What an app must not see, and what it must not say (T92, T93, T95)


def test_an_app_sees_no_credential_of_ours(browser: Browser, cluster: Cluster) -> None:
    permit = browser.cookie
    cookies = f"a=1; {permit}; AIOHTTP_SESSION=login; bai_permit_{'0' * 32}=x; b=2"
    cookies += "; __Host-bai_permit=y; sTokenKey=z; aiohttp_session=w"
    guest = Browser(browser.port, browser.host)
    answer = guest.ask(
        "GET",
        "/",
        Cookie=cookies,
        Authorization="BackendAI signMethod=HMAC-SHA256, credential=a:b",
        X_BackendAI_SessionID="login",
        X_Forwarded_For="1.2.3.4",
        X_Forwarded_Host="evil",
        X_Forwarded_User="admin",
        X_Real_IP="1.2.3.4",
        Forwarded="for=1.2.3.4",
        Proxy_Authorization="Basic x",
        TE="trailers",
        Keep_Alive="1",
        Connection="keep-alive, X-Secret",
        X_Secret="dropped",
    )
    assert answer.status == 200
    found = {name.lower(): value for name, value in answer.json()["headers"]}
    assert found["cookie"] == "a=1; b=2"
    assert found["x-forwarded-for"] == "127.0.0.1"
    assert found["x-forwarded-host"] == browser.host
    allowed = {"host", "cookie", "accept-encoding", "x-forwarded-for", "x-forwarded-host"}
    assert set(found) <= allowed | {"x-forwarded-proto"}
    assert permit.partition("=")[2] not in repr(cluster.app.heads)


def test_an_app_keeps_its_own_credentials(browser: Browser) -> None:
    answer = browser.ask("GET", "/", Authorization="token abc")
    assert ["Authorization", "token abc"] in answer.json()["headers"]


def test_headers_with_underscores_do_not_pass_for_others(browser: Browser) -> None:
    head = browser.head("GET / HTTP/1.1", "X_Forwarded_For: 6.6.6.6", "Connection: close")
    assert b"6.6.6.6" not in browser.send(head)


@pytest.mark.parametrize("name", ["Host", "Content-Length", "Cookie", "Transfer-Encoding"])
def test_no_client_has_needed_headers_dropped(browser: Browser, name: str) -> None:
    head = browser.head("GET / HTTP/1.1", f"Connection: close, {name}")
    assert browser.exchange(head)[0] == 400


def test_an_app_sets_cookies_for_itself_alone(browser: Browser, cluster: Cluster) -> None:
    said = [
        "Set-Cookie: good=1; Path=/; Domain=127.0.0.1; HttpOnly",
        "Set-Cookie: bai_permit_0=1",
        "Set-Cookie: __Host-bai_permit=1",
        "Set-Cookie: AIOHTTP_SESSION=1; Path=/",
        "set-cookie: __Secure-AIOHTTP_SESSION=1",
        "Set-Cookie: nothing",
        *[f"Set-Cookie: c{number}=1" for number in range(100)],
        "Strict-Transport-Security: max-age=99999999",
        "Clear-Site-Data: *",
        'Alt-Svc: h2="evil:443"',
        "X-Frame-Options: DENY",
    ]
    text = "HTTP/1.1 200 OK\r\n" + "\r\n".join(said) + "\r\nContent-Length: 0\r\n\r\n"
    cluster.app.answer(text.encode())
    whole = browser.send(browser.head("GET / HTTP/1.1", "Connection: close"))
    assert b"good=1; Path=/; HttpOnly" in whole
    for word in (b"bai_permit", b"SESSION", b"Domain", b"Strict-T", b"Clear-Site", b"Alt-Svc"):
        assert word not in whole, word
    assert b"X-Frame-Options: DENY" in whole
    assert whole.lower().count(b"set-cookie") <= 50


# Where a request leads (T96, T97, T99, T101)


def test_a_request_leads_to_its_circuit_whatever_it_names(browser: Browser) -> None:
    evil = Browser(browser.port, "169.254.169.254", browser.cookie)
    assert evil.ask("GET", "/").json()["headers"][0] == ["Host", "169.254.169.254"]
    assert browser.ask("GET", "//evil.example/x").json()["request"].startswith("GET //evil")
    for target in ("http://evil.example/", "https://x", "evil.example:80", "*", "a"):
        status, _ = browser.exchange(browser.head(f"GET {target} HTTP/1.1", "Connection: close"))
        assert status == 400, target
    for line in ("CONNECT evil:80 HTTP/1.1", "TRACE / HTTP/1.1"):
        assert browser.exchange(browser.head(line))[0] in (400, 405)


def test_redirects_are_not_followed(browser: Browser, cluster: Cluster) -> None:
    said = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    cluster.app.answer(said)
    answer = browser.ask("GET", "/")
    assert (answer.status, answer.headers["location"]) == (302, "http://169.254.169.254/")


SMUGGLED = [
    b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    b"Content-Length: 3\r\nContent-Length: 4\r\n",
    b"Content-Length: 3, 3\r\n",
    b"Content-Length: +3\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 0x3\r\n",
    b"Content-Length: \xd9\xa3\r\n",
    b"Content-Length : 3\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"Transfer-Encoding\x00: chunked\r\n",
    b"X: a\r\n Content-Length: 3\r\n",
    b"X: a\r\n\tb\r\n",
    b"X: a\nContent-Length: 3\r\n",
    b"X: a\rContent-Length: 3\r\n",
    b"X: a\x00b\r\n",
    b" X: a\r\n",
    b": a\r\n",
    b"X\r\n",
    b"Host: other\r\n",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAA\r\n",
    b"Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n",
]


@pytest.mark.parametrize("lines", SMUGGLED, ids=lambda lines: lines[:30].decode("latin-1"))
def test_requests_with_two_meanings_are_refused(
    browser: Browser, cluster: Cluster, lines: bytes
) -> None:
    head = browser.head("POST / HTTP/1.1")[:-2] + lines + b"\r\n"
    whole = browser.send(head + b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status_of(whole) == 400, whole[:200]
    assert whole.count(b"HTTP/1.1 ") == 1
    assert not any(b"smuggled" in head for head in cluster.app.heads)


@pytest.mark.parametrize(
    "body",
    [
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"\r\n0\r\n\r\n",
        b"3;" + b"x" * 5000 + b"\r\nabc\r\n0\r\n\r\n",
        b"ffffffffffffffff1\r\nabc",
        b"0\r\nX : y\r\n\r\n",
        b"0\r\n y\r\n\r\n",
        b"3\r\nabc0\r\n\r\n",
    ],
)
def test_chunks_with_two_meanings_are_refused(
    browser: Browser, cluster: Cluster, body: bytes
) -> None:
    head = browser.head("POST / HTTP/1.1", "Transfer-Encoding: chunked")
    whole = browser.send(head + body + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status_of(whole) == 400, whole[:200]
    assert not any(b"smuggled" in head for head in cluster.app.heads)


@pytest.mark.parametrize(
    "data", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"]
)
def test_other_protocols_are_refused(browser: Browser, data: bytes) -> None:
    assert browser.exchange(data)[0] in (400, 505)


def test_bytes_behind_the_head_of_a_websocket_are_refused(
    browser: Browser, cluster: Cluster
) -> None:
    head = browser.head("GET /ws HTTP/1.1", *WEBSOCKET)
    assert browser.exchange(head + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")[0] == 400
    assert not cluster.app.heads


def test_a_refused_websocket_ends_its_connection(browser: Browser, cluster: Cluster) -> None:
    """Else what is thought to be in a tunnel would be a request."""
    with browser.connect() as connection:
        connection.sendall(browser.head("GET /no HTTP/1.1", *WEBSOCKET))
        receive_until(connection, b"\r\n\r\n")
        connection.sendall(browser.head("GET /smuggled HTTP/1.1"))
        receive_all(connection)
    assert not any(b"smuggled" in head for head in cluster.app.heads)


def test_bare_connections_from_elsewhere_get_nothing(
    daemon: WsproxyDaemon, cluster: Cluster
) -> None:
    target = cluster.run_kernel("tcp", "sshd")
    port = daemon.add(target).json()["port"]
    opened = cluster.relay.opened
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"SSH-2.0-x\r\n")
        assert receive_all(connection) == b""
    url = daemon.auth(target)["redirect_url"]
    assert daemon.ask("GET", url[url.index("/setup") :]).status == 200
    with socket.create_connection(
        ("127.0.0.1", port), source_address=("127.0.0.2", 0)
    ) as connection:
        assert receive_all(connection) == b""
    assert cluster.relay.opened == opened


@pytest.fixture(scope="module")
def domain_daemon(
    shared_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WsproxyDaemon]:
    home = tmp_path_factory.mktemp("domain")
    more = f'mode = "subdomain"\ndomain = "apps.test"\napps-addr = "127.0.0.1:{find_port()}"'
    with running_wsproxy(home, shared_cluster.dsn, more=more) as found:
        yield found


def test_names_are_matched_as_a_whole(domain_daemon: WsproxyDaemon, cluster: Cluster) -> None:
    target = cluster.run_kernel()
    browser = domain_daemon.open(target)
    assert browser.ask("GET", "/").status == 200
    name, _, port = browser.host.partition(":")
    label = name.partition(".")[0]
    assert len(label) == 32
    for host in (
        f"{name}.evil.example",
        f"evil{name}",
        f"x.{name}",
        "apps.test",
        f"{label}.apps.test.",
        f"{label}.apps.testx",
        f"{label}.appsxtest",
        f"{label}",
        f"{name}:{port}:80",
        f"{name}:8x",
    ):
        evil = Browser(browser.port, host, browser.cookie)
        assert evil.ask("GET", "/").status in (400, 404), host
    assert len(cluster.app.heads) == 1
    chosen = cluster.run_kernel()
    assert domain_daemon.open(chosen, subdomain="mine").host == f"mine.apps.test:{port}"
    taken = cluster.run_kernel()
    token = domain_daemon.conf(taken)
    assert domain_daemon.ask("GET", f"/v2/proxy/auth?token={token}&subdomain=mine").status == 409
    assert domain_daemon.ask("GET", f"/v2/proxy/auth?token={token}&subdomain=a.b").status == 400


def test_links_lead_nowhere_else(daemon: WsproxyDaemon, target: Target) -> None:
    token = daemon.conf(target)
    for path in ("//evil", "/\\evil", "\\evil", "https:evil", "javascript:x", "/a%0d%0aX:y", ""):
        url = f"/v2/proxy/auth?token={token}&redirect={path}"
        assert daemon.ask("GET", url).status == 400, path


# What takes too much (T98, T103, slow-loris)


def memory_of(daemon: WsproxyDaemon) -> int:
    assert daemon.process is not None
    return int(psutil.Process(daemon.process.pid).memory_info().rss)


def test_endless_heads_of_an_app_end(browser: Browser, cluster: Cluster) -> None:
    async def script(_head: bytes, _reader: Any, writer: Any) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(10_000):
            writer.write(b"X: " + b"x" * 10_000 + b"\r\n")
            await writer.drain()

    cluster.app.script = script
    assert browser.exchange(browser.head("GET / HTTP/1.1"))[0] == 502


def test_a_packed_answer_is_passed_as_it_is(browser: Browser, cluster: Cluster) -> None:
    cluster.app.answer(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbomb"
    )
    answer = browser.ask("GET", "/")
    assert (answer.headers["content-encoding"], answer.body) == ("gzip", b"bomb")


def test_a_websocket_that_is_not_read_takes_no_memory(
    browser: Browser, cluster: Cluster, daemon: WsproxyDaemon
) -> None:
    """One frame of a gigabyte, without end, and a reader that sleeps: closed, and nothing grows."""

    async def script(_head: bytes, _reader: Any, writer: Any) -> None:
        writer.write(ACCEPTED + b"\x82\x7f\x00\x00\x00\x00\x40\x00\x00\x00")
        for _ in range(1 << 14):
            writer.write(b"x" * 65536)
            await writer.drain()

    cluster.app.script = script
    before = memory_of(daemon)
    gone = cluster.relay.gone
    with browser.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(browser.head("GET /ws HTTP/1.1", *WEBSOCKET))
        receive_until(connection, b"\r\n\r\n")
        until(lambda: cluster.relay.gone > gone, "the stream that nobody reads is closed", 20)
        assert memory_of(daemon) - before < 32 << 20


def test_answers_that_are_not_read_take_no_memory(
    browser: Browser, cluster: Cluster, daemon: WsproxyDaemon
) -> None:
    """Requests sent ahead, each answered over a connection of its own, and a reader that sleeps."""
    size, count = 60_000, 2000

    async def script(_head: bytes, _reader: Any, writer: Any) -> None:
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size
        writer.write(head + b"x" * size)
        await writer.drain()
        writer.close()

    cluster.app.script = script
    before = memory_of(daemon)
    with browser.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(browser.head("GET / HTTP/1.1") * count)
        seen = -1

        def is_held() -> bool:
            nonlocal seen
            held, seen = seen == len(cluster.app.heads) > 0, len(cluster.app.heads)
            return held

        until(is_held, "no more is asked of the app")
        assert len(cluster.app.heads) < count
        assert memory_of(daemon) - before < 32 << 20


def test_who_does_not_read_keeps_no_line_from_others(browser: Browser, cluster: Cluster) -> None:
    """The last piece of an answer fills the browser's buffers: its line goes on to the next one."""
    body = b"x" * 60_000

    async def script(_head: bytes, _reader: Any, writer: Any) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    cluster.app.script = script
    with browser.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        # Until it is held back: nothing more is asked for who is behind.
        with contextlib.suppress(NotInTime):
            for asked in range(0, 400, 2):
                connection.sendall(browser.head("GET / HTTP/1.1"))
                until(lambda n=asked: len(cluster.app.heads) > n, "the app was asked", 1)
                assert browser.ask("GET", "/").status == 200
        assert len(cluster.app.heads) < 400
        assert browser.ask("GET", "/").status == 200


def test_slow_heads_hold_nobody_else(browser: Browser) -> None:
    """Connections that say one letter now and then are closed, and others served meanwhile."""
    slow = [browser.connect() for _ in range(100)]
    try:
        for connection in slow:
            connection.sendall(b"GET / HT")
        started = time.monotonic()
        assert browser.ask("GET", "/").status == 200
        assert time.monotonic() - started < 5
        assert all(status_of(receive_all(connection)) == 408 for connection in slow)
    finally:
        for connection in slow:
            connection.close()


def test_malformed_bytes_break_nothing(browser: Browser, daemon: WsproxyDaemon) -> None:
    """Heads with bytes changed, doubled, cut and mixed: each is answered or closed, none kills."""
    random_ = random.Random(int(os.environ.get("BAI_TEST_SEED", "5")))
    seeds = [
        browser.head("GET /a?b=c HTTP/1.1", "Accept: */*", "X-Y: z"),
        browser.head("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
        browser.head("POST / HTTP/1.1", "Content-Length: 5") + b"hello",
        browser.head("GET /ws HTTP/1.1", *WEBSOCKET),
        b"GET /.backendai/setup?token=a.b.c HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
    for _ in range(400):
        data = bytearray(random_.choice(seeds))
        for _ in range(random_.randint(1, 6)):
            at = random_.randrange(len(data))
            match random_.randrange(4):
                case 0:
                    data[at] = random_.randrange(256)
                case 1:
                    data[at:at] = bytes(random_.choices(b"\r\n\0 :\t,;%\xff", k=3))
                case 2:
                    del data[at : at + random_.randint(1, 9)]
                case _:
                    data[at:at] = data[at : at + random_.randint(1, 40)]
        answer = browser.send(bytes(data), half_close=True)
        assert not answer or status_of(answer) in (*range(200, 212), *range(400, 506)), data
        assert status_of(answer) != 500, data
    assert not daemon.is_dead()
    assert "Traceback" not in daemon.log.read_text()
    assert browser.ask("GET", "/").status == 200


# Ends (T104)


@pytest.mark.parametrize("how", ["kernel", "user", "generation"])
def test_live_streams_end_with_the_right_to_them(
    daemon: WsproxyDaemon, cluster: Cluster, browser: Browser, how: str
) -> None:
    cluster.app.script = accept
    target = cluster.run_kernel()
    own = daemon.open(target)
    with own.connect() as connection:
        connection.sendall(own.head("GET /ws HTTP/1.1", *WEBSOCKET))
        receive_until(connection, b"\r\n\r\n")
        connection.sendall(b"alive")
        assert receive_until(connection, b"alive") == b"alive"
        started = time.monotonic()
        match how:
            case "kernel":
                cluster.end_kernel(target)
            case "user":
                words = "UPDATE users SET status = $2 WHERE id = $1"
                cluster.sql(words, target.owner, "inactive")
            case _:
                words = "UPDATE kernels SET generation = 2 WHERE id = $1"
                cluster.sql(words, target.kernel)
        try:
            assert receive_all(connection) == b""
            assert time.monotonic() - started < 5
        finally:
            words = "UPDATE users SET status = 'active' WHERE id = $1"
            cluster.sql(words, target.owner)
    # The other circuits of a user who comes back are there again.
    cluster.app.script = None
    until(lambda: browser.ask("GET", "/").status == 200, "the others go on")


def test_a_bare_connection_ends_with_the_right_to_it(
    daemon: WsproxyDaemon, cluster: Cluster
) -> None:
    target = cluster.run_kernel("tcp", "sshd")
    url = daemon.auth(target)["redirect_url"]
    port = daemon.ask("GET", url[url.index("/setup") :]).json()["port"]
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert b"200 OK" in receive_until(connection, b"\r\n\r\n")
        started = time.monotonic()
        cluster.end_kernel(target)
        receive_all(connection)
        assert time.monotonic() - started < 5


def test_the_log_holds_no_permit_and_no_token(
    daemon: WsproxyDaemon, target: Target, browser: Browser
) -> None:
    token = daemon.conf(target)
    path = f"/v2/proxy/{token}/{target.session}"
    assert daemon.ask("GET", path).status == 200
    shown = f"/v2/proxy/***/{target.session}"
    log = until(lambda: shown in daemon.log.read_text() and daemon.log.read_text(), "it is logged")
    assert token not in log
    assert browser.cookie.partition("=")[2] not in log
