"""Every async method of every noun has its sync twin, taken from the same function."""

import inspect
import re
from typing import Any

import pytest

from backendai.client import Client, SyncClient
from backendai.client.accounts.domains import Domains
from backendai.client.accounts.keypairs import Keypairs
from backendai.client.accounts.own import Account
from backendai.client.accounts.projects import Projects
from backendai.client.accounts.users import Users
from backendai.client.audit import Audit
from backendai.client.blocking import (
    BlockingAccount,
    BlockingAudit,
    BlockingCluster,
    BlockingDomains,
    BlockingDotfiles,
    BlockingErrorLogs,
    BlockingImages,
    BlockingKeypairPolicies,
    BlockingKeypairs,
    BlockingPresets,
    BlockingProjectPolicies,
    BlockingProjects,
    BlockingRegistries,
    BlockingResourceGroups,
    BlockingSessions,
    BlockingSystem,
    BlockingTasks,
    BlockingTemplates,
    BlockingUsage,
    BlockingUserPolicies,
    BlockingUsers,
    BlockingVfolders,
    Iterates,
    Loop,
    Waits,
)
from backendai.client.cluster import Cluster
from backendai.client.dotfiles import Dotfiles
from backendai.client.error_logs import ErrorLogs
from backendai.client.images import Images
from backendai.client.registries import Registries
from backendai.client.resources.policies import KeypairPolicies, ProjectPolicies, UserPolicies
from backendai.client.resources.presets import Presets
from backendai.client.resources.resource_groups import ResourceGroups
from backendai.client.sessions import Sessions
from backendai.client.system import System
from backendai.client.tasks import Tasks
from backendai.client.templates import Templates
from backendai.client.usage import Usage
from backendai.client.vfolders.vfolders import Vfolders

TWINS = [
    (Sessions, BlockingSessions),
    (Images, BlockingImages),
    (System, BlockingSystem),
    (Cluster, BlockingCluster),
    (Templates, BlockingTemplates),
    (Usage, BlockingUsage),
    (Vfolders, BlockingVfolders),
    (Registries, BlockingRegistries),
    (ErrorLogs, BlockingErrorLogs),
    (Tasks, BlockingTasks),
    (Account, BlockingAccount),
    (Domains, BlockingDomains),
    (Projects, BlockingProjects),
    (Users, BlockingUsers),
    (Keypairs, BlockingKeypairs),
    (KeypairPolicies, BlockingKeypairPolicies),
    (UserPolicies, BlockingUserPolicies),
    (ProjectPolicies, BlockingProjectPolicies),
    (Presets, BlockingPresets),
    (ResourceGroups, BlockingResourceGroups),
    (Dotfiles, BlockingDotfiles),
    (Audit, BlockingAudit),
]
NOUNS = {re.sub("(?<=.)([A-Z])", r"_\1", noun.__name__).lower() for noun, _ in TWINS}


def public_methods(noun: type[Any]) -> dict[str, Any]:
    """Its own and the inherited ones."""
    members = {name: value for each in reversed(noun.__mro__) for name, value in vars(each).items()}
    return {name: value for name, value in members.items() if not name.startswith("_")}


@pytest.mark.parametrize(("noun", "twin"), TWINS)
def test_each_method_has_its_twin(noun: type[Any], twin: type[Any]) -> None:
    methods = public_methods(noun)
    twins = {name: value.method for name, value in public_methods(twin).items()}
    assert twins == methods


@pytest.mark.parametrize(("noun", "twin"), TWINS)
def test_iterators_iterate_and_coroutines_wait(noun: type[Any], twin: type[Any]) -> None:
    for name, method in public_methods(noun).items():
        returned = str(inspect.signature(method).return_annotation)
        expected = Iterates if "AsyncGenerator" in returned else Waits
        assert isinstance(vars(twin)[name], expected), name
        assert vars(twin)[name].__doc__ == method.__doc__


def test_both_clients_have_the_same_nouns() -> None:
    def nouns(client: type[Any]) -> set[str]:
        source = inspect.getsource(client)
        return {name for name in NOUNS if f"self.{name} =" in source or f"def {name}(" in source}

    assert nouns(Client) == nouns(SyncClient) == NOUNS


def test_a_loop_gives_results_and_raises_errors() -> None:
    async def fail() -> None:
        raise LookupError("gone")

    async def answer() -> int:
        return 42

    loop = Loop()
    try:
        assert loop.run(answer()) == 42
        with pytest.raises(LookupError, match="gone"):
            loop.run(fail())
    finally:
        loop.close()
