"""The HTTP edge over a real socket: ids, problems, parameters, and nothing that leaks."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import trafaret as t
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from backendai.common.access_log import AccessLog
from backendai.common.clock import FakeClock
from backendai.common.faults import RateLimited, ServerMisconfigured, SessionNotFound
from backendai.common.health import health_handlers
from backendai.common.http import json_response, lasting, make_app, raw_target, serve
from backendai.common.logs import context_field
from backendai.common.loops import LoopHealth
from backendai.common.params import read_params
from backendai.common.settings.checks import HostPort

BODY_BYTES_MAX = 100_000
PARAMS = t.Dict({t.Key("name"): t.String, t.Key("count", optional=True): t.ToInt})
lines: list[str] = []


class AwayError(Exception):
    """As a store's driver raises it."""


async def show_params(request: web.Request) -> web.Response:
    return json_response(await read_params(request, PARAMS))


async def show_target(request: web.Request) -> web.Response:
    return json_response({"target": raw_target(request), "id": context_field("request_id")})


async def fail(request: web.Request) -> web.StreamResponse:
    match request.match_info["how"]:
        case "fault":
            raise SessionNotFound("gone")
        case "limit":
            raise RateLimited("", {"retryAfterSeconds": 7})
        case "away":
            raise AwayError("secret address")
        case "timeout":
            async with asyncio.timeout(0):
                await asyncio.sleep(1)
        case "redirect":
            raise web.HTTPFound("/elsewhere")
        case "stream":
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"begun")
            return response
    raise RuntimeError("a secret detail")


@pytest.fixture
async def url() -> AsyncIterator[str]:
    access_log = AccessLog(write=lines.append)
    app = make_app(unavailable=(AwayError,), body_bytes_max=BODY_BYTES_MAX, access_log=access_log)
    health = LoopHealth(FakeClock())
    health.start("loop", 1.0)
    app.router.add_route("*", "/params", show_params)
    app.router.add_get("/target/{rest:.*}", show_target)
    app.router.add_get("/fail/{how}", fail)
    for path, tell in health_handlers(health).items():
        app.router.add_get(path, tell)
    async with serve(app, HostPort("127.0.0.1", 0)) as address:
        yield f"http://{address}"
    await access_log.flush()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(
    http: aiohttp.ClientSession, method: str, url: str, **options: Any
) -> tuple[int, Any, aiohttp.ClientResponse]:
    async with http.request(method, url, allow_redirects=False, **options) as response:
        text = await response.text()
        return response.status, json.loads(text) if text else None, response


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "PATCH"])
async def test_a_body_is_read_for_every_method(
    http: aiohttp.ClientSession, url: str, method: str
) -> None:
    status, body, _ = await ask(http, method, f"{url}/params?name=query", json={"name": "body"})
    assert (status, body) == (200, {"name": "body"})


async def test_the_query_serves_without_a_body(http: aiohttp.ClientSession, url: str) -> None:
    status, body, _ = await ask(http, "GET", f"{url}/params?name=q&count=3")
    assert (status, body) == (200, {"name": "q", "count": 3})


async def test_mistakes_are_a_problem_by_field(http: aiohttp.ClientSession, url: str) -> None:
    status, body, response = await ask(http, "POST", f"{url}/params", json={"count": "x", "no": 1})
    assert status == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    assert body["type"].endswith("/invalid-api-params")
    assert set(body["data"]) == {"name", "count", "no"}


@pytest.mark.parametrize(
    "data", [b"[]", b'"x"', b"{", b'{"name": "a", "name": "b"}', b"\xff", b'{"name": NaN}']
)
async def test_odd_bodies_are_problems(http: aiohttp.ClientSession, url: str, data: bytes) -> None:
    status, body, _ = await ask(http, "POST", f"{url}/params", data=data)
    assert (status, body["type"].rpartition("/")[2].split("-")[0]) in (
        (400, "generic"),
        (400, "invalid"),
    )


async def test_a_doubled_query_parameter_is_refused(http: aiohttp.ClientSession, url: str) -> None:
    status, body, _ = await ask(http, "GET", f"{url}/params?name=a&name=b")
    assert (status, body["data"]) == (400, {"name": "is given more than once"})


async def test_too_large_a_body_is_refused(http: aiohttp.ClientSession, url: str) -> None:
    data = b'{"name": "' + b"x" * BODY_BYTES_MAX + b'"}'
    status, body, _ = await ask(http, "POST", f"{url}/params", data=data)
    assert (status, body["title"]) == (413, "The request is larger than allowed.")


async def test_an_unknown_path_and_a_wrong_method_are_problems(
    http: aiohttp.ClientSession, url: str
) -> None:
    status, body, _ = await ask(http, "GET", f"{url}/no%20where/%ff")
    assert (status, body["type"].rpartition("/")[2]) == (404, "url-not-found")
    assert body["data"].startswith("/no where")
    status, body, response = await ask(http, "DELETE", f"{url}/target/x")
    assert (status, body["type"].rpartition("/")[2]) == (405, "method-not-allowed")
    assert "GET" in response.headers["Allow"]


async def test_a_fault_keeps_its_status_and_title(http: aiohttp.ClientSession, url: str) -> None:
    status, body, response = await ask(http, "GET", f"{url}/fail/fault")
    assert (status, body["msg"], response.reason) == (404, "gone", "No such session.")


@pytest.mark.parametrize("how", ["away", "timeout"])
async def test_a_store_that_is_away_is_503(http: aiohttp.ClientSession, url: str, how: str) -> None:
    status, body, response = await ask(http, "GET", f"{url}/fail/{how}")
    assert (status, response.headers["Retry-After"]) == (503, "1")
    assert "secret" not in json.dumps(body)


async def test_a_limit_says_when_to_ask_again(http: aiohttp.ClientSession, url: str) -> None:
    status, _, response = await ask(http, "GET", f"{url}/fail/limit")
    assert (status, response.headers["Retry-After"]) == (429, "7")


async def test_an_unexpected_error_tells_only_the_request_id_and_is_logged_once(
    http: aiohttp.ClientSession, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        status, body, response = await ask(http, "GET", f"{url}/fail/other")
    assert (status, body["type"].rpartition("/")[2]) == (500, "internal-server-error")
    assert body["data"] == {"requestId": response.headers["X-Request-Id"]}
    assert "secret" not in json.dumps(body)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.__dict__["fields"]["request_id"] == response.headers["X-Request-Id"]


async def test_redirects_and_streams_pass(http: aiohttp.ClientSession, url: str) -> None:
    async with http.get(f"{url}/fail/redirect", allow_redirects=False) as response:
        assert response.status == 302
    async with http.get(f"{url}/fail/stream") as response:
        assert await response.read() == b"begun"
        assert response.headers["Server"] == "BackendAI"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abcdef-123456", True), ("short", False), ("x" * 65, False), ("a b c d e", False)],
)
async def test_a_sound_request_id_is_kept_and_shown(
    http: aiohttp.ClientSession, url: str, given: str, kept: bool
) -> None:
    _, body, response = await ask(http, "GET", f"{url}/target/x", headers={"X-Request-Id": given})
    assert (body["id"] == given) == kept
    assert response.headers["X-Request-Id"] == body["id"]


async def test_the_raw_target_is_what_was_sent(url: str) -> None:
    target = "/target/a%2fb;c//x?q=%7B%22--foo%22:+%22bar%22%7D&%zz"
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["target"] == target


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
async def test_bytes_that_are_no_http_cost_one_line(
    url: str, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(garbage)
    with caplog.at_level(logging.INFO):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ") or answer.startswith(b"HTTP/1.0 400 ")
    assert all(record.exc_info is None for record in caplog.records)
    assert len(caplog.records) <= 1


async def test_requests_on_one_connection_do_not_share_context(
    http: aiohttp.ClientSession, url: str
) -> None:
    ids = {(await ask(http, "GET", f"{url}/target/x"))[1]["id"] for _ in range(5)}
    assert len(ids) == 5


async def test_health_is_told(http: aiohttp.ClientSession, url: str) -> None:
    status, body, _ = await ask(http, "GET", f"{url}/health")
    assert (status, body["healthy"], body["loops"][0]["name"]) == (200, True, "loop")


async def test_a_taken_port_is_a_clear_fault(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with pytest.raises(ServerMisconfigured, match=f"cannot listen at {host}:{port}"):
        async with serve(make_app(), HostPort(host, int(port))):
            pytest.fail("the port was taken")


async def test_the_access_log_has_a_line_per_request_without_the_query(
    http: aiohttp.ClientSession, url: str
) -> None:
    lines.clear()
    own = AccessLog(write=lines.append)
    app = make_app(access_log=own)
    app.router.add_get("/x", show_target)
    async with serve(app, HostPort("127.0.0.1", 0)) as address:
        for _ in range(3):
            await ask(http, "GET", f"http://{address}/x?token=canary")
        assert lines == []
        await own.flush()
    records = [json.loads(line) for line in "".join(lines).splitlines()]
    assert [(r["method"], r["path"], r["status"]) for r in records] == [("GET", "/x", 200)] * 3
    assert "canary" not in "".join(lines)


async def test_answered_probes_leave_no_line_in_the_access_log(
    http: aiohttp.ClientSession,
) -> None:
    lines.clear()
    own = AccessLog(write=lines.append)
    app = make_app(access_log=own)
    app.router.add_get("/health", show_target)
    async with serve(app, HostPort("127.0.0.1", 0)) as address:
        await ask(http, "GET", f"http://{address}/health")
        await ask(http, "GET", f"http://{address}/")
        await own.flush()
    paths = [json.loads(line)["path"] for line in "".join(lines).splitlines()]
    assert paths == ["/"], "only the one that failed: no route"


async def test_what_lasts_as_long_as_its_client_ends_whole_with_the_server() -> None:
    ended: list[bool] = []

    async def stay(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun")
        with lasting(request) as stay:
            await asyncio.Event().wait()
        ended.append(stay.is_over)
        return response

    app, here = make_app(), HostPort("127.0.0.1", 0)
    app.router.add_get("/", stay)
    async with aiohttp.ClientSession() as http, asyncio.timeout(30):
        async with serve(app, here, shutdown_seconds=600.0) as address:
            answer = await http.get(f"http://{address}/")
            assert await answer.content.readexactly(5) == b"begun"
        assert (await answer.read(), ended) == (b"", [True])


async def test_who_is_cancelled_by_another_stays_cancelled() -> None:
    begun = asyncio.Event()

    async def stay() -> None:
        with lasting(make_mocked_request("GET", "/", app=make_app())):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stay())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
