"""What a daemon tells Prometheus, read back with Prometheus' own parser, over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import NoReturn

import aiohttp
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from backendai.common.access_log import AccessLog
from backendai.common.clock import FakeClock
from backendai.common.faults import StoreUnavailable, UrlNotFound
from backendai.common.http import make_app, serve
from backendai.common.loops import LoopHealth, supervise
from backendai.common.metrics import Family, Metrics, gauge
from backendai.common.monitoring import monitored
from backendai.common.settings.checks import HostPort
from backendai.common.settings.sections import MonitoringSettings

ANYWHERE = HostPort("127.0.0.1", 0)
Key = tuple[str, tuple[tuple[str, str], ...]]


def parse(text: str) -> dict[Key, float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> Key:
    return f"backendai_{name}", tuple(sorted(labels.items()))


@pytest.fixture
def loops() -> LoopHealth:
    return LoopHealth(FakeClock())


@pytest.fixture
def metrics(loops: LoopHealth) -> Metrics:
    return Metrics("manager", "1.2", loops)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def look(http: aiohttp.ClientSession, address: HostPort | None) -> dict[Key, float]:
    async with http.get(f"http://{address}/metrics") as response:
        assert response.status == 200
        return parse(await response.text())


async def repeated(
    ask: Callable[[], Awaitable[dict[Key, float]]],
) -> AsyncIterator[dict[Key, float]]:
    while True:
        yield await ask()


async def test_requests_are_counted_by_their_route_and_not_by_their_path(
    http: aiohttp.ClientSession, metrics: Metrics, loops: LoopHealth
) -> None:
    async def show(request: web.Request) -> web.Response:
        if request.match_info["name"] == "lost":
            raise UrlNotFound
        return web.Response(text="found")

    app = make_app(access_log=AccessLog(metrics.requests, write=lambda _text: None))
    app.router.add_get("/session/{name}", show)
    async with (
        serve(app, ANYWHERE) as address,
        monitored(MonitoringSettings(listen_addr=ANYWHERE), metrics, loops) as page,
    ):
        for path in ("/session/a", "/session/b", "/session/lost", "/elsewhere/1", "/elsewhere/2"):
            (await http.get(f"http://{address}{path}")).release()
        (await http.request("PATCH", f"http://{address}/session/a")).release()
        seen = await look(http, page)
    route = {"method": "GET", "route": "/session/{name}"}
    assert seen[key("http_requests_total", **route, status="200")] == 2
    assert seen[key("http_requests_total", **route, status="404")] == 1
    assert seen[key("http_request_seconds_count", **route)] == 3
    unknown = {"method": "unknown", "route": "unknown"}
    assert seen[key("http_requests_total", **unknown, status="404")] == 2
    assert seen[key("http_requests_total", **unknown, status="405")] == 1
    assert seen[key("build_info", daemon="manager", version="1.2")] == 1


async def test_loops_tell_their_steps_their_time_and_their_faults(
    metrics: Metrics, loops: LoopHealth
) -> None:
    clock = FakeClock()
    loops = LoopHealth(clock)
    metrics = Metrics("manager", "1.2", loops)

    async def plan() -> None:
        await clock.sleep(0.25)

    async def fail() -> None:
        raise StoreUnavailable("away")

    tasks = [
        asyncio.create_task(
            supervise(name, step, period_seconds=1.0, clock=clock, health=loops, gap_seconds=1.0)
        )
        for name, step in (("plan", plan), ("save", fail))
    ]
    await clock.advance(0.2)
    await clock.advance(0.2)
    seen = parse((await metrics.render()).decode())
    assert seen[key("loop_step_seconds_count", loop="plan")] == 1
    assert seen[key("loop_step_seconds_sum", loop="plan")] == pytest.approx(0.25, abs=0.2)
    assert seen[key("loop_failures", loop="save")] >= 1
    assert seen[key("loop_up", loop="plan")] == 1
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_reading_that_fails_is_told_beside_the_others(metrics: Metrics) -> None:
    async def read() -> Iterable[Family]:
        return [gauge("sessions", "Sessions", ["status"], [(["PENDING"], 7)])]

    async def fail() -> NoReturn:
        raise StoreUnavailable("away")

    metrics.add("volumes", fail)
    metrics.add("cluster", read)
    seen = parse((await metrics.render()).decode())
    assert seen[key("sessions", status="PENDING")] == 7
    assert seen[key("reading_up", reading="cluster")] == 1
    assert seen[key("reading_up", reading="volumes")] == 0


async def test_calls_are_told_by_their_outcome(metrics: Metrics) -> None:
    calls = metrics.calls("engine_call", "Calls of the engine")
    with calls.timed("ask"):
        pass
    with pytest.raises(StoreUnavailable), calls.timed("ask"):
        raise StoreUnavailable("away")
    with pytest.raises(KeyError), calls.timed("ask"):
        raise KeyError
    with pytest.raises(asyncio.CancelledError), calls.timed("ask"):
        raise asyncio.CancelledError
    seen = parse((await metrics.render()).decode())
    for outcome in ("ok", StoreUnavailable.code, "crashed", "cancelled"):
        assert seen[key("engine_call_seconds_count", kind="ask", outcome=outcome)] == 1, outcome


async def test_a_busy_event_loop_is_seen(
    http: aiohttp.ClientSession, metrics: Metrics, loops: LoopHealth
) -> None:
    async with monitored(MonitoringSettings(listen_addr=ANYWHERE), metrics, loops) as page:
        measured = key("loop_lag_seconds_count")
        async for seen in repeated(lambda: look(http, page)):
            if seen[measured] >= 1:
                break
        assert seen[key("loop_lag_seconds_sum")] >= 0


async def test_live_is_whether_it_runs_and_ready_whether_it_can_work(
    http: aiohttp.ClientSession, metrics: Metrics, loops: LoopHealth
) -> None:
    is_away = False

    async def check() -> None:
        if is_away:
            raise StoreUnavailable("the database is away")

    settings = MonitoringSettings(listen_addr=ANYWHERE)
    async with monitored(settings, metrics, loops, {"database": check}) as page:

        async def status_of(path: str) -> int:
            async with http.get(f"http://{page}{path}") as response:
                return response.status

        paths = ("/health", "/health/live", "/health/ready")
        assert [await status_of(path) for path in paths] == [200, 200, 200]
        is_away = True
        assert [await status_of(path) for path in paths] == [200, 200, 503]


async def test_without_an_address_nobody_listens(metrics: Metrics, loops: LoopHealth) -> None:
    async with monitored(MonitoringSettings(), metrics, loops) as page:
        assert page is None
