"""Makes a webserver of its settings and runs it: the only place that constructs things."""

import asyncio
import resource
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web
from redis.asyncio import Redis

from backendai.common import http
from backendai.common.access_log import AccessLog
from backendai.common.clock import Clock, SystemClock
from backendai.common.faults import ServerMisconfigured
from backendai.common.health import Check, health_handlers
from backendai.common.logs import get_logger
from backendai.common.loops import LoopHealth, supervise
from backendai.common.metrics import Metrics
from backendai.common.monitoring import monitored
from backendai.common.notify import told_ready
from backendai.common.pidfile import hold_pid_file
from backendai.common.secretfile import load_secret_key
from backendai.common.settings.checks import HostPort
from backendai.common.streams import open_redis
from backendai.common.tracing import traced

from .edge import make_guard, make_headers
from .logins.model import Login, Vault
from .logins.store import Ages, Logins
from .oidc.provider import Provider
from .oidc.rest import Oidc
from .oidc.state import Attempt
from .pages.config import render_config
from .pages.files import Pages
from .proxy.forward import Forwarding
from .proxy.own import OwnRequests
from .proxy.upstream import Upstream
from .rest import Server
from .settings import WebserverSection, WebserverSettings
from .version import VERSION
from .visitor import VISITOR, Door

log = get_logger(__name__)

# Where the build of the GUI puts its files.
OWN_PAGES: Final = Path(__file__).parent / "static"
# aiohttp waits for so long twice: before and after it has cut off what is still coming in.
DRAIN_SECONDS: Final = 3.0
LOG_FLUSH_SECONDS: Final = 0.5
REDIS_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Webserver:
    """A whole webserver, made but not started."""

    settings: WebserverSettings
    redis: "Redis"
    key: bytes = field(repr=False)
    logins: Logins
    provider: Provider
    upstream: Upstream
    clock: Clock
    health: LoopHealth
    metrics: Metrics
    access_log: AccessLog

    def checks(self) -> dict[str, Check]:
        """What it needs to be of use."""
        return {"manager": self.upstream.check, "redis": self.logins.check}


def make_webserver(settings: WebserverSettings) -> Webserver:
    """Raises ServerMisconfigured with what must be changed."""
    clock = SystemClock()
    health = LoopHealth(clock)
    metrics = Metrics("webserver", VERSION, health)
    key = load_secret_key(settings.webserver.secret_key_file)
    redis = open_redis(settings.redis, timeout_seconds=REDIS_SECONDS)
    ages = Ages(whole=settings.session.max_age, idle=settings.session.idle_timeout)
    return Webserver(
        settings=settings,
        redis=redis,
        key=key,
        logins=Logins(redis, Vault(key, Login), ages, clock),
        provider=Provider(settings.oidc, clock),
        upstream=Upstream(settings.api, clock),
        clock=clock,
        health=health,
        metrics=metrics,
        access_log=AccessLog(metrics.requests),
    )


def make_web_app(webserver: Webserver) -> web.Application:
    """All routes; what is no route of ours is a page."""
    settings = webserver.settings
    door = Door(settings.webserver)
    app = http.make_app(middlewares=[make_guard(door)], access_log=webserver.access_log)
    app.on_response_prepare.append(make_headers(door))
    own = OwnRequests(webserver.upstream, webserver.logins)
    server = Server(
        webserver.upstream, webserver.logins, own, settings.api, settings.session, webserver.clock
    )
    for path, handler in health_handlers(webserver.health, webserver.checks()).items():
        app.router.add_get(path, handler)
    app.router.add_get("/config.toml", _make_config_handler(settings))
    app.router.add_routes(server.routes())
    if settings.oidc.issuer is not None:
        app.router.add_routes(_make_oidc(webserver, server).routes())
    app.router.add_routes(Forwarding(webserver.upstream, webserver.logins, own).routes())
    app.router.add_routes(_make_pages(settings.webserver).routes())
    return app


@asynccontextmanager
async def run_webserver(webserver: Webserver) -> AsyncIterator[HostPort]:
    """Serve as long as the context is open. Raises ServerMisconfigured."""
    own = webserver.settings.webserver
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            traced(webserver.settings.tracing, "backendai-webserver", VERSION)
        )
        stack.enter_context(hold_pid_file(own.pid_file))
        stack.push_async_callback(webserver.redis.aclose)
        await stack.enter_async_context(webserver.upstream.opened())
        await stack.enter_async_context(webserver.provider.opened())
        await stack.enter_async_context(_running(webserver))
        await stack.enter_async_context(
            monitored(
                webserver.settings.monitoring,
                webserver.metrics,
                webserver.health,
                webserver.checks(),
            )
        )
        yield await stack.enter_async_context(
            http.serve(
                make_web_app(webserver),
                own.service_addr,
                ssl_context=make_tls_context(own),
                shutdown_seconds=DRAIN_SECONDS,
            )
        )


def serve(settings: WebserverSettings) -> None:
    """Run until SIGTERM or SIGINT. Raises ServerMisconfigured."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        webserver = make_webserver(settings)
        async with run_webserver(webserver) as address:
            log.info("webserver.started", address=str(address))
            async with told_ready(webserver.health):
                await stop.wait()
            log.info("webserver.stopping")

    _raise_descriptor_limit()
    asyncio.run(main(), debug=settings.debug.asyncio)


def make_tls_context(own: WebserverSection) -> ssl.SSLContext | None:
    """None where browsers come by plain HTTP. Raises ServerMisconfigured."""
    if own.ssl_cert is None and own.ssl_privkey is None:
        return None
    if own.ssl_cert is None or own.ssl_privkey is None:
        raise ServerMisconfigured("[webserver] ssl-cert and ssl-privkey belong together")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(own.ssl_cert, own.ssl_privkey)
    except (OSError, ssl.SSLError) as error:
        raise ServerMisconfigured(f"ssl-cert or ssl-privkey cannot be used: {error}") from error
    return context


def _make_pages(own: WebserverSection) -> Pages:
    if own.static_path is None:
        return Pages(OWN_PAGES, own.connect_sources, is_own=True)
    if not own.static_path.is_dir():
        raise ServerMisconfigured(f"[webserver] static-path {own.static_path} is no folder")
    return Pages(own.static_path, own.connect_sources, is_own=False)


def _make_oidc(webserver: Webserver, server: Server) -> Oidc:
    path = webserver.settings.oidc.login_token_key_file
    if path is None:
        raise ServerMisconfigured("[oidc] login-token-key-file is required with an issuer")
    vault = Vault(webserver.key, Attempt)
    key = load_secret_key(path)
    return Oidc(webserver.provider, server, vault, key, webserver.clock)


def _make_config_handler(settings: WebserverSettings) -> http.Handler:
    async def show_config(request: web.Request) -> web.Response:
        text = render_config(request[VISITOR].endpoint, settings)
        return web.Response(text=text, headers={"Cache-Control": "no-cache"})

    return show_config


def _raise_descriptor_limit() -> None:
    """Each browser keeps connections, and each of them one to a manager."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@asynccontextmanager
async def _running(webserver: Webserver) -> AsyncIterator[None]:
    """The loops of the daemon; one that breaks ends the body."""
    flush = supervise(
        "access-log",
        webserver.access_log.flush,
        period_seconds=LOG_FLUSH_SECONDS,
        clock=webserver.clock,
        health=webserver.health,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(flush, name="access-log")
        try:
            yield
        finally:
            task.cancel()
