"""Runs a manager: what has to hold before it starts, its loops, and the order in which it ends."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from backendai.common import logs
from backendai.common.access_log import AccessLog
from backendai.common.clock import Clock, SystemClock
from backendai.common.config import CachedConfig, Snapshot
from backendai.common.failpoints import arm_from_environment
from backendai.common.faults import ServerMisconfigured, StoreUnavailable
from backendai.common.handover import HANDOVER
from backendai.common.http import serve
from backendai.common.ids import SystemIds
from backendai.common.loops import supervise
from backendai.common.metrics import Metrics
from backendai.common.monitoring import monitored
from backendai.common.notify import told_ready
from backendai.common.pidfile import hold_pid_file
from backendai.common.recent_logs import keep_recent
from backendai.common.secretfile import load_secret_key
from backendai.common.settings.checks import HostPort
from backendai.common.settings.sections import DbSettings
from backendai.common.tracing import traced

from .accounts.secretbox import SecretBox
from .agents.joining import FORGET_SECONDS as TOKEN_FORGET_SECONDS
from .alerts.loop import FORGET_SECONDS as ALERT_FORGET_SECONDS
from .alerts.loop import LOOK_SECONDS as ALERT_LOOK_SECONDS
from .alerts.loop import STORAGE_SECONDS as ALERT_STORAGE_SECONDS
from .alerts.loop import TELL_SECONDS as ALERT_TELL_SECONDS
from .api import checks_of, make_manager_app
from .assembly import Services, Stores, make_core, make_services, open_rpc_keypair, open_stores
from .callbacks.loop import FORGET_SECONDS as CALLBACK_FORGET_SECONDS
from .circuits.service import LOOK_SECONDS as CIRCUITS_LOOK_SECONDS
from .db.engine import Database
from .db.pulse import LOOK_SECONDS
from .db.revision import REVISION, current_schema, find_misfit
from .idle.loop import FORGET_SECONDS
from .idle.loop import LOOK_SECONDS as IDLE_LOOK_SECONDS
from .images.discard import LOOK_SECONDS as DISCARD_LOOK_SECONDS
from .lifecycle.core import Core
from .lifecycle.hints import HintBoard, listen
from .lifecycle.store import CoreStore
from .maintenance.presence import BEAT_SECONDS
from .readings import reading_of
from .refusals import tell_outage
from .settings import ManagerSettings
from .vfolders.limits import LOOK_SECONDS as LIMITS_LOOK_SECONDS
from .vfolders.purge import LOOK_SECONDS as FOLDERS_LOOK_SECONDS

log = logs.get_logger(__name__)

# aiohttp waits for so long twice: before and after it has cut off what is still coming in.
DRAIN_SECONDS: Final = 3.0
STOP_SECONDS: Final = 9.0
SAVE_SECONDS: Final = 2.0
LOG_FLUSH_SECONDS: Final = 0.5
END_LEASES_SECONDS: Final = 1.0
# They wait for other machines, longer than a watchdog waits for a daemon.
_PATIENT_LOOPS: Final = frozenset({"images", "limits", "alerts-storage", "alerts-tell"})


def run(settings: ManagerSettings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code; raises ServerMisconfigured."""
    logs.configure(settings.logging)
    arm_from_environment()
    asyncio.run(_serve(settings), debug=settings.debug.asyncio)
    return 0


async def _serve(settings: ManagerSettings) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with run_manager(settings) as manager:
        log.info("manager.started", address=str(manager.address), id=settings.manager.id)
        async with told_ready(manager.core.health):
            await told.wait()
        # Being killed is a normal stop, so what hangs is not waited for.
        loop.call_later(STOP_SECONDS, os._exit, 1)
    log.info("manager.stopped", id=settings.manager.id)


@dataclass(frozen=True, slots=True)
class Manager:
    """A manager that serves and runs its loops."""

    address: HostPort
    services: Services
    stores: Stores
    core: Core


@contextlib.asynccontextmanager
async def run_manager(settings: ManagerSettings) -> AsyncIterator[Manager]:
    """Run for as long as the context is open; a loop that fails unexpectedly ends it.

    Raises ServerMisconfigured for what an operator has to mend first.
    """
    own, clock = settings.manager, SystemClock()
    _refuse_taken_port(own.service_addr)
    box = SecretBox(load_secret_key(own.secret_key_file))
    board = HintBoard()
    async with AsyncExitStack() as stack:
        release = version("backendai-manager")
        await stack.enter_async_context(traced(settings.tracing, "backendai-manager", release))
        recent_logs = stack.enter_context(keep_recent())
        keypair = open_rpc_keypair(own)
        stack.enter_context(hold_pid_file(own.pid_file))
        stores = await open_stores(stack, settings, keypair, box, clock)
        await _refuse_other_schema(stores.database, settings.db)
        holder = f"{own.id}:{SystemIds().uuid()}"
        services = make_services(settings, stores, box, board, clock, recent_logs, holder)
        await services.status.look()
        await services.presence.beat()
        stack.push_async_callback(services.presence.end)
        core = make_core(settings, stores, board, clock, holder)
        stack.push_async_callback(_end_leases, stores.core, holder)
        metrics = Metrics("manager", release, core.health)
        metrics.add("cluster", reading_of(stores.database))
        stores.links.measure(metrics.calls("agent_call", "Calls of agents").timed)
        access_log = AccessLog(metrics.requests)
        app = make_manager_app(services, core.health, stores, settings, access_log)
        await stack.enter_async_context(_running(stores, services, core, board, access_log, clock))
        address = await stack.enter_async_context(
            serve(app, own.service_addr, shutdown_seconds=DRAIN_SECONDS)
        )
        await stack.enter_async_context(
            monitored(settings.monitoring, metrics, core.health, checks_of(stores))
        )
        yield Manager(address, services, stores, core)


@contextlib.asynccontextmanager
async def _running(
    stores: Stores,
    services: Services,
    core: Core,
    board: HintBoard,
    access_log: AccessLog,
    clock: Clock,
) -> AsyncIterator[None]:
    """All loops of the daemon in one group, named."""
    dsn = stores.database.engine.url.set(drivername="postgresql").render_as_string(False)
    background = {
        "core": core.run(),
        "hints": listen(board, dsn, clock),
        "config": _follow_config(stores.config, services.cluster.learn),
        "volumes": _follow_config(stores.volumes, stores.proxies.learn),
        "status": services.status.follow(board, clock, core.health),
        "tasks": services.task_runner.run(board, core.health),
        "callbacks": services.callbacks.run(core.health),
        "streams": services.apps.streams.watch(clock, core.health),
    }
    periodic = {
        "keyring": (services.keyring.save_uses, SAVE_SECONDS),
        "queries": (services.work.save_counts, SAVE_SECONDS),
        "access-log": (access_log.flush, LOG_FLUSH_SECONDS),
        "activity": (services.activities.save, SAVE_SECONDS),
        "idle": (services.idle_watch.step, IDLE_LOOK_SECONDS),
        "images": (services.discard.step, DISCARD_LOOK_SECONDS),
        "idle-forget": (services.idle_watch.forget, FORGET_SECONDS),
        "vfolders": (services.vfolders.watch.step, FOLDERS_LOOK_SECONDS),
        "limits": (services.vfolders.limits.step, LIMITS_LOOK_SECONDS),
        "callbacks-forget": (services.callbacks.forget, CALLBACK_FORGET_SECONDS),
        "presence": (services.presence.beat, BEAT_SECONDS),
        "circuits": (services.apps.circuits.note_uses, CIRCUITS_LOOK_SECONDS),
        "pulse": (stores.pulse.look, LOOK_SECONDS),
        "alerts": (services.alerts.watch.step, ALERT_LOOK_SECONDS),
        "alerts-storage": (services.alerts.watch.look_at_storage, ALERT_STORAGE_SECONDS),
        "join-tokens-forget": (services.joining.forget, TOKEN_FORGET_SECONDS),
        "alerts-forget": (services.alerts.watch.forget, ALERT_FORGET_SECONDS),
    }
    for name, tell in services.alerts.watch.tellers.items():
        periodic[f"alerts-tell:{name}"] = (tell, ALERT_TELL_SECONDS)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(work, name=name) for name, work in background.items()]
        for name, (step, period) in periodic.items():
            health = None if name.partition(":")[0] in _PATIENT_LOOPS else core.health
            looped = supervise(name, step, period_seconds=period, clock=clock, health=health)
            running.append(tasks.create_task(looped, name=name))
        try:
            yield
        finally:
            for task in running:
                task.cancel()


async def _end_leases(core: CoreStore, holder: str) -> None:
    """Other managers go on at once; without this they wait until the leases have run out."""
    try:
        async with asyncio.timeout(END_LEASES_SECONDS):
            await core.end_leases(holder)
    except (StoreUnavailable, SQLAlchemyError, TimeoutError) as error:
        log.warning("manager.leases_kept", cause=repr(error))


async def _follow_config(config: CachedConfig, learn: Callable[[Snapshot], None]) -> None:
    """Learn each change; while etcd is away the last known values serve, also after a start."""
    try:
        learn(await config.load())
    except StoreUnavailable as fault:
        log.warning("config.nothing_known", detail=fault.detail)
    async with contextlib.aclosing(config.follow()) as snapshots:
        async for snapshot in snapshots:
            learn(snapshot)


def _refuse_taken_port(address: HostPort) -> None:
    """Told before anything runs that a later failure would tear down in the middle of its work."""
    try:
        HANDOVER.check(address)
    except OSError as error:
        raise ServerMisconfigured(
            f"Cannot listen at {address} ({error.strerror}): stop what is there, or choose "
            "another [manager] service-addr."
        ) from error


async def _refuse_other_schema(database: Database, db: DbSettings) -> None:
    """A manager does not start on tables that are not for it, nor without knowing which."""
    try:
        current = await current_schema(database)
    except StoreUnavailable as fault:
        raise ServerMisconfigured(tell_outage(db, fault.__cause__ or fault) + ".") from fault
    if misfit := find_misfit(current, REVISION):
        raise ServerMisconfigured(f"{misfit.told}: {misfit.fix}.")
