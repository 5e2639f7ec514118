"""The async SDK: one user's view of one API."""

from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from backendai.client.channel import Channel
from backendai.client.cluster import Cluster
from backendai.client.config import Config
from backendai.client.images import Images
from backendai.client.sessions import Sessions
from backendai.client.system import System
from backendai.client.transport import Transport

if TYPE_CHECKING:
    from backendai.client.accounts.domains import Domains
    from backendai.client.accounts.keypairs import Keypairs
    from backendai.client.accounts.own import Account
    from backendai.client.accounts.projects import Projects
    from backendai.client.accounts.totp import Totp
    from backendai.client.accounts.users import Users
    from backendai.client.alerts import Alerts
    from backendai.client.apps.apps import Apps
    from backendai.client.audit import Audit
    from backendai.client.dotfiles import Dotfiles
    from backendai.client.error_logs import ErrorLogs
    from backendai.client.registries import Registries
    from backendai.client.resources.agents import Agents
    from backendai.client.resources.policies import KeypairPolicies, ProjectPolicies, UserPolicies
    from backendai.client.resources.presets import Presets
    from backendai.client.resources.resource_groups import ResourceGroups
    from backendai.client.tasks import Tasks
    from backendai.client.templates import Templates
    from backendai.client.usage import Usage
    from backendai.client.vfolders.vfolders import Vfolders


class Client:
    """Open it with `async with`; `config` None reads the environment.

    >>> async with Client() as client:
    ...     new = NewSession(image="python:3.11", name="demo")
    ...     await client.sessions.create(new)
    ...     print((await client.sessions.run_code("demo", "print(6 * 7)")).stdout)

    Requests raise faults of `backendai.common.faults` as the server raised them, and those of
    `backendai.client.faults` when there is no answer. Nouns of administration are imported when
    they are first asked for, since the command has to be ready at once.
    """

    def __init__(self, config: Config | None = None, transport: Transport | None = None) -> None:
        self._channel = Channel(config or Config.from_environment(), transport)
        self.sessions = Sessions(self._channel)
        self.images = Images(self._channel)
        self.system = System(self._channel)
        self.cluster = Cluster(self._channel)

    @cached_property
    def apps(self) -> "Apps":
        from backendai.client.apps.apps import Apps

        return Apps(self._channel)

    @cached_property
    def registries(self) -> "Registries":
        from backendai.client.registries import Registries

        return Registries(self._channel)

    @cached_property
    def tasks(self) -> "Tasks":
        from backendai.client.tasks import Tasks

        return Tasks(self._channel)

    @cached_property
    def error_logs(self) -> "ErrorLogs":
        from backendai.client.error_logs import ErrorLogs

        return ErrorLogs(self._channel)

    @cached_property
    def templates(self) -> "Templates":
        from backendai.client.templates import Templates

        return Templates(self._channel)

    @cached_property
    def usage(self) -> "Usage":
        from backendai.client.usage import Usage

        return Usage(self._channel)

    @cached_property
    def vfolders(self) -> "Vfolders":
        from backendai.client.vfolders.vfolders import Vfolders

        return Vfolders(self._channel)

    @cached_property
    def account(self) -> "Account":
        from backendai.client.accounts.own import Account

        return Account(self._channel)

    @cached_property
    def totp(self) -> "Totp":
        from backendai.client.accounts.totp import Totp

        return Totp(self._channel)

    @cached_property
    def domains(self) -> "Domains":
        from backendai.client.accounts.domains import Domains

        return Domains(self._channel)

    @cached_property
    def projects(self) -> "Projects":
        from backendai.client.accounts.projects import Projects

        return Projects(self._channel)

    @cached_property
    def users(self) -> "Users":
        from backendai.client.accounts.users import Users

        return Users(self._channel)

    @cached_property
    def keypairs(self) -> "Keypairs":
        from backendai.client.accounts.keypairs import Keypairs

        return Keypairs(self._channel)

    @cached_property
    def keypair_policies(self) -> "KeypairPolicies":
        from backendai.client.resources.policies import KeypairPolicies

        return KeypairPolicies(self._channel)

    @cached_property
    def user_policies(self) -> "UserPolicies":
        from backendai.client.resources.policies import UserPolicies

        return UserPolicies(self._channel)

    @cached_property
    def project_policies(self) -> "ProjectPolicies":
        from backendai.client.resources.policies import ProjectPolicies

        return ProjectPolicies(self._channel)

    @cached_property
    def presets(self) -> "Presets":
        from backendai.client.resources.presets import Presets

        return Presets(self._channel)

    @cached_property
    def resource_groups(self) -> "ResourceGroups":
        from backendai.client.resources.resource_groups import ResourceGroups

        return ResourceGroups(self._channel)

    @cached_property
    def agents(self) -> "Agents":
        from backendai.client.resources.agents import Agents

        return Agents(self._channel)

    @cached_property
    def dotfiles(self) -> "Dotfiles":
        from backendai.client.dotfiles import Dotfiles

        return Dotfiles(self._channel)

    @cached_property
    def alerts(self) -> "Alerts":
        from backendai.client.alerts import Alerts

        return Alerts(self._channel)

    @cached_property
    def audit(self) -> "Audit":
        from backendai.client.audit import Audit

        return Audit(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections. A closed client must not be used again."""
        await self._channel.close()
