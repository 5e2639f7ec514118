"""What a manager is made of: its stores and its services, made from settings and nothing else."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from backendai.common import logs
from backendai.common.clock import Clock
from backendai.common.config import CachedConfig
from backendai.common.etcd import EtcdStore
from backendai.common.ids import IdSource, SystemIds
from backendai.common.recent_logs import RecentLogs
from backendai.common.relay_secrets import FileSecrets
from backendai.common.rpc.curve import KeyPair, load_keypair
from backendai.common.secretfile import load_secret_key
from backendai.common.streams import RedisHints, open_redis

from .accounts.attempts import Attempts
from .accounts.login_tokens import LoginTokens
from .accounts.logins import Logins
from .accounts.second_factor import SecondFactor
from .accounts.secretbox import SecretBox
from .accounts.service import Accounts, make_accounts
from .agents.directory import EtcdRegistry
from .agents.joining import Joining
from .agents.link import RpcLinks
from .agents.model import Patience
from .agents.service import Agents
from .agents.watchers import Watchers
from .alerts.assembly import AlertServices, make_alerts
from .apps.assembly import AppServices, make_apps
from .apps.tickets import RelayKeyring
from .audit.change import Changes
from .callbacks.loop import Callbacks
from .callbacks.post import GuardedPost
from .config.cluster import CONFIG_PREFIX, ClusterFacts
from .config.pairs import ConfigPairs
from .db.engine import Database, open_database
from .db.pulse import Pulse
from .dotfiles.service import Dotfiles
from .error_logs.service import ErrorLogs
from .events.feed import EventFeed
from .gate.identity import Gatekeeper
from .gate.keyring import Keyring
from .gate.limiter import Limiter
from .idle.activity import Activities
from .idle.loop import IdleWatch, hold_turn
from .idle.service import Idleness, Rulebook
from .images.commits import COMMIT_SESSION, CommitLimits, Commits, CommitWork
from .images.discard import Discard
from .images.discard import hold_turn as hold_discard_turn
from .images.preloads import PRELOAD, UNLOAD, Preload, StepsWork, Unload
from .images.registries import Registries
from .images.rescan import RESCAN, Rescan
from .lifecycle.core import Core, CoreSettings, Ports
from .lifecycle.hints import HintBoard
from .lifecycle.postgres import PostgresStore
from .maintenance.presence import Presence, describe, list_public_keys
from .maintenance.service import Maintenance
from .maintenance.watch import StatusWatch
from .resource_groups.proxy import HttpAppProxy
from .resource_groups.service import ResourceGroups
from .resources.service import Resources
from .sessions.creation import SessionCreation
from .sessions.service import Sessions
from .sessions.watch import SessionWatch
from .sessions.work import SessionWork
from .settings import ManagerSettings, ServiceSettings
from .tasks.model import TaskWork
from .tasks.runner import TaskRunner
from .tasks.service import Tasks
from .templates.service import Templates
from .usage.service import Usage
from .vfolders.assembly import VFolders, make_vfolders
from .vfolders.clone import CLONE_FOLDER
from .vfolders.creation import PURGE_FOLDER
from .vfolders.link import ProxyLink
from .vfolders.volumes import VOLUMES_PREFIX

log = logs.get_logger(__name__)

REDIS_SECONDS: Final = 0.5
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
    relay_secrets: FileSecrets | None
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


async def open_stores(
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
    relay_secrets = _relay_secrets(settings, clock)
    return Stores(
        database, pulse, redis, hints, etcd, relay_secrets, config, volumes, proxies, links, core
    )


def make_services(
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
        apps=make_apps(database, work, proxy, stores.relay_secrets, activities, clock),
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


def make_core(
    settings: ManagerSettings, stores: Stores, board: HintBoard, clock: Clock, holder: str
) -> Core:
    secrets = stores.relay_secrets
    ports = Ports(
        store=stores.core,
        link=stores.links,
        registry=EtcdRegistry(stores.etcd),
        publisher=stores.hints,
        clock=clock,
        board=board,
        relay_keys=RelayKeyring(secrets, stores.links) if secrets is not None else None,
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


def _relay_secrets(settings: ManagerSettings, clock: Clock) -> FileSecrets | None:
    path = settings.relay.secret_key_file
    return None if path is None else FileSecrets(path, clock)


def open_rpc_keypair(own: ServiceSettings) -> KeyPair | None:
    if own.rpc_keypair is None:
        log.warning("manager.rpc_not_encrypted", hint="set [manager] rpc-keypair")
        return None
    return load_keypair(own.rpc_keypair)
