"""What a daemon tells Prometheus of itself: requests, loops, its process, and what it reads then.

Counts live in memory and begin at zero with each start, as Prometheus expects of counters. The
state of the cluster is never counted here: a reading asks for it whenever somebody looks.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeAlias

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from .faults import Fault
from .logs import get_logger
from .loops import LoopHealth

log = get_logger(__name__)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
READING_SECONDS: Final = 5.0
LAG_PERIOD_SECONDS: Final = 0.25
UNKNOWN_ROUTE: Final = "unknown"
OK: Final = "ok"
CRASHED: Final = "crashed"
CANCELLED: Final = "cancelled"
_REQUEST_SECONDS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_STEP_SECONDS: Final = (0.005, 0.025, 0.1, 0.5, 1.0, 4.0, 15.0, 60.0)
_LAG_SECONDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)

Labels = Sequence[str]
Rows = Iterable[tuple[Labels, float]]
# One metric with all its rows.
Family: TypeAlias = Metric
Reading = Callable[[], Awaitable[Iterable[Family]]]


def gauge(name: str, about: str, labels: Labels, rows: Rows) -> Family:
    """A level, such as free bytes: one value for each row of label values."""
    family = GaugeMetricFamily(f"backendai_{name}", about, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def counter(name: str, about: str, labels: Labels, rows: Rows) -> Family:
    """What only grows while the daemon lives. Its name ends in `_total` on the wire."""
    family = CounterMetricFamily(f"backendai_{name}", about, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def route_of(request: web.Request) -> tuple[str, str]:
    """Method and route of a request, both from a set that nobody outside can add to."""
    resource = request.match_info.route.resource
    # A method that no route has is any text that somebody sent.
    return (UNKNOWN_ROUTE,) * 2 if resource is None else (request.method, resource.canonical)


class RequestMeter:
    """Requests by method, route and status, and how long they took. A route is the pattern that
    matched, so that ids in paths make no series of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._answered = Counter(
            "backendai_http_requests",
            "Answered requests",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "backendai_http_request_seconds",
            "Time until the answer was whole",
            ["method", "route"],
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )

    def note(self, request: web.Request, status: int, seconds: float) -> None:
        method, route = route_of(request)
        self._answered.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class CallMeter:
    """Calls by kind and outcome (`ok`, the code of a fault, `crashed` or `cancelled`), and how long
    they took."""

    def __init__(self, name: str, about: str, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            f"backendai_{name}_seconds",
            about,
            ["kind", "outcome"],
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )

    @contextmanager
    def timed(self, kind: str) -> Iterator[None]:
        """What happens meanwhile is one call; what it raises goes through. From any thread."""
        began_at, outcome = time.monotonic(), CANCELLED
        try:
            yield
            outcome = OK
        except Exception as error:
            outcome = error.code if isinstance(error, Fault) else CRASHED
            raise
        finally:
            self._seconds.labels(kind, outcome).observe(time.monotonic() - began_at)


class Metrics:
    """All that one daemon tells. `daemon` is its name, such as `manager`."""

    def __init__(self, daemon: str, version: str, loops: LoopHealth) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._readings: dict[str, Reading] = {}
        self.requests = RequestMeter(self._registry)
        self._lag = Histogram(
            "backendai_loop_lag_seconds",
            "How much later than asked the event loop went on",
            buckets=_LAG_SECONDS,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        built = gauge("build_info", "What runs", ["daemon", "version"], [([daemon, version], 1)])
        self._registry.register(_Families([built]))
        self._registry.register(_LoopCollector(loops))
        steps = Histogram(
            "backendai_loop_step_seconds",
            "Time that steps of a supervised loop took",
            ["loop"],
            buckets=_STEP_SECONDS,
            registry=self._registry,
        )
        loops.tell_steps(lambda name, seconds: steps.labels(name).observe(seconds))

    def calls(self, name: str, about: str) -> CallMeter:
        return CallMeter(name, about, self._registry)

    def add(self, name: str, reading: Reading) -> None:
        """`reading` is asked at each look; one that fails is told as failed, beside the others."""
        self._readings[name] = reading

    async def render(self) -> bytes:
        """Everything, in Prometheus' text format."""
        taken = CollectorRegistry(auto_describe=False)
        taken.register(_Families(await self._read()))
        return generate_latest(self._registry) + generate_latest(taken)

    async def watch_lag(self) -> None:
        """Measure, for ever, how long others keep the event loop from what is due."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_PERIOD_SECONDS
            await asyncio.sleep(LAG_PERIOD_SECONDS)
            self._lag.observe(max(0.0, loop.time() - due))

    async def _read(self) -> list[Family]:
        found: list[Family] = []
        outcomes: list[tuple[Labels, float]] = []
        for name, reading in self._readings.items():
            try:
                async with asyncio.timeout(READING_SECONDS):
                    found += await reading()
                outcomes.append(([name], 1))
            except (Fault, TimeoutError) as error:
                log.warning("metrics.reading_failed", reading=name, cause=repr(error))
                outcomes.append(([name], 0))
        told = gauge("reading_up", "Whether a reading could be taken", ["reading"], outcomes)
        return [*found, told]


class _Families(Collector):
    """Families that were made already."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


class _LoopCollector(Collector):
    """How the supervised loops are: whether they step in time, and faults in a row."""

    def __init__(self, loops: LoopHealth) -> None:
        self._loops = loops

    def collect(self) -> Iterator[Family]:
        states = self._loops.states()
        standing = set(self._loops.unhealthy())
        yield gauge(
            "loop_failures",
            "Faults in a row; 0 when the last step went well",
            ["loop"],
            [([state.name], state.failures) for state in states],
        )
        yield gauge(
            "loop_up",
            "Whether a loop steps in time",
            ["loop"],
            [([state.name], state.name not in standing) for state in states],
        )
