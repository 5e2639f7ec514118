"""Our own SDK and command on policies, presets and resource groups."""

import json
import uuid
from collections.abc import AsyncIterator

import pytest

from backendai.client import Client, Config
from backendai.client.faults import BadUsage
from backendai.client.resources.rows import UserPolicy
from backendai.common.faults import (
    AuthFailed,
    Conflict,
    Fault,
    InsufficientPrivilege,
    NotFound,
    PolicyNotFound,
    PresetNotFound,
    ResourceGroupNotFound,
)
from backendai.manager.app import Manager
from tests.integration.manager.api.command import run_inside as run
from tests.integration.manager.api.test_client import environ_of


@pytest.fixture
async def root(manager: Manager) -> AsyncIterator[Client]:
    async with Client(Config.from_environment(environ_of(manager, "root"))) as client:
        yield client


@pytest.fixture
def word() -> str:
    return f"w{uuid.uuid4().hex[:10]}"


async def test_without_a_credential_or_with_a_wrong_one_nothing_is_told(manager: Manager) -> None:
    for secret in ("", "wrong"):
        environ = {**environ_of(manager, "root"), "BACKEND_SECRET_KEY": secret}
        with pytest.raises(Fault) as caught:
            async with Client(Config.from_environment(environ)) as client:
                await client.keypair_policies.list()
        assert secret == "" or isinstance(caught.value, AuthFailed)


@pytest.mark.parametrize("name", ["alice", "carol"])
async def test_who_is_no_superadmin_changes_nothing(manager: Manager, name: str) -> None:
    async with Client(Config.from_environment(environ_of(manager, name))) as caller:
        for change in (
            caller.keypair_policies.modify("default", max_concurrent_sessions=1),
            caller.user_policies.create("mine"),
            caller.project_policies.delete("default"),
            caller.presets.create("mine", resource_slots={"cpu": "1"}),
            caller.resource_groups.modify("default", is_active=False),
            caller.resource_groups.allow_domain("default", "other"),
        ):
            with pytest.raises(InsufficientPrivilege):
                await change
    refused = await run(manager, "admin", "preset", "delete", "x", "--yes", name=name)
    assert (refused.returncode, refused.stdout) == (5, "")


async def test_users_see_what_binds_them(manager: Manager, root: Client, word: str) -> None:
    await root.keypair_policies.create(word)
    async with Client(Config.from_environment(environ_of(manager, "alice"))) as alice:
        assert [each.name for each in await alice.keypair_policies.list()] == ["default"]
        assert await alice.keypair_policies.find(word) is None
        with pytest.raises(Fault):
            await alice.resource_groups.list()
    await root.keypair_policies.delete(word)


async def test_policies_from_first_to_last(root: Client, word: str) -> None:
    made = await root.keypair_policies.create(
        word, total_resource_slots={"mem": "1g"}, max_pending_session_count=2
    )
    assert (made.max_concurrent_sessions, made.max_pending_session_count) == (100, 2)
    assert made.total_resource_slots == {"mem": str(1 << 30)}
    slots = {"cpu": 4}
    await root.keypair_policies.modify(word, max_pending_session_resource_slots=slots)
    found = await root.keypair_policies.get(word)
    assert found.max_pending_session_resource_slots == {"cpu": "4"}
    await root.keypair_policies.modify(
        word, max_pending_session_count=-1, max_pending_session_resource_slots={}
    )
    found = await root.keypair_policies.get(word)
    assert (found.max_pending_session_resource_slots, found.max_pending_session_count) == (
        None,
    ) * 2
    with pytest.raises(Conflict):
        await root.keypair_policies.create(word)
    with pytest.raises(BadUsage, match="max_concurrent_sessions: write a whole number"):
        await root.keypair_policies.modify(word, max_concurrent_sessions=-1)
    await root.keypair_policies.delete(word)
    with pytest.raises(PolicyNotFound):
        await root.keypair_policies.delete(word)
    with pytest.raises(Conflict, match=r"alice@example\.com"):
        await root.keypair_policies.delete("default")

    size = 5 << 40
    user = await root.user_policies.create(word, max_quota_scope_size=size, max_vfolder_count=3)
    assert user == UserPolicy(word, 3, size, 10, user.created_at)
    await root.project_policies.create(word, max_vfolder_count=3)
    await root.project_policies.modify(word, max_vfolder_count=0, max_quota_scope_size=-1)
    assert (await root.project_policies.get(word)).max_vfolder_count == 0
    assert word in [each.name for each in await root.user_policies.list()]
    await root.user_policies.delete(word)
    await root.project_policies.delete(word)


async def test_presets_from_first_to_last(root: Client, word: str) -> None:
    made = await root.presets.create(word, resource_slots={"mem": "1g"}, shared_memory="64m")
    assert (made.resource_slots, made.shared_memory) == ({"mem": str(1 << 30)}, 64 << 20)
    await root.presets.modify(word, shared_memory=0)
    assert (await root.presets.get(word)).shared_memory is None
    with pytest.raises(BadUsage, match="is a part of mem"):
        await root.presets.modify(word, shared_memory=2 << 30)
    assert word in [each.name for each in await root.presets.list()]
    await root.presets.delete(word)
    with pytest.raises(PresetNotFound):
        await root.presets.get(word)


async def test_a_resource_group_is_opened_and_closed(root: Client, word: str) -> None:
    groups = root.resource_groups
    made = await groups.create(word, scheduler_opts={"placement": "dispersed"})
    assert (made.driver, made.scheduler_opts) == ("static", {"placement": "dispersed"})
    project = await root.projects.get("default", domain="default")
    await groups.allow_domain(word, "default")
    await groups.allow_project(word, project.id)
    await groups.allow_keypair(word, "AKALICE")
    with pytest.raises(Conflict):
        await groups.allow_domain(word, "default")
    for found in (
        await groups.list_of_domain("default"),
        await groups.list_of_project(project.id),
        await groups.list_of_keypair("AKALICE"),
    ):
        assert word in [each.name for each in found]
    await groups.disallow_domain(word, "default")
    await groups.disallow_project(word, project.id)
    await groups.disallow_keypair(word, "AKALICE")
    with pytest.raises(NotFound):
        await groups.disallow_keypair(word, "AKALICE")
    await groups.modify(word, is_active=False)
    assert word not in [each.name for each in await groups.list(is_active=True)]
    await groups.delete(word)
    with pytest.raises(ResourceGroupNotFound):
        await groups.get(word)


async def test_the_command_on_all_of_them(manager: Manager, root: Client, word: str) -> None:
    async def admin(*words: str, code: int = 0) -> str:
        done = await run(manager, "admin", *words)
        assert done.returncode == code, done
        assert "Traceback" not in done.stderr
        return done.stdout or done.stderr

    of = ("--of", "keypair")
    added = await admin("policy", "add", word, *of, "-r", "cpu=8", "--idle-timeout", "1h")
    assert added == f"{word}\n"
    await admin("policy", "update", word, *of, "--max-pending-sessions", "2")
    await admin("policy", "update", word, *of, "--max-pending-sessions", "none")
    shown = json.loads(await admin("policy", "info", word, *of, "--output", "json"))
    assert (shown["idle_timeout"], shown["max_pending_session_count"]) == (3600, None)
    assert shown["max_concurrent_sessions"] == 100
    (line,) = [each for each in (await admin("policy", "list", *of)).splitlines() if word in each]
    assert "cpu 8" in line
    strange = await admin("policy", "add", "x", *of, "--max-vfolder-count", "1", code=2)
    assert "A policy of keypairs has no max-vfolder-count. It has default-for" in strange
    assert "give one of" in await admin("policy", "update", word, *of, code=2)
    await admin("policy", "add", word, "--of", "user", "--max-quota-scope-size", "10g")
    assert "10g" in await admin("policy", "info", word, "--of", "user")
    assert "give --yes" in await admin("policy", "delete", word, *of, code=2)
    assert "alice@example.com" in await admin("policy", "delete", "default", *of, "-y", code=7)
    for kind in ("keypair", "user"):
        assert await admin("policy", "delete", word, "--of", kind, "-y") == f"{word}\n"
    await admin("policy", "info", word, *of, code=6)

    await admin("preset", "add", word, "-r", "mem=2g", "--shmem", "64m")
    table = await admin("preset", "list")
    assert "mem 2g" in table
    assert "64m" in table
    await admin("preset", "update", word, "--shmem", "0")
    assert (await root.presets.get(word)).shared_memory is None
    await admin("preset", "delete", word, "-y")

    group = ("resource-group",)
    await admin(*group, "add", word, "--placement", "dispersed", "--private")
    await admin(*group, "update", word, "--pending-timeout", "2h")
    options = (await root.resource_groups.get(word)).scheduler_opts
    assert options == {"placement": "dispersed", "pending_timeout_seconds": 7200.0}
    whom = ("--domain", "default", "--project", "other/default", "--keypair", "AKALICE")
    told = (await admin(*group, "allow", word, *whom)).splitlines()
    assert told == ["domain default", "project other/default", "keypair AKALICE"]
    shown = json.loads(await admin(*group, "info", word, "--output", "json"))
    assert (shown["domains"], shown["projects"]) == (["default"], ["other/default"])
    assert "give one of --domain" in await admin(*group, "allow", word, code=2)
    await admin(*group, "disallow", word, *whom)
    await admin(*group, "disallow", word, "--domain", "default", code=6)
    await admin(*group, "delete", word, "-y")
