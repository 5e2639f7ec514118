"""Builds the manager from its settings and runs it: the only place that constructs things."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import sqlalchemy as sa
from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from backendai.common import logs
from backendai.common.access_log import AccessLog
from backendai.common.clock import Clock, SystemClock
from backendai.common.config import CachedConfig, Snapshot
from backendai.common.etcd import EtcdStore
from backendai.common.failpoints import arm_from_environment
from backendai.common.faults import ServerMisconfigured, StoreUnavailable
from backendai.common.handover import HANDOVER
from backendai.common.health import Check, health_handlers
from backendai.common.http import make_app, serve
from backendai.common.ids import IdSource, SystemIds
from backendai.common.loops import LoopHealth, supervise
from backendai.common.metrics import Metrics
from backendai.common.monitoring import monitored
from backendai.common.notify import told_ready
from backendai.common.pidfile import hold_pid_file
from backendai.common.recent_logs import RecentLogs, keep_recent
from backendai.common.relay_secrets import FileSecrets
from backendai.common.rpc.curve import KeyPair, load_keypair
from backendai.common.secretfile import load_secret_key
from backendai.common.settings.checks import HostPort
from backendai.common.settings.sections import DbSettings
from backendai.common.streams import RedisHints, open_redis

from .accounts import rest as accounts_rest
from .accounts import rest_second_factor
from .accounts.attempts import Attempts
from .accounts.login_tokens import LoginTokens
from .accounts.logins import Logins
from .accounts.second_factor import SecondFactor
from .accounts.secretbox import SecretBox
from .accounts.service import Accounts, make_accounts
from .agents import rest as agents_rest
from .agents.directory import EtcdRegistry
from .agents.joining import FORGET_SECONDS as TOKEN_FORGET_SECONDS
from .agents.joining import Joining
from .agents.link import RpcLinks
from .agents.model import Patience
from .agents.service import Agents
from .agents.watchers import Watchers
from .alerts import rest as alerts_rest
from .alerts.assembly import AlertServices, make_alerts
from .alerts.loop import FORGET_SECONDS as ALERT_FORGET_SECONDS
from .alerts.loop import LOOK_SECONDS as ALERT_LOOK_SECONDS
from .alerts.loop import STORAGE_SECONDS as ALERT_STORAGE_SECONDS
from .alerts.loop import TELL_SECONDS as ALERT_TELL_SECONDS
from .apps import assembly as apps_assembly
from .apps.assembly import AppServices, make_apps
from .apps.tickets import RelayKeyring
from .audit import rest as audit_rest
from .audit.change import Changes
from .callbacks.loop import FORGET_SECONDS as CALLBACK_FORGET_SECONDS
from .callbacks.loop import Callbacks
from .callbacks.post import GuardedPost
from .circuits.service import LOOK_SECONDS as CIRCUITS_LOOK_SECONDS
from .config import rest as config_rest
from .config.cluster import CONFIG_PREFIX, ClusterFacts
from .config.pairs import ConfigPairs
from .db.engine import Database, open_database
from .db.pulse import LOOK_SECONDS, Pulse
from .db.revision import REVISION, current_schema, find_misfit
from .dotfiles import rest as dotfiles_rest
from .dotfiles.service import Dotfiles
from .error_logs import rest as error_logs_rest
from .error_logs.service import ErrorLogs
from .events import rest as events_rest
from .events.feed import EventFeed
from .gate.actor import Access, Action
from .gate.identity import Gatekeeper
from .gate.keyring import Keyring
from .gate.limiter import Limiter
from .gate.routes import Route, add_routes
from .graph import rest as graph_rest
from .graph.use_cases import UseCases
from .idle import rest as idle_rest
from .idle.activity import Activities
from .idle.loop import FORGET_SECONDS, IdleWatch, hold_turn
from .idle.loop import LOOK_SECONDS as IDLE_LOOK_SECONDS
from .idle.service import Idleness, Rulebook
from .images import rest as images_rest
from .images import rest_registries
from .images.commits import COMMIT_SESSION, CommitLimits, Commits, CommitWork
from .images.discard import LOOK_SECONDS as DISCARD_LOOK_SECONDS
from .images.discard import Discard
from .images.discard import hold_turn as hold_discard_turn
from .images.preloads import PRELOAD, UNLOAD, Preload, StepsWork, Unload
from .images.registries import Registries
from .images.rescan import RESCAN, Rescan
from .lifecycle.core import Core, CoreSettings, Ports
from .lifecycle.hints import HintBoard, listen
from .lifecycle.postgres import PostgresStore
from .lifecycle.store import CoreStore
from .maintenance import rest as maintenance_rest
from .maintenance.presence import BEAT_SECONDS, Presence, describe, list_public_keys
from .maintenance.service import Maintenance
from .maintenance.watch import StatusWatch
from .readings import reading_of
from .refusals import tell_outage
from .resource_groups import rest as resource_groups_rest
from .resource_groups.proxy import HttpAppProxy
from .resource_groups.service import ResourceGroups
from .resources import rest as resources_rest
from .resources.service import Resources
from .sessions import rest, rest_files, rest_work, stream
from .sessions.creation import SessionCreation
from .sessions.service import Sessions
from .sessions.watch import SessionWatch
from .sessions.work import SessionWork
from .settings import ManagerSettings, ServiceSettings
from .tasks import rest as tasks_rest
from .tasks.model import TaskWork
from .tasks.runner import TaskRunner
from .tasks.service import Tasks
from .templates import rest as templates_rest
from .templates.service import Templates
from .usage import rest as usage_rest
from .usage.service import Usage
from .vfolders import assembly as vfolders_assembly
from .vfolders.assembly import VFolders, make_vfolders
from .vfolders.clone import CLONE_FOLDER
from .vfolders.creation import PURGE_FOLDER
from .vfolders.limits import LOOK_SECONDS as LIMITS_LOOK_SECONDS
from .vfolders.link import ProxyLink
from .vfolders.purge import LOOK_SECONDS as FOLDERS_LOOK_SECONDS
from .vfolders.volumes import VOLUMES_PREFIX

log = logs.get_logger(__name__)

DRAIN_SECONDS: Final = 5.0
STOP_SECONDS: Final = 9.0
REDIS_SECONDS: Final = 0.5
SAVE_SECONDS: Final = 2.0
LOG_FLUSH_SECONDS: Final = 0.5
END_LEASES_SECONDS: Final = 1.0
# They wait for other machines, longer than a watchdog waits for a daemon.
_PATIENT_LOOPS: Final = frozenset({"images", "limits", "alerts-storage", "alerts-tell"})
# Of a manager that went away, another one goes on with these.
RESUMED_TASKS: Final = (COMMIT_SESSION, PRELOAD, UNLOAD, CLONE_FOLDER, PURGE_FOLDER)


@dataclass(frozen=True, slots=True)
class Stores:
    """Connections that open when they are first used, and again after an outage."""

    database: Database
    pulse: Pulse
    redis: "Redis"
    hints: RedisHints
    etcd: EtcdStore
    config: CachedConfig
    volumes: CachedConfig
    proxies: ProxyLink
    links: RpcLinks
    core: PostgresStore


@dataclass(frozen=True, slots=True)
class Services:
    recent_logs: RecentLogs
    gatekeeper: Gatekeeper
    keyring: Keyring
    creation: SessionCreation
    sessions: Sessions
    work: SessionWork
    apps: AppServices
    cluster: ClusterFacts
    pairs: ConfigPairs
    status: StatusWatch
    presence: Presence
    maintenance: Maintenance
    resources: Resources
    resource_groups: ResourceGroups
    watchers: Watchers
    joining: Joining
    error_logs: ErrorLogs
    dotfiles: Dotfiles
    templates: Templates
    usage: Usage
    feed: EventFeed
    changes: Changes
    accounts: Accounts
    second_factor: SecondFactor
    logins: Logins
    tasks: Tasks
    task_runner: TaskRunner
    commits: Commits
    activities: Activities
    idleness: Idleness
    idle_watch: IdleWatch
    discard: Discard
    callbacks: Callbacks
    vfolders: VFolders
    alerts: AlertServices


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
        recent_logs = stack.enter_context(keep_recent())
        keypair = _rpc_keypair(own)
        stack.enter_context(hold_pid_file(own.pid_file))
        stores = await _open_stores(stack, settings, keypair, box, clock)
        await _refuse_other_schema(stores.database, settings.db)
        holder = f"{own.id}:{SystemIds().uuid()}"
        services = _make_services(settings, stores, box, board, clock, recent_logs, holder)
        await services.status.look()
        await services.presence.beat()
        stack.push_async_callback(services.presence.end)
        core = _make_core(settings, stores, board, clock, holder)
        stack.push_async_callback(_end_leases, stores.core, holder)
        metrics = Metrics("manager", version("backendai-manager"), core.health)
        metrics.add("cluster", reading_of(stores.database))
        stores.links.measure(metrics.calls("agent_call", "Calls of agents").timed)
        access_log = AccessLog(metrics.requests)
        app = make_manager_app(services, core.health, stores, settings, access_log)
        await stack.enter_async_context(_running(stores, services, core, board, access_log, clock))
        address = await stack.enter_async_context(
            serve(app, own.service_addr, shutdown_seconds=DRAIN_SECONDS)
        )
        await stack.enter_async_context(
            monitored(settings.monitoring, metrics, core.health, _checks(stores))
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


def make_manager_app(
    services: Services,
    health: LoopHealth,
    stores: Stores,
    settings: ManagerSettings,
    access_log: AccessLog | None = None,
) -> web.Application:
    """The API with all of its routes."""
    app = make_app(
        unavailable=(RedisError,),
        body_bytes_max=settings.manager.body_bytes_max,
        access_log=access_log,
    )
    app.on_shutdown.append(services.apps.streams.end_all)
    routes = list_routes(services, health, stores, settings.manager)
    add_routes(app, routes, services.gatekeeper, services.status.refuse_frozen)
    return app


def list_routes(
    services: Services, health: LoopHealth, stores: Stores, own: ServiceSettings
) -> list[Route]:
    """Every route with its action; literal paths come before those with parameters."""
    clock = SystemClock()
    return [
        *(
            Route("GET", path, handler, Action("health", Access.OPEN))
            for path, handler in health_handlers(health, _checks(stores)).items()
        ),
        *graph_rest.routes(
            stores.database,
            UseCases(
                services.changes,
                services.accounts,
                services.vfolders,
                services.status.refuse_frozen,
            ),
            hides_agents=own.hide_agents,
        ),
        *accounts_rest.routes(
            stores.database,
            services.changes,
            services.logins,
            services.accounts,
            services.gatekeeper.address_of,
        ),
        *rest_second_factor.routes(services.second_factor),
        *audit_rest.routes(stores.database),
        *alerts_rest.routes(services.alerts.alerts),
        *config_rest.routes(services.cluster, services.pairs),
        *maintenance_rest.routes(services.maintenance, health, services.recent_logs, own.id),
        *resources_rest.routes(services.resources),
        *agents_rest.routes(services.watchers),
        *agents_rest.joining_routes(services.joining, services.gatekeeper.address_of),
        *usage_rest.routes(services.usage),
        *resource_groups_rest.routes(services.resource_groups),
        *error_logs_rest.routes(services.error_logs),
        *dotfiles_rest.routes(services.dotfiles),
        *templates_rest.routes(services.templates),
        *rest.routes(services.creation, services.sessions, services.templates, clock),
        *rest_work.routes(services.sessions, services.work),
        *rest_files.routes(services.sessions, services.work),
        *images_rest.routes(services.sessions, services.commits),
        *rest_registries.routes(services.changes, services.accounts.registries),
        *idle_rest.routes(services.sessions, services.idleness),
        *stream.routes(services.sessions, services.work, services.apps.streams),
        *apps_assembly.routes(services.sessions, services.apps),
        *events_rest.routes(services.sessions, services.feed),
        *tasks_rest.routes(services.tasks, clock),
        *vfolders_assembly.routes(services.vfolders),
    ]


def _checks(stores: Stores) -> dict[str, Check]:
    """What it needs to be of use."""
    return {"database": lambda: _ping_database(stores.database), "redis": _redis_check(stores)}


async def _open_stores(
    stack: AsyncExitStack,
    settings: ManagerSettings,
    keypair: KeyPair | None,
    box: SecretBox,
    clock: Clock,
) -> Stores:
    database = open_database(settings.db, f"manager:{settings.manager.id}")
    stack.push_async_callback(database.close)
    pulse = Pulse(database.engine)
    stack.push_async_callback(pulse.close)
    # A request does not wait long for a store that only counts it.
    redis = open_redis(settings.redis, timeout_seconds=REDIS_SECONDS, retries=0)
    stack.push_async_callback(redis.aclose)
    hints = RedisHints(settings.redis, clock)
    stack.push_async_callback(hints.close)
    etcd = await stack.enter_async_context(EtcdStore(settings.etcd))
    cache = settings.manager.config_cache
    config = CachedConfig(etcd, CONFIG_PREFIX, cache)
    volumes = CachedConfig(etcd, VOLUMES_PREFIX, cache.with_name(f"volumes-{cache.name}"))
    proxies = ProxyLink()
    stack.push_async_callback(proxies.close)
    links = RpcLinks(keypair)
    stack.push_async_callback(links.close)
    core = PostgresStore(database, SystemIds(), Registries(box), box.derive_cluster_seed)
    return Stores(database, pulse, redis, hints, etcd, config, volumes, proxies, links, core)


def _make_services(
    settings: ManagerSettings,
    stores: Stores,
    box: SecretBox,
    board: HintBoard,
    clock: Clock,
    recent_logs: RecentLogs,
    holder: str,
) -> Services:
    """`holder` names this life of this manager where one at a time does something."""
    ids, database, own = SystemIds(), stores.database, settings.manager
    keyring = Keyring(database, box, clock)
    gatekeeper = Gatekeeper(keyring, Limiter(stores.redis, clock), clock, own.trusted_proxies)
    watch = SessionWatch(database, board, clock)
    cluster, status, patience = ClusterFacts(database), StatusWatch(database), _patience(own)
    changes = Changes(database, clock, settled=keyring.forget)
    accounts = make_accounts(ids, box)
    logins, second_factor = _make_logins(stores, changes, accounts, box, clock, cluster, own)
    vfolders = make_vfolders(database, changes, stores.proxies, ids, clock)
    works = {**_make_works(stores, accounts.registries, ids, clock), **vfolders.works}
    limits = CommitLimits(own.custom_images_max, own.commit_bytes_max)
    rulebook, activities = Rulebook(cluster), Activities(database, clock)
    post = GuardedPost(own.callback_networks)
    work, proxy = SessionWork(database, stores.links, ids, activities), HttpAppProxy()
    return Services(
        recent_logs=recent_logs,
        gatekeeper=gatekeeper,
        keyring=keyring,
        creation=SessionCreation(database, gatekeeper, vfolders.proxies, clock, ids),
        sessions=Sessions(database, gatekeeper, watch, clock),
        work=work,
        apps=make_apps(database, work, proxy, _relay_secrets(settings, clock), activities, clock),
        cluster=cluster,
        pairs=ConfigPairs(stores.etcd),
        status=status,
        presence=Presence(database, holder, describe(own, _public_key(stores))),
        maintenance=Maintenance(
            database,
            stores.etcd,
            cluster,
            status,
            clock,
            lambda actor: Agents(database, changes, clock, patience, actor),
        ),
        resources=Resources(database, cluster, clock, stores.core.load_drift),
        resource_groups=ResourceGroups(database, proxy),
        watchers=Watchers(database, changes, stores.etcd, stores.links.keypair),
        joining=_make_joining(settings, stores, changes, ids),
        error_logs=ErrorLogs(database, ids),
        dotfiles=Dotfiles(database, gatekeeper),
        templates=Templates(database, changes, gatekeeper, ids),
        usage=Usage(database, clock),
        feed=EventFeed(database, board, clock),
        changes=changes,
        accounts=accounts,
        second_factor=second_factor,
        logins=logins,
        tasks=Tasks(database, board, clock),
        task_runner=TaskRunner(database, clock, holder, works, RESUMED_TASKS),
        commits=Commits(database, changes, ids, limits),
        activities=activities,
        idleness=Idleness(database, rulebook, clock),
        idle_watch=IdleWatch(database, rulebook, hold_turn(stores.core, clock, holder), clock),
        discard=Discard(
            database, stores.links, hold_discard_turn(stores.core, clock, holder), clock
        ),
        callbacks=Callbacks(database, stores.core, post, clock, holder),
        vfolders=vfolders,
        alerts=_make_alerts(settings, stores, vfolders, post, clock, holder),
    )


def _make_joining(
    settings: ManagerSettings, stores: Stores, changes: Changes, ids: IdSource
) -> Joining:
    return Joining(
        stores.database,
        changes,
        Attempts(stores.redis),
        settings.etcd,
        _patience(settings.manager),
        stores.links.keypair,
        list_public_keys,
        ids,
    )


def _public_key(stores: Stores) -> str:
    pair = stores.links.keypair
    return pair.public if pair is not None else ""


def _make_alerts(
    settings: ManagerSettings,
    stores: Stores,
    vfolders: VFolders,
    post: GuardedPost,
    clock: Clock,
    holder: str,
) -> AlertServices:
    proxies = vfolders.proxies
    return make_alerts(settings.alerts, stores.database, stores.core, proxies, post, clock, holder)


def _make_works(
    stores: Stores, registries: Registries, ids: IdSource, clock: Clock
) -> dict[str, TaskWork]:
    database, links = stores.database, stores.links
    return {
        RESCAN: Rescan(database, registries, ids, clock),
        COMMIT_SESSION: CommitWork(database, links, ids, clock),
        PRELOAD: StepsWork(Preload(database, registries, links, clock)),
        UNLOAD: StepsWork(Unload(database, links, clock)),
    }


def _make_core(
    settings: ManagerSettings, stores: Stores, board: HintBoard, clock: Clock, holder: str
) -> Core:
    secrets = _relay_secrets(settings, clock)
    ports = Ports(
        store=stores.core,
        link=stores.links,
        registry=EtcdRegistry(stores.etcd),
        publisher=stores.hints,
        clock=clock,
        board=board,
        relay_keys=RelayKeyring(secrets, stores.links) if secrets else None,
    )
    return Core(ports, CoreSettings(holder=holder, patience=_patience(settings.manager)))


def _make_logins(
    stores: Stores,
    changes: Changes,
    accounts: Accounts,
    box: SecretBox,
    clock: Clock,
    cluster: ClusterFacts,
    own: ServiceSettings,
) -> tuple[Logins, SecondFactor]:
    attempts = Attempts(stores.redis)
    second_factor = SecondFactor(stores.database, changes, box, attempts, clock)
    logins = Logins(
        stores.database,
        changes,
        accounts.users,
        box,
        attempts,
        second_factor,
        _make_login_tokens(own, stores, clock),
        clock,
        cluster.find,
    )
    return logins, second_factor


def _make_login_tokens(own: ServiceSettings, stores: Stores, clock: Clock) -> LoginTokens:
    path = own.login_token_key_file
    key = load_secret_key(path) if path is not None else None
    return LoginTokens(key, stores.redis, clock, creates_users=own.login_token_creates_users)


def _patience(own: ServiceSettings) -> Patience:
    return Patience.of_timeouts(own.heartbeat_timeout, own.agent_lost_after)


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


async def _ping_database(database: Database) -> None:
    async with database.begin() as connection:
        await connection.execute(sa.text("select 1"))


def _redis_check(stores: Stores) -> Any:
    async def check() -> None:
        try:
            await stores.redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreUnavailable("Redis does not answer.") from error

    return check


def _relay_secrets(settings: ManagerSettings, clock: Clock) -> FileSecrets | None:
    path = settings.relay.secret_key_file
    return None if path is None else FileSecrets(path, clock)


def _rpc_keypair(own: ServiceSettings) -> KeyPair | None:
    if own.rpc_keypair is None:
        log.warning("manager.rpc_not_encrypted", hint="set [manager] rpc-keypair")
        return None
    return load_keypair(own.rpc_keypair)
