"""The SDK for code without an event loop: every method is the async one, run to its end.

Nothing is written twice: a line names the async method, and its types follow from it.
"""

import asyncio
import enum
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar

from backendai.client.accounts.domains import Domains
from backendai.client.accounts.keypairs import Keypairs
from backendai.client.accounts.own import Account
from backendai.client.accounts.projects import Projects
from backendai.client.accounts.totp import Totp
from backendai.client.accounts.users import Users
from backendai.client.alerts import Alerts
from backendai.client.apps.apps import Apps
from backendai.client.audit import Audit
from backendai.client.client import Client
from backendai.client.cluster import Cluster
from backendai.client.config import Config
from backendai.client.dotfiles import Dotfiles
from backendai.client.error_logs import ErrorLogs
from backendai.client.images import Images
from backendai.client.registries import Registries
from backendai.client.resources.agents import Agents
from backendai.client.resources.policies import KeypairPolicies, ProjectPolicies, UserPolicies
from backendai.client.resources.presets import Presets
from backendai.client.resources.resource_groups import ResourceGroups
from backendai.client.sessions import Sessions
from backendai.client.system import System
from backendai.client.tasks import Tasks
from backendai.client.templates import Templates
from backendai.client.transport import Transport
from backendai.client.usage import Usage
from backendai.client.vfolders.vfolders import Vfolders

N = TypeVar("N")
P = ParamSpec("P")
R = TypeVar("R")


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="backendai-client", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Waits for `work`; an interruption of the caller cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Blocking(Generic[N]):
    """The sync face of one async noun."""

    def __init__(self, noun: N, loop: Loop) -> None:
        self._noun = noun
        self._loop = loop


class Waits(Generic[N, P, R]):
    """A method that waits for the coroutine of `method` and gives its result."""

    def __init__(self, method: Callable[Concatenate[N, P], Coroutine[Any, Any, R]]) -> None:
        self.method = method
        self.__doc__ = method.__doc__

    def __get__(self, face: Blocking[N], owner: type[Blocking[N]]) -> Callable[P, R]:
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return face._loop.run(self.method(face._noun, *args, **kwargs))

        return call


class Iterates(Generic[N, P, R]):
    """A method that gives the items of `method`'s async iterator as they come."""

    def __init__(self, method: Callable[Concatenate[N, P], AsyncIterator[R]]) -> None:
        self.method = method
        self.__doc__ = method.__doc__

    def __get__(self, face: Blocking[N], owner: type[Blocking[N]]) -> Callable[P, Iterator[R]]:
        def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
            return _iterate(face._loop, self.method(face._noun, *args, **kwargs))

        return call


class _End(enum.Enum):
    END = "end"


_END: Final = _End.END


def _iterate(loop: Loop, items: AsyncIterator[R]) -> Iterator[R]:
    try:
        while True:
            if (item := loop.run(_next_of(items))) is _END:
                return
            yield item
    finally:
        if isinstance(items, AsyncGenerator):
            loop.run(items.aclose())


async def _next_of(items: AsyncIterator[R]) -> R | "_End":
    return await anext(items, _END)


class BlockingSessions(Blocking[Sessions]):
    create = Waits(Sessions.create)
    info = Waits(Sessions.info)
    list = Waits(Sessions.list)
    destroy = Waits(Sessions.destroy)
    restart = Waits(Sessions.restart)
    rename = Waits(Sessions.rename)
    extend = Waits(Sessions.extend)
    commit = Waits(Sessions.commit)
    commit_status = Waits(Sessions.commit_status)
    interrupt = Waits(Sessions.interrupt)
    complete = Waits(Sessions.complete)
    logs = Waits(Sessions.logs)
    why = Waits(Sessions.why)
    history = Waits(Sessions.history)
    events = Iterates(Sessions.events)
    execute = Iterates(Sessions.execute)
    require_running = Waits(Sessions.require_running)
    run_code = Waits(Sessions.run_code)
    upload = Waits(Sessions.upload)
    download = Waits(Sessions.download)
    list_files = Waits(Sessions.list_files)


class BlockingApps(Blocking[Apps]):
    list = Waits(Apps.list)
    start = Waits(Apps.start)
    stop = Waits(Apps.stop)
    circuits = Waits(Apps.circuits)
    close_circuit = Waits(Apps.close_circuit)
    close_circuits = Waits(Apps.close_circuits)
    open_tunnel = Waits(Apps.open_tunnel)


class BlockingImages(Blocking[Images]):
    list = Waits(Images.list)
    find_default = Waits(Images.find_default)
    rescan = Waits(Images.rescan)
    preload = Waits(Images.preload)
    unload = Waits(Images.unload)
    alias = Waits(Images.alias)
    dealias = Waits(Images.dealias)
    forget = Waits(Images.forget)
    clear = Waits(Images.clear)
    limit = Waits(Images.limit)
    modify = Waits(Images.modify)


class BlockingRegistries(Blocking[Registries]):
    list = Waits(Registries.list)
    add = Waits(Registries.add)
    modify = Waits(Registries.modify)
    delete = Waits(Registries.delete)


class BlockingErrorLogs(Blocking[ErrorLogs]):
    list = Waits(ErrorLogs.list)
    add = Waits(ErrorLogs.add)
    clear = Waits(ErrorLogs.clear)


class BlockingTasks(Blocking[Tasks]):
    list = Waits(Tasks.list)
    cancel = Waits(Tasks.cancel)
    follow = Iterates(Tasks.follow)


class BlockingSystem(Blocking[System]):
    hello = Waits(System.hello)


class BlockingCluster(Blocking[Cluster]):
    standing = Waits(Cluster.standing)
    freeze = Waits(Cluster.freeze)
    thaw = Waits(Cluster.thaw)
    log = Waits(Cluster.log)
    announcement = Waits(Cluster.announcement)
    announce = Waits(Cluster.announce)
    get_config = Waits(Cluster.get_config)
    get_config_below = Waits(Cluster.get_config_below)
    set_config = Waits(Cluster.set_config)
    delete_config = Waits(Cluster.delete_config)
    list_presets = Waits(Cluster.list_presets)
    check_presets = Waits(Cluster.check_presets)


class BlockingTemplates(Blocking[Templates]):
    create = Waits(Templates.create)
    list = Waits(Templates.list)
    get = Waits(Templates.get)
    update = Waits(Templates.update)
    delete = Waits(Templates.delete)
    start = Waits(Templates.start)


class BlockingUsage(Blocking[Usage]):
    month = Waits(Usage.month)
    period = Waits(Usage.period)
    project = Waits(Usage.project)
    own_curves = Waits(Usage.own_curves)
    all_curves = Waits(Usage.all_curves)
    check = Waits(Usage.check)


class BlockingVfolders(Blocking[Vfolders]):
    list = Waits(Vfolders.list)
    create = Waits(Vfolders.create)
    info = Waits(Vfolders.info)
    rename = Waits(Vfolders.rename)
    update_options = Waits(Vfolders.update_options)
    delete = Waits(Vfolders.delete)
    restore = Waits(Vfolders.restore)
    purge = Waits(Vfolders.purge)
    abandon = Waits(Vfolders.abandon)
    clone = Waits(Vfolders.clone)
    hosts = Waits(Vfolders.hosts)
    quota = Waits(Vfolders.quota)
    set_quota = Waits(Vfolders.set_quota)
    usage = Waits(Vfolders.usage)
    invite = Waits(Vfolders.invite)
    invitations = Waits(Vfolders.invitations)
    sent_invitations = Waits(Vfolders.sent_invitations)
    update_invitation = Waits(Vfolders.update_invitation)
    accept = Waits(Vfolders.accept)
    reject = Waits(Vfolders.reject)
    leave = Waits(Vfolders.leave)
    share = Waits(Vfolders.share)
    unshare = Waits(Vfolders.unshare)
    shares = Waits(Vfolders.shares)
    set_share = Waits(Vfolders.set_share)
    transfer = Waits(Vfolders.transfer)
    list_files = Waits(Vfolders.list_files)
    find_file = Waits(Vfolders.find_file)
    mkdir = Waits(Vfolders.mkdir)
    delete_files = Waits(Vfolders.delete_files)
    move_file = Waits(Vfolders.move_file)
    copy_file = Waits(Vfolders.copy_file)
    rename_file = Waits(Vfolders.rename_file)
    begin_upload = Waits(Vfolders.begin_upload)
    begin_download = Waits(Vfolders.begin_download)
    begin_archive = Waits(Vfolders.begin_archive)
    begin_extraction = Waits(Vfolders.begin_extraction)
    upload = Waits(Vfolders.upload)
    upload_as = Waits(Vfolders.upload_as)
    download = Waits(Vfolders.download)
    download_as = Waits(Vfolders.download_as)
    download_archive = Waits(Vfolders.download_archive)
    extract = Waits(Vfolders.extract)
    sync_up = Waits(Vfolders.sync_up)
    sync_down = Waits(Vfolders.sync_down)


class BlockingAccount(Blocking[Account]):
    whoami = Waits(Account.whoami)
    change_password = Waits(Account.change_password)
    set_full_name = Waits(Account.set_full_name)
    ssh_public_key = Waits(Account.ssh_public_key)
    renew_ssh_keypair = Waits(Account.renew_ssh_keypair)
    set_ssh_keypair = Waits(Account.set_ssh_keypair)
    sign_out = Waits(Account.sign_out)


class BlockingTotp(Blocking[Totp]):
    status = Waits(Totp.status)
    enrol = Waits(Totp.enrol)
    activate = Waits(Totp.activate)
    remove = Waits(Totp.remove)
    remove_of = Waits(Totp.remove_of)


class BlockingDomains(Blocking[Domains]):
    list = Waits(Domains.list)
    find = Waits(Domains.find)
    get = Waits(Domains.get)
    create = Waits(Domains.create)
    modify = Waits(Domains.modify)
    activate = Waits(Domains.activate)
    deactivate = Waits(Domains.deactivate)
    delete = Waits(Domains.delete)
    purge = Waits(Domains.purge)


class BlockingProjects(Blocking[Projects]):
    list = Waits(Projects.list)
    find = Waits(Projects.find)
    get = Waits(Projects.get)
    create = Waits(Projects.create)
    modify = Waits(Projects.modify)
    members = Waits(Projects.members)
    add_users = Waits(Projects.add_users)
    remove_users = Waits(Projects.remove_users)
    add_admins = Waits(Projects.add_admins)
    remove_admins = Waits(Projects.remove_admins)
    activate = Waits(Projects.activate)
    deactivate = Waits(Projects.deactivate)
    delete = Waits(Projects.delete)
    purge = Waits(Projects.purge)


class BlockingUsers(Blocking[Users]):
    list = Waits(Users.list)
    find = Waits(Users.find)
    get = Waits(Users.get)
    create = Waits(Users.create)
    modify = Waits(Users.modify)
    activate = Waits(Users.activate)
    deactivate = Waits(Users.deactivate)
    delete = Waits(Users.delete)
    purge = Waits(Users.purge)


class BlockingKeypairs(Blocking[Keypairs]):
    list = Waits(Keypairs.list)
    find = Waits(Keypairs.find)
    get = Waits(Keypairs.get)
    create = Waits(Keypairs.create)
    modify = Waits(Keypairs.modify)
    activate = Waits(Keypairs.activate)
    deactivate = Waits(Keypairs.deactivate)
    delete = Waits(Keypairs.delete)


class BlockingKeypairPolicies(Blocking[KeypairPolicies]):
    list = Waits(KeypairPolicies.list)
    find = Waits(KeypairPolicies.find)
    get = Waits(KeypairPolicies.get)
    create = Waits(KeypairPolicies.create)
    modify = Waits(KeypairPolicies.modify)
    delete = Waits(KeypairPolicies.delete)


class BlockingUserPolicies(Blocking[UserPolicies]):
    list = Waits(UserPolicies.list)
    find = Waits(UserPolicies.find)
    get = Waits(UserPolicies.get)
    create = Waits(UserPolicies.create)
    modify = Waits(UserPolicies.modify)
    delete = Waits(UserPolicies.delete)


class BlockingProjectPolicies(Blocking[ProjectPolicies]):
    list = Waits(ProjectPolicies.list)
    find = Waits(ProjectPolicies.find)
    get = Waits(ProjectPolicies.get)
    create = Waits(ProjectPolicies.create)
    modify = Waits(ProjectPolicies.modify)
    delete = Waits(ProjectPolicies.delete)


class BlockingPresets(Blocking[Presets]):
    list = Waits(Presets.list)
    find = Waits(Presets.find)
    get = Waits(Presets.get)
    create = Waits(Presets.create)
    modify = Waits(Presets.modify)
    delete = Waits(Presets.delete)


class BlockingAgents(Blocking[Agents]):
    list = Waits(Agents.list)
    find = Waits(Agents.find)
    get = Waits(Agents.get)
    pause = Waits(Agents.pause)
    resume = Waits(Agents.resume)
    make_join_token = Waits(Agents.make_join_token)
    list_join_tokens = Waits(Agents.list_join_tokens)
    withdraw_join_token = Waits(Agents.withdraw_join_token)


class BlockingResourceGroups(Blocking[ResourceGroups]):
    list = Waits(ResourceGroups.list)
    list_of_domain = Waits(ResourceGroups.list_of_domain)
    list_of_project = Waits(ResourceGroups.list_of_project)
    list_of_keypair = Waits(ResourceGroups.list_of_keypair)
    find = Waits(ResourceGroups.find)
    get = Waits(ResourceGroups.get)
    create = Waits(ResourceGroups.create)
    modify = Waits(ResourceGroups.modify)
    delete = Waits(ResourceGroups.delete)
    allow_domain = Waits(ResourceGroups.allow_domain)
    allow_project = Waits(ResourceGroups.allow_project)
    allow_keypair = Waits(ResourceGroups.allow_keypair)
    disallow_domain = Waits(ResourceGroups.disallow_domain)
    disallow_project = Waits(ResourceGroups.disallow_project)
    disallow_keypair = Waits(ResourceGroups.disallow_keypair)


class BlockingDotfiles(Blocking[Dotfiles]):
    list = Waits(Dotfiles.list)
    get = Waits(Dotfiles.get)
    add = Waits(Dotfiles.add)
    replace = Waits(Dotfiles.replace)
    delete = Waits(Dotfiles.delete)
    bootstrap_script = Waits(Dotfiles.bootstrap_script)
    set_bootstrap_script = Waits(Dotfiles.set_bootstrap_script)


class BlockingAudit(Blocking[Audit]):
    list = Waits(Audit.list)


class BlockingAlerts(Blocking[Alerts]):
    list = Waits(Alerts.list)
    test = Waits(Alerts.test)


class SyncClient:
    """`Client` for sync code: the same nouns and methods, safe to share between threads."""

    def __init__(self, config: Config | None = None, transport: Transport | None = None) -> None:
        self._client = Client(config, transport)
        self._loop = Loop()
        self.sessions = BlockingSessions(self._client.sessions, self._loop)
        self.apps = BlockingApps(self._client.apps, self._loop)
        self.images = BlockingImages(self._client.images, self._loop)
        self.system = BlockingSystem(self._client.system, self._loop)
        self.cluster = BlockingCluster(self._client.cluster, self._loop)
        self.templates = BlockingTemplates(self._client.templates, self._loop)
        self.usage = BlockingUsage(self._client.usage, self._loop)
        self.vfolders = BlockingVfolders(self._client.vfolders, self._loop)
        self.registries = BlockingRegistries(self._client.registries, self._loop)
        self.tasks = BlockingTasks(self._client.tasks, self._loop)
        self.error_logs = BlockingErrorLogs(self._client.error_logs, self._loop)
        self.account = BlockingAccount(self._client.account, self._loop)
        self.totp = BlockingTotp(self._client.totp, self._loop)
        self.domains = BlockingDomains(self._client.domains, self._loop)
        self.projects = BlockingProjects(self._client.projects, self._loop)
        self.users = BlockingUsers(self._client.users, self._loop)
        self.keypairs = BlockingKeypairs(self._client.keypairs, self._loop)
        self.keypair_policies = BlockingKeypairPolicies(self._client.keypair_policies, self._loop)
        self.user_policies = BlockingUserPolicies(self._client.user_policies, self._loop)
        self.project_policies = BlockingProjectPolicies(self._client.project_policies, self._loop)
        self.presets = BlockingPresets(self._client.presets, self._loop)
        self.agents = BlockingAgents(self._client.agents, self._loop)
        self.resource_groups = BlockingResourceGroups(self._client.resource_groups, self._loop)
        self.dotfiles = BlockingDotfiles(self._client.dotfiles, self._loop)
        self.audit = BlockingAudit(self._client.audit, self._loop)
        self.alerts = BlockingAlerts(self._client.alerts, self._loop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._loop.run(self._client.close())
        self._loop.close()
