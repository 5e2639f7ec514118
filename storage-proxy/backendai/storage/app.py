"""Makes a storage proxy of its settings and runs it: the only place that constructs things."""

import asyncio
import os
import resource
import signal
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from backendai.common import http
from backendai.common.access_log import AccessLog
from backendai.common.clock import Clock, SystemClock
from backendai.common.ids import SystemIds
from backendai.common.logs import get_logger
from backendai.common.loops import LoopHealth, supervise
from backendai.common.metrics import Metrics
from backendai.common.monitoring import monitored
from backendai.common.notify import told_ready
from backendai.common.pidfile import hold_pid_file
from backendai.common.settings.checks import HostPort
from backendai.common.tracing import traced

from .client_api.app import make_client_app
from .emptying import TrashEmptiers
from .grants import Grants
from .manager_api.app import ManagerServices, make_manager_app
from .settings import StorageSettings
from .syscalls import keep_freed_memory
from .tokens import TokenBox
from .uploads.service import UploadLimits, Uploads
from .version import VERSION
from .volumes.load import Volumes, open_volumes
from .volumes.readings import read_volumes

log = get_logger(__name__)

# Everybody waits with a transfer that is under way; it goes on where it was, at the next daemon.
DRAIN_SECONDS: Final = 1.5
STOP_SECONDS_MAX: Final = 8.0
LOG_FLUSH_SECONDS: Final = 0.5
UPLOAD_SWEEP_SECONDS: Final = 600.0
# So that a connection goes on while what it brought before is written.
UPLOAD_AHEAD_BYTES: Final = 1 << 20
# Beyond what pieces of uploads and archives have, and what some uploads at once hold.
MEMORY_PIECE_BYTES: Final = 4 << 20
MEMORY_KEPT_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class StorageProxy:
    """A whole storage proxy, made but not started."""

    settings: StorageSettings
    volumes: Volumes
    emptiers: TrashEmptiers
    tokens: TokenBox
    uploads: Uploads
    grants: Grants
    clock: Clock
    health: LoopHealth
    metrics: Metrics
    access_log: AccessLog


@dataclass(frozen=True, slots=True)
class Addresses:
    client: HostPort
    manager: HostPort


def make_storage_proxy(settings: StorageSettings) -> StorageProxy:
    """Raises ServerMisconfigured with what must be changed."""
    clock = SystemClock()
    own = settings.storage_proxy
    tokens = TokenBox(own.secret, clock)
    limits = UploadLimits(
        bytes_max=own.upload_bytes_max,
        lifetime_seconds=own.token_lifetime,
        idle_seconds=settings.api.client.idle_timeout,
    )
    uploads = Uploads(limits, clock, SystemIds())
    volumes, health = open_volumes(settings), LoopHealth(clock)
    metrics = Metrics("storage-proxy", VERSION, health)
    metrics.add("volumes", partial(read_volumes, volumes))
    return StorageProxy(
        settings=settings,
        volumes=volumes,
        emptiers=TrashEmptiers(volumes),
        tokens=tokens,
        uploads=uploads,
        grants=Grants(tokens, uploads, own.token_lifetime, clock),
        clock=clock,
        health=health,
        metrics=metrics,
        access_log=AccessLog(metrics.requests),
    )


@asynccontextmanager
async def run_storage_proxy(proxy: StorageProxy) -> AsyncIterator[Addresses]:
    """Serve as long as the context is open. Raises ServerMisconfigured."""
    settings, volumes = proxy.settings, proxy.volumes
    client_app = make_client_app(
        settings.api.client, volumes, proxy.tokens, proxy.uploads, proxy.grants, proxy.access_log
    )
    services = ManagerServices(volumes, proxy.emptiers, proxy.grants, proxy.health)
    manager_app = make_manager_app(settings.api.manager, services, proxy.access_log)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            traced(settings.tracing, "backendai-storage-proxy", VERSION)
        )
        stack.enter_context(hold_pid_file(settings.storage_proxy.pid_file))
        stack.callback(volumes.close)
        await stack.enter_async_context(_running(proxy))
        addresses = [
            await stack.enter_async_context(
                http.serve(app, at, shutdown_seconds=DRAIN_SECONDS, read_ahead_bytes=ahead)
            )
            for app, at, ahead in (
                (client_app, settings.api.client.service_addr, UPLOAD_AHEAD_BYTES),
                (manager_app, settings.api.manager.service_addr, http.READ_AHEAD_BYTES),
            )
        ]
        await stack.enter_async_context(monitored(settings.monitoring, proxy.metrics, proxy.health))
        yield Addresses(*addresses)


def serve(settings: StorageSettings) -> None:
    """Run until SIGTERM or SIGINT. Raises ServerMisconfigured."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def begin_end() -> None:
            stop.set()
            _end_for_sure()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, begin_end)
        proxy = make_storage_proxy(settings)
        async with run_storage_proxy(proxy) as addresses:
            own = settings.storage_proxy
            log.info(
                "storage.started",
                id=own.id,
                client=str(addresses.client),
                manager=str(addresses.manager),
            )
            async with told_ready(proxy.health):
                await stop.wait()
            log.info("storage.stopping")
        # Threads that hang on a file system would keep the process.
        os._exit(0)

    _raise_descriptor_limit()
    keep_freed_memory(MEMORY_PIECE_BYTES, MEMORY_KEPT_BYTES)
    asyncio.run(main(), debug=settings.debug.asyncio)


def _raise_descriptor_limit() -> None:
    """Trees are walked by descriptors, so a daemon takes as many as it may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _end_for_sure() -> None:
    """A file system that hangs must not keep the daemon: dying at any moment is safe anyway."""
    timer = threading.Timer(STOP_SECONDS_MAX, os._exit, (0,))
    timer.daemon = True
    timer.start()


@asynccontextmanager
async def _running(proxy: StorageProxy) -> AsyncIterator[None]:
    """All loops of the daemon in one group, named; one that breaks ends the body."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop, name=name) for name, loop in _loops(proxy).items()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def _loops(proxy: StorageProxy) -> dict[str, Coroutine[Any, Any, None]]:
    """Those that touch a volume are no part of the daemon's health: one that hangs must not have
    it restarted, for the others work on."""
    clock = proxy.clock
    flush = supervise(
        "access-log",
        proxy.access_log.flush,
        period_seconds=LOG_FLUSH_SECONDS,
        clock=clock,
        health=proxy.health,
    )
    sweeps = {
        f"uploads:{volume.name}": supervise(
            f"uploads:{volume.name}",
            partial(proxy.uploads.sweep, volume),
            period_seconds=UPLOAD_SWEEP_SECONDS,
            clock=clock,
        )
        for volume in proxy.volumes
    }
    return {"access-log": flush, **sweeps, **proxy.emptiers.loops(clock)}
