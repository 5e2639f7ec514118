"""Makes an app proxy of its settings and runs it: the only place that constructs things."""

import asyncio
import resource
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import uvloop

from backendai.common import http
from backendai.common.access_log import AccessLog
from backendai.common.clock import SystemClock
from backendai.common.faults import ServerMisconfigured
from backendai.common.handover import HANDOVER
from backendai.common.logs import get_logger
from backendai.common.loops import LoopHealth, supervise
from backendai.common.metrics import Metrics
from backendai.common.monitoring import monitored
from backendai.common.notify import told_ready
from backendai.common.pidfile import hold_pid_file
from backendai.common.relay_secrets import FileSecrets
from backendai.common.settings.checks import HostPort
from backendai.common.tracing import traced

from .addresses import Addresses, make_addresses
from .api.app import make_api
from .api.circuits import CircuitsApi
from .api.clients import ClientAddresses
from .api.logins import LoginsApi
from .circuits.book import Book
from .circuits.model import parse_networks
from .circuits.store import open_store
from .doors import CircuitListeners, DomainDoor, Permits
from .errands import running_errands
from .readings import reading_of
from .settings import WsproxySettings
from .tokens import TokenBox
from .traffic.cookies import CookieRules
from .traffic.house import House, Spawn, Tickets
from .traffic.visitor import Visitor
from .version import VERSION

log = get_logger(__name__)

DRAIN_SECONDS: Final = 2.0
CHECK_SECONDS: Final = 1.0
LOG_FLUSH_SECONDS: Final = 0.5
_BACKLOG: Final = 1024


@asynccontextmanager
async def run_wsproxy(settings: WsproxySettings) -> AsyncIterator[Addresses]:
    """Serve as long as the context is open. Raises ServerMisconfigured."""
    own, clock = settings.wsproxy, SystemClock()
    if own.mode == "subdomain" and own.domain is None:
        raise ServerMisconfigured("[wsproxy] domain is needed in mode subdomain")
    secrets = FileSecrets(settings.relay.secret_key_file, clock)
    addresses, tokens = make_addresses(own), TokenBox(secrets, clock)
    health = LoopHealth(clock)
    metrics = Metrics("wsproxy", VERSION, health)
    access_log = AccessLog(metrics.requests)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(traced(settings.tracing, "backendai-wsproxy", VERSION))
        stack.enter_context(hold_pid_file(own.pid_file))
        errands = await stack.enter_async_context(running_errands())
        store = await stack.enter_async_context(open_store(settings.db, own.id))
        house = _make_house(settings, Tickets(secrets, clock), errands.begin)
        metrics.add("circuits", reading_of(house))
        listeners = CircuitListeners(own, house, addresses)
        stack.callback(listeners.close_all)
        lifetime = settings.limits.circuit_lifetime
        book = Book(store, listeners, clock, lifetime)
        permits = Permits(book, tokens, addresses, lifetime)
        listeners.use(permits)
        circuits = CircuitsApi(book, tokens, addresses, secrets, ClientAddresses(house), clock)
        routes = circuits.routes()
        if settings.v1.endpoints:
            routes += LoginsApi(settings.v1.endpoints, circuits, tokens, clock).routes()
        api = make_api(routes, addresses, own.allowed_origins, health, access_log)
        for name, loop in _loops(book, house, access_log, health).items():
            errands.begin(loop, name=name)
        if own.mode == "subdomain":
            door = DomainDoor(book, addresses, permits, addresses.scheme)
            await stack.enter_async_context(_serve_apps(house, door, own.apps_addr))
        await stack.enter_async_context(
            http.serve(api, own.service_addr, shutdown_seconds=DRAIN_SECONDS)
        )
        await stack.enter_async_context(monitored(settings.monitoring, metrics, health))
        await stack.enter_async_context(told_ready(health))
        yield addresses


def serve(settings: WsproxySettings) -> None:
    """Run until SIGTERM or SIGINT. Raises ServerMisconfigured."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with run_wsproxy(settings) as addresses:
            own = settings.wsproxy
            log.info("wsproxy.started", id=own.id, address=addresses.own, mode=own.mode)
            await stop.wait()
            log.info("wsproxy.stopping")

    _raise_descriptor_limit()
    with asyncio.Runner(debug=settings.debug.asyncio, loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def _raise_descriptor_limit() -> None:
    """Two of them for each connection of a browser."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _make_house(settings: WsproxySettings, tickets: Tickets, spawn: Spawn) -> House:
    own = settings.wsproxy
    return House(
        limits=settings.limits,
        rules=CookieRules(frozenset(name.lower().encode() for name in own.hidden_cookies)),
        tickets=tickets,
        clock=SystemClock(),
        spawn=spawn,
        trusted=parse_networks(own.trusted_proxies),
    )


@asynccontextmanager
async def _serve_apps(house: House, door: DomainDoor, at: HostPort) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as servers:
        try:
            for opened in HANDOVER.listen(at):
                server = await loop.create_server(
                    lambda: Visitor(house, door), sock=opened, backlog=_BACKLOG
                )
                servers.callback(server.close)
        except OSError as error:
            raise ServerMisconfigured(f"cannot listen at {at}: {error.strerror}") from error
        yield


def _loops(
    book: Book, house: House, access_log: AccessLog, health: LoopHealth
) -> dict[str, Coroutine[Any, Any, None]]:
    clock = SystemClock()
    steps = {
        "limits": (house.check_all, CHECK_SECONDS),
        "access-log": (access_log.flush, LOG_FLUSH_SECONDS),
    }
    loops = {
        name: supervise(name, step, period_seconds=seconds, clock=clock, health=health)
        for name, (step, seconds) in steps.items()
    }
    return {"circuits": book.watch(health), **loops}
