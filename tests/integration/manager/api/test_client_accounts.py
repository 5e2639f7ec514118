"""Our own SDK and command on domains, projects, users, keypairs, dotfiles and one's own account."""

import json
import uuid
from collections.abc import AsyncIterator

import pytest

from backendai.client import Client, Config
from backendai.client.dotfiles import Dotfile, Owner
from backendai.client.faults import BadUsage
from backendai.common.faults import (
    AuthFailed,
    BadRequest,
    Conflict,
    DotfileExists,
    DotfileNotFound,
    Fault,
    Forbidden,
    InsufficientPrivilege,
    KeypairNotFound,
    ProjectNotFound,
    UserNotFound,
)
from backendai.manager.app import Manager
from tests.integration.manager.api.command import run_inside as run
from tests.integration.manager.api.test_client import environ_of
from tests.integration.manager.api.test_second_factor import code_at


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
                await client.users.list()
        assert secret == "" or isinstance(caught.value, AuthFailed)


async def test_users_change_nothing_and_see_themselves_alone(manager: Manager) -> None:
    async with Client(Config.from_environment(environ_of(manager, "alice"))) as alice:
        for change in (
            alice.domains.create("mine"),
            alice.users.delete("bob@example.com"),
            alice.keypairs.create("alice@example.com"),
            alice.projects.create("mine", domain="default"),
        ):
            with pytest.raises(InsufficientPrivilege):
                await change
        assert [user.email for user in await alice.users.list()] == ["alice@example.com"]
        assert [key.access_key for key in await alice.keypairs.list()] == ["AKALICE"]
        with pytest.raises(Forbidden):
            await alice.users.get("bob@example.com")
    refused = await run(manager, "admin", "user", "delete", "bob@example.com", name="alice")
    assert (refused.returncode, refused.stdout) == (5, "")


async def test_an_admin_of_another_domain_finds_nothing(manager: Manager) -> None:
    async with Client(Config.from_environment(environ_of(manager, "mallory"))) as mallory:
        with pytest.raises(UserNotFound):
            await mallory.users.get("alice@example.com")
        with pytest.raises(KeypairNotFound):
            await mallory.keypairs.get("AKALICE")
        with pytest.raises(ProjectNotFound):
            await mallory.projects.get("default", domain="default")


async def test_a_tenant_from_its_domain_to_its_keys(root: Client, word: str) -> None:
    made = await root.domains.create(word, description="d", total_resource_slots={"mem": "1g"})
    assert made.total_resource_slots == {"mem": str(1 << 30)}
    assert not (await root.domains.deactivate(word)).is_active
    assert (await root.domains.activate(word)).is_active
    project = await root.projects.create("p", domain=word, allowed_vfolder_hosts={})
    email = f"{word}@example.com"
    user = await root.users.create(email, "secret of it", domain=word, project_ids=[project.id])
    assert (user.status, [each.name for each in user.projects]) == ("active", ["p"])
    await root.projects.remove_users(project.id, [user.id])
    await root.projects.add_users(project.id, [user.id])
    assert [each.email for each in await root.users.list(project_id=project.id)] == [email]
    key = await root.keypairs.create(email, rate_limit=7)
    assert "secret" not in repr(key)
    await root.keypairs.deactivate(key.access_key)
    found = await root.keypairs.get(key.access_key)
    assert (found.rate_limit, found.is_active, found.email) == (7, False, email)
    await root.keypairs.delete(key.access_key)
    with pytest.raises(KeypairNotFound):
        await root.keypairs.delete(key.access_key)
    assert (await root.users.modify(email, role="admin")).role == "admin"
    await root.users.delete(email)
    assert (await root.users.activate(email)).status == "active"
    with pytest.raises(Conflict, match="still has users"):
        await root.domains.purge(word)
    await root.users.purge(email)
    await root.projects.purge(project.id)
    await root.domains.purge(word)
    assert await root.domains.find(word) is None
    log = await root.audit.list(domain=word, limit=3, action="user.purge")
    assert [entry.target_id for entry in log.items] == [email]


async def test_what_is_wrong_is_named(root: Client, word: str) -> None:
    with pytest.raises(BadUsage, match=r"role.*none of superadmin"):
        await root.users.create(f"{word}@example.com", "p", role="king")
    with pytest.raises(UserNotFound):
        await root.users.modify("nobody@example.com", full_name="x")
    with pytest.raises(Conflict):
        await root.users.create("alice@example.com", "p")


async def test_the_own_account(manager: Manager) -> None:
    async with Client(Config.from_environment(environ_of(manager, "tiny"))) as tiny:
        identity = await tiny.account.whoami()
        assert (identity.user.email, identity.keypair.access_key) == ("tiny@example.com", "AKTINY")
        with pytest.raises(AuthFailed):
            await tiny.account.change_password("wrong", "new password of tiny")
        await tiny.account.change_password("password of tiny", "new password of tiny")
        await tiny.account.set_full_name("Tiny Example")
        assert await tiny.account.ssh_public_key() is None
        pair = await tiny.account.renew_ssh_keypair()
        assert await tiny.account.ssh_public_key() == pair.ssh_public_key
        await tiny.account.set_ssh_keypair(pair.ssh_public_key, pair.ssh_private_key)
    shown = await run(manager, "account", "whoami", "--output", "json", name="tiny")
    assert json.loads(shown.stdout)["user"]["full_name"] == "Tiny Example"
    words = ("account", "password")
    typed = "new password of tiny\npassword of tiny\n"
    changed = await run(manager, *words, name="tiny", typed=typed)
    assert (changed.returncode, changed.stdout) == (0, "")
    assert (await run(manager, *words, name="tiny", typed="wrong\nx\n")).returncode == 5
    assert (await run(manager, *words, name="tiny")).returncode == 2
    keys = await run(manager, "account", "ssh-keypair", name="tiny")
    assert keys.stdout.startswith("ssh-ed25519 ")


async def test_the_second_factor(manager: Manager, root: Client, word: str) -> None:
    email = f"{word}@example.com"
    await root.users.create(email, "pass-word-1", username=word)
    key = await root.keypairs.create(email)
    environ = environ_of(manager, "root")
    environ |= {"BACKEND_ACCESS_KEY": key.access_key, "BACKEND_SECRET_KEY": key.secret_key}
    async with Client(Config.from_environment(environ)) as ann:
        assert not (await ann.totp.status()).is_active
        made = await ann.totp.enrol()
        assert made.key in made.uri
        assert made.key not in repr(made)
        with pytest.raises(AuthFailed):
            await ann.totp.activate("000000")
        await ann.totp.activate(code_at(made.key, -1))
        found = await ann.totp.status()
        assert found.is_active
        assert found.activated_at
        with pytest.raises(BadRequest):
            await ann.totp.enrol()
        with pytest.raises(AuthFailed):
            await ann.totp.remove("000000")
        with pytest.raises(Forbidden):
            await ann.totp.remove_of("alice@example.com")
        await ann.totp.remove(code_at(made.key))
        assert not (await ann.totp.status()).is_active
        again = await ann.totp.enrol()
        await ann.totp.activate(code_at(again.key, -1))
        assert (
            await run(manager, "admin", "user", "reset-totp", email, name="root")
        ).returncode == 0
        assert not (await ann.totp.status()).is_active
    with pytest.raises(UserNotFound):
        await root.totp.remove_of(f"x{email}")


async def test_dotfiles_of_users_and_projects(manager: Manager, root: Client) -> None:
    project = Owner(domain="default", project="default")
    with pytest.raises(BadUsage):
        Owner(access_key="AKROOT", domain="default")
    await root.dotfiles.add(Dotfile(".rc", "a", "600"), project)
    with pytest.raises(DotfileExists):
        await root.dotfiles.add(Dotfile(".rc", "a"), project)
    await root.dotfiles.replace(Dotfile(".rc", "b"), project)
    assert await root.dotfiles.list(project) == (Dotfile(".rc", "b", "644"),)
    assert await root.dotfiles.list() == ()
    await root.dotfiles.delete(".rc", project)
    with pytest.raises(DotfileNotFound):
        await root.dotfiles.get(".rc", project)
    put = await run(manager, "dotfile", "add", ".vimrc", "-", name="bob", typed="set nu\n")
    assert (put.returncode, put.stderr) == (0, "")
    assert (await run(manager, "dotfile", "get", ".vimrc", name="bob")).stdout == "set nu\n"
    assert ".vimrc" in (await run(manager, "dotfile", "list", name="bob")).stdout
    assert (await run(manager, "dotfile", "delete", ".vimrc", name="bob")).returncode == 2
    assert (await run(manager, "dotfile", "delete", ".vimrc", "-y", name="bob")).returncode == 0
    assert (await run(manager, "dotfile", "get", ".vimrc", name="bob")).returncode == 6
    assert (await run(manager, "dotfile", "bootstrap", "-", name="bob", typed="id")).stdout == ""
    assert (await run(manager, "dotfile", "bootstrap", name="bob")).stdout == "id"
    assert (await run(manager, "dotfile", "bootstrap", "--clear", name="bob")).returncode == 0


async def test_the_command_on_a_whole_tenant(manager: Manager, root: Client, word: str) -> None:
    email = f"{word}@example.com"

    async def admin(*words: str, code: int = 0, typed: str = "") -> str:
        done = await run(manager, "admin", *words, typed=typed)
        assert done.returncode == code, done
        assert "Traceback" not in done.stderr
        return done.stdout or done.stderr

    assert await admin("domain", "add", word, "-r", "cpu=4") == f"{word}\n"
    assert "give one of --name, --move-to" in await admin("project", "update", "p", code=2)
    await admin("domain", "update", word, "--description", "told")
    domains = json.loads(await admin("domain", "list", "--output", "json"))
    assert {"told"} == {each["description"] for each in domains if each["name"] == word}
    await admin("project", "add", "vision", "--domain", word)
    words = ("--domain", word, "--project", "vision", "--output", "json")
    made = json.loads(await admin("user", "add", email, "--generate-password", *words))
    assert made["email"] == email
    assert len(made["password"]) > 20
    assert made["access_key"].startswith("AK")
    table = (await admin("user", "list", "--domain", word)).splitlines()
    assert table[0].split() == ["EMAIL", "FULL", "NAME", "ROLE", "DOMAIN", "STATUS", "PROJECTS"]
    assert table[1].split()[-1] == "vision"
    assert "choose among id, email" in await admin("user", "list", "-f", "secret", code=2)
    await admin("project", "update", "vision", "--domain", word, "--remove-user", email)
    await admin("user", "update", email, "--project", "vision", "--password", typed="other\n")
    await admin("project", "update", "vision", "--domain", word, "--add-admin", email)
    shown = json.loads(
        await admin("project", "info", "vision", "--domain", word, "--output", "json")
    )
    assert (shown["admins"], shown["members"]) == ([email], [email])
    await admin("user", "update", email, "--project", "vision")
    assert (await root.users.get(email)).projects[0].role == "admin"
    await admin("project", "update", "vision", "--domain", word, "--remove-admin", email)
    assert (await root.users.get(email)).projects[0].name == "vision"
    key = json.loads(await admin("keypair", "add", email, "--output", "json"))
    csv = await admin("keypair", "list", "--user", email, "-f", "access_key", "--output", "csv")
    assert set(csv.split()) == {"access_key", made["access_key"], key["access_key"]}
    assert key["secret_key"] not in await admin("keypair", "info", key["access_key"])
    await admin("keypair", "update", key["access_key"], "--inactive")
    assert "give --yes" in await admin("keypair", "delete", key["access_key"], code=2)
    await admin("keypair", "delete", key["access_key"], "--yes")
    assert "still has users" in await admin("domain", "purge", word, "--yes", code=7)
    gone = await admin("user", "purge", email, "nobody@example.com", "--yes", code=6)
    assert gone == f"{email}\n"
    await admin("project", "purge", "vision", "--domain", word, "--yes")
    await admin("domain", "purge", word, "--yes")
    assert word in await admin("audit", "--domain", word, "--limit", "200", "--output", "csv")
    assert "No changes." in await admin("audit", "--domain", "none")
