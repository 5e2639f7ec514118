"""Requests and answers on their way through the app proxy."""

import asyncio
import json
import socket
import struct
from typing import Any

import pytest

from backendai.common.tickets import Refusal, RelayCode
from tests.integration.wsproxy.cluster import Cluster
from tests.running.waiting import until
from tests.running.wsproxy import (
    Browser,
    Target,
    WsproxyDaemon,
    ask,
    await_log,
    read_body,
    receive_all,
    receive_until,
)

CLOSE = "Connection: close"
# Close at once, with a reset.
RESET = struct.pack("ii", 1, 0)
PREFLIGHT = {"Access-Control-Request-Method": "GET"}


@pytest.fixture(scope="module")
def shared_browser(shared_daemon: WsproxyDaemon, shared_target: Target) -> Browser:
    return shared_daemon.open(shared_target)


@pytest.fixture
def browser(shared_browser: Browser, daemon: WsproxyDaemon) -> Browser:
    """With a permit for the app of the cluster."""
    return shared_browser


def shown(answer: bytes) -> Any:
    """What the app saw."""
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def test_without_a_permit_nobody_reaches_the_app(browser: Browser, cluster: Cluster) -> None:
    stranger = Browser(browser.port, browser.host)
    answer = stranger.ask("GET", "/", Accept="application/json")
    assert answer.status == 401, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["data"]["requestId"] == answer.headers["x-request-id"]
    assert not cluster.app.heads


def test_a_wrong_permit_is_none(browser: Browser, cluster: Cluster) -> None:
    name = browser.cookie.partition("=")[0]
    for value in ("", "0" * 64, "x" * 4000, "\xff"):
        stranger = Browser(browser.port, browser.host, f"{name}={value}")
        assert stranger.ask("GET", "/").status == 401
    assert not cluster.app.heads


def test_the_permit_of_another_circuit_is_none(
    browser: Browser, daemon: WsproxyDaemon, cluster: Cluster
) -> None:
    other = daemon.open(cluster.run_kernel())
    value = other.cookie.partition("=")[2]
    mine = browser.cookie.partition("=")[0]
    for cookie in (other.cookie, f"{mine}={value}"):
        assert Browser(browser.port, browser.host, cookie).ask("GET", "/").status == 401
    assert other.ask("GET", "/").status == 200


def test_a_page_for_people_says_what_to_do(browser: Browser) -> None:
    answer = Browser(browser.port, browser.host).ask("GET", "/", Accept="text/html")
    assert answer.headers["content-type"].startswith("text/html")
    assert b"color-scheme: light dark" in answer.body
    assert answer.headers["x-request-id"].encode() in answer.body
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_the_app_gets_the_request_as_it_was(browser: Browser) -> None:
    answer = browser.ask("GET", "/lab?x=1&y=%2f..", X_Own="kept")
    assert answer.status == 200, answer
    found = answer.json()
    assert found["request"] == "GET /lab?x=1&y=%2f.. HTTP/1.1"
    headers = dict(found["headers"])
    assert headers["Host"] == browser.host
    assert headers["X-Own"] == "kept"
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "http"
    assert headers["X-Forwarded-Host"] == browser.host
    assert answer.headers["x-app"] == "yes"


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_bodies_with_a_length_arrive(browser: Browser, size: int) -> None:
    assert browser.ask("POST", "/", b"x" * size).json()["body"] == size


def test_chunked_bodies_arrive_chunked(browser: Browser) -> None:
    head = browser.head("POST /up HTTP/1.1", "Transfer-Encoding: chunked", CLOSE)
    body = b"5;ext=1\r\nhello\r\n" + b"1000\r\n" + b"x" * 4096 + b"\r\n0\r\nX-T: 1\r\n\r\n"
    with browser.connect() as connection:
        for at in range(0, len(head + body), 777):
            connection.sendall((head + body)[at : at + 777])
        found = shown(receive_all(connection))
    assert found["body"] == 5 + 4096
    assert ["Transfer-Encoding", "chunked"] in found["headers"]


def test_requests_of_one_connection_are_answered_in_order(
    browser: Browser, cluster: Cluster
) -> None:
    before = cluster.app.connections
    heads = [browser.head(f"GET /{number} HTTP/1.1") for number in range(9)]
    post = browser.head("POST /9 HTTP/1.1", "Content-Length: 3", CLOSE) + b"abc"
    answers = browser.send(b"".join(heads) + post)
    assert answers.count(b"HTTP/1.1 200 OK") == 10
    order = [answers.index(b"/%d HTTP" % number) for number in range(10)]
    assert order == sorted(order)
    # The app's connection is used again.
    assert cluster.app.connections - before <= 2


def test_an_announced_body_is_sent_when_the_app_says_so(browser: Browser, cluster: Cluster) -> None:
    async def script(head: bytes, reader: Any, writer: Any) -> None:
        assert b"expect: 100-continue" in head.lower()
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await read_body(head, reader)
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    cluster.app.script = script
    with browser.connect() as connection:
        extra = ("Expect: 100-continue", "Content-Length: 5", CLOSE)
        connection.sendall(browser.head("PUT /f HTTP/1.1", *extra))
        assert receive_until(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 100")
        connection.sendall(b"hello")
        assert receive_all(connection).endswith(b"hello")


@pytest.mark.parametrize(
    ("said", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", 304, b""),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 103, b""),
    ],
)
def test_answers_of_every_kind(
    browser: Browser, cluster: Cluster, said: bytes, status: int, body: bytes
) -> None:
    cluster.app.answer(said)
    found, whole = browser.exchange(browser.head("GET / HTTP/1.1", CLOSE))
    assert found == status, whole
    assert whole.partition(b"\r\n\r\n")[2].endswith(body)


def test_chunked_answers_keep_their_trailers(browser: Browser, cluster: Cluster) -> None:
    cluster.app.answer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2;x=y\r\nab\r\n3\r\ncde\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\n\r\n"
    )
    _, whole = browser.exchange(browser.head("GET / HTTP/1.1", CLOSE))
    assert whole.endswith(
        b"\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\nX-Sum: 1\r\n\r\n"
    ) or whole.endswith(b"\r\n\r\n5\r\nabcde\r\n0\r\nX-Sum: 1\r\n\r\n")


def test_an_old_browser_gets_chunks_as_plain_bytes(browser: Browser, cluster: Cluster) -> None:
    cluster.app.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
    _, whole = browser.exchange(browser.head("GET / HTTP/1.0"))
    assert whole.endswith(b"\r\n\r\nab")
    assert b"chunked" not in whole


def test_head_has_the_length_and_no_body(browser: Browser) -> None:
    answer = browser.ask("HEAD", "/")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_a_long_answer_waits_for_a_slow_reader(browser: Browser, cluster: Cluster) -> None:
    size = 96 << 20
    written = 0

    async def script(_head: bytes, _reader: Any, writer: Any) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 16):
            writer.write(b"x" * (1 << 16))
            await writer.drain()
            written += 1 << 16

    cluster.app.script = script
    with browser.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(browser.head("GET / HTTP/1.1", CLOSE))
        receive_until(connection, b"\r\n\r\n")
        quiet_at = -1

        def is_held() -> bool:
            nonlocal quiet_at
            held, quiet_at = quiet_at == written > 0, written
            return held

        until(is_held, "the app is held back")
        assert written < size
        assert len(receive_all(connection)) > size - (1 << 20)


def test_a_slow_app_holds_a_fast_browser(browser: Browser, cluster: Cluster) -> None:
    release = asyncio.Event()

    async def script(head: bytes, reader: Any, writer: Any) -> None:
        await release.wait()
        body = await read_body(head, reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n%7d" % len(body))

    cluster.app.script = script
    body = b"x" * (4 << 20)
    with browser.connect() as connection:
        connection.sendall(browser.head("PUT / HTTP/1.1", f"Content-Length: {len(body)}", CLOSE))
        connection.settimeout(0.3)
        sent = 0
        try:
            while sent < len(body):
                sent += connection.send(body[sent : sent + 65536])
        except TimeoutError:
            pass
        cluster.loop.loop.call_soon_threadsafe(release.set)
        connection.settimeout(60)
        connection.sendall(body[sent:])
        assert receive_all(connection).endswith(b"4194304")


def test_a_kept_connection_that_the_app_closed_is_not_seen(
    browser: Browser, cluster: Cluster
) -> None:
    """What may be repeated is repeated once, on a connection that is new."""
    asked: list[bytes] = []

    async def script(head: bytes, _reader: Any, writer: Any) -> None:
        asked.append(head)
        if len(asked) == 2:
            writer.transport.abort()
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")

    cluster.app.script = script
    assert browser.ask("GET", "/").status == 200
    assert browser.ask("GET", "/").status == 200
    assert len(asked) == 3


def test_what_may_not_be_repeated_is_not(browser: Browser, cluster: Cluster) -> None:
    asked: list[bytes] = []

    async def script(head: bytes, reader: Any, writer: Any) -> None:
        asked.append(head)
        await read_body(head, reader)
        if head.startswith(b"POST"):
            writer.transport.abort()
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")

    cluster.app.script = script
    assert browser.ask("GET", "/").status == 200
    assert browser.ask("POST", "/", b"x").status == 502
    assert len(asked) == 2


def test_an_app_that_does_not_listen_is_told_of(browser: Browser, cluster: Cluster) -> None:
    cluster.relay.refusals.append(Refusal(RelayCode.REFUSED, "nobody listens"))
    head = browser.head("GET / HTTP/1.1", "Upgrade: websocket", "Connection: upgrade")
    status, whole = browser.exchange(head)
    assert status == 502
    assert b"Retry-After: 3" in whole


def test_a_node_that_starts_anew_is_waited_for(browser: Browser, cluster: Cluster) -> None:
    cluster.relay.refusals += [Refusal(RelayCode.GONE)] * 3
    websocket = browser.head("GET /w HTTP/1.1", "Upgrade: websocket", "Connection: upgrade")
    assert browser.exchange(websocket)[0] == 200
    assert not cluster.relay.refusals


def test_an_upgraded_connection_passes_bytes_both_ways(browser: Browser, cluster: Cluster) -> None:
    async def script(_head: bytes, reader: Any, writer: Any) -> None:
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: x\r\n\r\nfirst"
        )
        while data := await reader.read(65536):
            writer.write(data.upper())
        writer.write(b"end")
        writer.close()

    cluster.app.script = script
    with browser.connect() as connection:
        lines = ("Upgrade: websocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Key: k")
        connection.sendall(browser.head("GET /ws HTTP/1.1", *lines))
        assert b"101 Switching" in receive_until(connection, b"first")
        connection.sendall(b"some bytes")
        assert receive_until(connection, b"SOME BYTES") == b"SOME BYTES"
        connection.shutdown(socket.SHUT_WR)
        assert receive_all(connection) == b"end"
    assert b"Upgrade: websocket" in cluster.app.heads[-1]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"nonsense\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "two lengths"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "both"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "coding"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 80_000 + b"\r\n\r\n", "long head"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 50, "endless announcements"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n", "unasked upgrade"),
        (b"", "nothing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_answers_that_are_none_are_told_of(
    browser: Browser, cluster: Cluster, said: bytes, why: str
) -> None:
    cluster.app.answer(said)
    _, whole = browser.exchange(browser.head("GET / HTTP/1.1", CLOSE))
    assert b"HTTP/1.1 502 Bad Gateway" in whole, why


def test_a_cut_answer_is_seen_as_cut(browser: Browser, cluster: Cluster) -> None:
    cluster.app.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    _, whole = browser.exchange(browser.head("GET / HTTP/1.1"))
    assert b"502" not in whole
    cluster.app.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf")
    _, whole = browser.exchange(browser.head("GET / HTTP/1.1"))
    assert not whole.endswith(b"0\r\n\r\n")


def test_an_app_that_does_not_answer_is_given_up(browser: Browser, cluster: Cluster) -> None:
    async def script(_head: bytes, reader: Any, _writer: Any) -> None:
        await reader.read()

    cluster.app.script = script
    assert browser.exchange(browser.head("GET / HTTP/1.1"))[0] == 504


def test_a_head_that_does_not_come_is_given_up(browser: Browser) -> None:
    assert browser.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n")[0] == 408


def test_a_body_that_does_not_come_is_given_up(browser: Browser) -> None:
    head = browser.head("POST / HTTP/1.1", "Content-Length: 10")
    assert browser.exchange(head + b"half")[0] == 408


def test_a_connection_without_requests_is_closed(browser: Browser) -> None:
    assert browser.send(b"") == b""


def test_sizes_have_limits(browser: Browser, cluster: Cluster) -> None:
    long = "x" * 70_000
    assert browser.exchange(browser.head("GET / HTTP/1.1", f"X: {long}"))[0] == 431
    many = [f"X-{number}: 1" for number in range(200)]
    assert browser.exchange(browser.head("GET / HTTP/1.1", *many))[0] == 431
    assert browser.exchange(browser.head(f"GET /{long[:20_000]} HTTP/1.1"))[0] == 414
    length = browser.head("POST / HTTP/1.1", "Content-Length: 4194305")
    assert browser.exchange(length)[0] == 413
    assert not cluster.app.heads
    chunked = browser.head("POST / HTTP/1.1", "Transfer-Encoding: chunked")
    assert browser.exchange(chunked + b"500000\r\n" + b"x" * 0x500000)[0] == 413


def test_the_answer_to_a_body_that_is_not_wanted_arrives(
    browser: Browser, cluster: Cluster
) -> None:
    """The app answers before it has the body; the rest of it must not become a request."""

    async def script(_head: bytes, reader: Any, writer: Any) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno")
        await reader.read()

    cluster.app.script = script
    head = browser.head("POST / HTTP/1.1", "Content-Length: 2000000")
    status, whole = browser.exchange(head + b"GET / HTTP/1.1\r\n" * 60_000)
    assert status == 400
    assert whole.count(b"HTTP/1.1") == 1


def test_tcp_apps_open_for_the_address_that_was_let_in(
    daemon: WsproxyDaemon, cluster: Cluster
) -> None:
    target = cluster.run_kernel("tcp", "sshd")
    added = daemon.add(target).json()
    port = added["port"]
    with socket.create_connection(("127.0.0.1", port)) as connection:
        assert receive_all(connection) == b""
    url = daemon.auth(target)["redirect_url"]
    path = url[url.index("/setup") :]
    shown = daemon.ask("GET", path).json()
    assert (shown["port"], shown["gateway"]) == (port, f"tcp://127.0.0.1:{port}")
    assert daemon.ask("GET", path).status == 401
    found = ask(port, "GET", "/bare")
    assert found.json()["request"] == "GET /bare HTTP/1.1"
    headers = dict(found.json()["headers"])
    assert "X-Forwarded-For" not in headers


def test_whoever_has_finished_sending_gets_the_answer(
    daemon: WsproxyDaemon, cluster: Cluster
) -> None:
    """Also when the end came before the app was there."""

    async def answer(_head: bytes, reader: Any, writer: Any) -> None:
        rest = await reader.read()
        writer.write(b"%d bytes" % len(rest))
        writer.close()

    cluster.app.script = answer
    target = cluster.run_kernel("tcp", "sshd")
    url = daemon.auth(target)["redirect_url"]
    port = daemon.ask("GET", url[url.index("/setup") :]).json()["port"]
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"HELLO\r\n\r\n" + b"x" * 10_000)
        connection.shutdown(socket.SHUT_WR)
        assert receive_all(connection) == b"10000 bytes"


def test_a_node_that_takes_a_connection_and_says_nothing_is_told_of(
    daemon: WsproxyDaemon, cluster: Cluster
) -> None:
    target, bare = cluster.run_kernel(), cluster.run_kernel("tcp", "sshd")
    browser = daemon.open(target)
    url = daemon.auth(bare)["redirect_url"]
    port = daemon.ask("GET", url[url.index("/setup") :]).json()["port"]
    cluster.relay.silences = 2
    answer = browser.ask("GET", "/", Accept="application/json")
    assert (answer.status, answer.json()["msg"]) == (504, "The node did not let us in in time.")
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"hello")
        assert receive_all(connection) == b""
    await_log(daemon, "tunnel.late")
    assert browser.ask("GET", "/").status == 200


ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5f5e100\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
)
UPGRADE = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: a")


@pytest.mark.parametrize("head", ANSWERS)
@pytest.mark.parametrize("is_reset", [True, False])
def test_whoever_leaves_within_an_answer_leaves_nothing_behind(
    browser: Browser, daemon: WsproxyDaemon, cluster: Cluster, head: bytes, is_reset: bool
) -> None:
    """Neither a connection to the app, nor one of its own, nor an error."""
    left = 0

    async def talk(_head: bytes, _reader: Any, writer: Any) -> None:
        nonlocal left
        writer.write(head)
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        finally:
            left += 1

    cluster.app.script = talk
    before = daemon.count_descriptors()
    request = browser.head("GET / HTTP/1.1", *(UPGRADE if b" 101 " in head else ()))
    for _ in range(5):
        with browser.connect() as connection:
            connection.sendall(request)
            receive_until(connection, b"\r\n\r\n")
            if is_reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    until(lambda: left == 5, "the app is left")
    until(lambda: daemon.count_descriptors() <= before, "all descriptors are given back")
    assert "Traceback" not in daemon.log.read_text()


@pytest.mark.parametrize("is_first", [True, False])
def test_a_tunnel_of_which_both_ends_have_finished_is_over(
    browser: Browser, daemon: WsproxyDaemon, cluster: Cluster, is_first: bool
) -> None:
    """Sooner than when it is idle for too long."""

    async def end(_head: bytes, reader: Any, writer: Any) -> None:
        writer.write(ANSWERS[-1] + b"bye")
        if is_first:
            writer.write_eof()
        assert await reader.read() == b"so long"
        if not is_first:
            writer.write(b"!")
        writer.close()

    cluster.app.script = end
    before = daemon.count_descriptors()
    with browser.connect() as connection:
        connection.sendall(browser.head("GET / HTTP/1.1", *UPGRADE))
        shown = receive_all(connection) if is_first else receive_until(connection, b"bye")
        assert shown.endswith(b"bye")
        connection.sendall(b"so long")
        connection.shutdown(socket.SHUT_WR)
        assert receive_all(connection) == (b"" if is_first else b"!")
        until(lambda: daemon.count_descriptors() <= before, "the tunnel is gone", 4)


def test_status_tells_how_it_is_asked(daemon: WsproxyDaemon) -> None:
    shown = daemon.ask("GET", "/status").json()
    assert shown["api_version"] == "v2"
    assert shown["advertise_address"] == f"http://127.0.0.1:{daemon.port}"
    assert daemon.ask("GET", "/health").status == 200


def test_a_circuit_is_reused_by_its_owner(daemon: WsproxyDaemon, target: Target) -> None:
    first = daemon.auth(target)
    assert daemon.auth(target)["reuse"] is True
    assert first["redirect_url"] != daemon.auth(target)["redirect_url"]


def test_a_browser_is_led_where_it_wants(daemon: WsproxyDaemon, target: Target) -> None:
    url = daemon.auth(target, redirect="/lab/tree/a%20b?x=1")["redirect_url"]
    port = int(url.split(":")[2].split("/")[0])
    answer = ask(port, "GET", url.partition(f":{port}")[2])
    assert answer.status == 303
    assert answer.headers["location"] == "/lab/tree/a b?x=1".replace(" ", "%20")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=Lax" in answer.headers["set-cookie"]
    assert "Domain" not in answer.headers["set-cookie"]


def test_public_circuits_need_no_permit_and_may_be_kept_to_networks(
    daemon: WsproxyDaemon, cluster: Cluster
) -> None:
    target = cluster.run_kernel()
    assert daemon.open(target, open_to_public="true").ask("GET", "/").status == 200
    limited = daemon.open(
        cluster.run_kernel(), open_to_public="true", allowed_client_ips="10.9.0.0/16"
    )
    answer = limited.ask("GET", "/", X_Forwarded_For="10.9.0.1")
    assert answer.status == 403
    bad = daemon.add(target, allowed_client_ips="nonsense")
    assert bad.status == 400


def test_a_circuit_is_given_back(daemon: WsproxyDaemon, cluster: Cluster) -> None:
    target = cluster.run_kernel()
    browser = daemon.open(target)
    path = f"/v2/proxy/{daemon.conf(target)}/{target.session}"
    assert daemon.ask("GET", path).status == 200
    stranger = cluster.run_kernel()
    assert daemon.ask("GET", f"/v2/proxy/{daemon.conf(stranger)}/{target.session}").status == 404
    assert daemon.ask("GET", f"/v2/proxy/AKIATEST/{target.session}/delete").status == 404
    assert daemon.ask("GET", f"{path}/delete?app=jupyterlab").status == 200
    with pytest.raises(OSError, match="refused"):
        browser.ask("GET", "/")
    rows = cluster.sql("SELECT close_reason FROM circuits WHERE kernel_id = $1", target.kernel)
    assert [row[0] for row in rows] == ["closed by its user"]


def test_the_key_in_the_link_closes_a_circuit_and_no_other(
    daemon: WsproxyDaemon, cluster: Cluster
) -> None:
    target, other = cluster.run_kernel(), cluster.run_kernel()
    key = daemon.auth(target)["redirect_url"].partition("permit_key=")[2]
    daemon.auth(other)
    path = "/v2/proxy/AKIATEST/{}/delete?permit_key=" + key
    assert daemon.ask("GET", path.format(other.session)).status == 404
    assert daemon.ask("GET", path.format(target.session)).status == 200
    assert daemon.ask("GET", path.format(target.session)).status == 404


def test_pages_of_any_origin_may_ask_for_circuits(daemon: WsproxyDaemon) -> None:
    answer = daemon.ask("OPTIONS", "/v2/proxy/auth", Origin="http://gui", **PREFLIGHT)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "http://gui"
    assert answer.headers["access-control-allow-credentials"] == "true"
