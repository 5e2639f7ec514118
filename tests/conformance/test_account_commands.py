"""The account commands of the official client, against a manager of this process, without nodes."""

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backendai.manager.app import Manager
from backendai.manager.settings import ManagerSettings
from tests.conformance.calls import Calls
from tests.conformance.doors import is_session, log_in
from tests.conformance.official import Official
from tests.integration.manager.api.conftest import manager, module_dir, settings
from tests.running.webserver import make_settings, running_webserver

__all__ = ["manager", "module_dir", "settings"]

Command = Callable[..., Awaitable[str]]
Ask = Callable[..., Awaitable[Any]]


@pytest.fixture
async def client(
    manager: Manager,
    settings: ManagerSettings,
    official_program: Path,
    tmp_path: Path,
    calls: Calls,
) -> AsyncIterator[Official]:
    """The client of the superadmin. To be called from another thread: the manager lives here."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    environ = kept | {
        "HOME": str(tmp_path),
        "COLUMNS": "200",
        "BACKEND_ENDPOINT": f"http://{manager.address}",
        "BACKEND_ENDPOINT_TYPE": "api",
        "BACKEND_ACCESS_KEY": "AKROOT",
        "BACKEND_SECRET_KEY": "secret-of-root",
    }
    official = Official(official_program, tmp_path, environ, calls)
    if not is_session():
        yield official
        return
    own = make_settings(f"http://{manager.address}", settings.redis, tmp_path)
    async with running_webserver(own) as (_, address):
        yield await asyncio.to_thread(
            log_in, official, address, "root@example.com", "password of root"
        )


@pytest.fixture
def command(client: Official) -> Command:
    """Everything that `backend.ai …` prints, run by the superadmin, who is sure of everything."""

    async def run(*words: str, code: int = 0) -> str:
        done = await asyncio.to_thread(partial(client, *words, typed="y\n"))
        assert done.code == code, f"backend.ai {' '.join(words)}\n{done.both}"
        assert "Traceback" not in done.both, done.both
        return done.both

    return run


@pytest.fixture
def word() -> str:
    return f"n{uuid.uuid4().hex[:8]}"


async def parsed(command: Command, *words: str) -> Any:
    return json.loads(await command("--output", "json", *words))


@pytest.fixture
def ask(client: Official) -> Ask:
    """What calls of the SDK give the superadmin; see `Official.sdk`."""

    async def run(**expressions: str) -> Any:
        return await asyncio.to_thread(partial(client.sdk, **expressions))

    return run


@pytest.mark.timeout(300)
async def test_domains(command: Command, word: str) -> None:
    permissions = '{"local:volume1": ["create-vfolder"]}'
    told = await command(
        "admin",
        "domain",
        "add",
        word,
        "-d",
        "For tests",
        "--total-resource-slots",
        '{"cpu": "8"}',
        "--vfolder-host-perms",
        permissions,
        "--allowed-docker-registries",
        "cr.backend.ai",
    )
    assert word in told
    assert word in await command("admin", "domain", "list")
    assert "For tests" in await command("admin", "domain", "info", word)
    await command("admin", "domain", "update", word, "--new-name", f"{word}-2")
    told = await command("admin", "domain", "add", f"{word}-2", code=1)
    assert "already exists" in told
    await command("admin", "domain", "delete", f"{word}-2")
    assert "False" in await command("admin", "domain", "info", f"{word}-2")
    await command("admin", "domain", "purge", f"{word}-2")
    assert f"{word}-2" not in await command("admin", "domain", "list")


@pytest.mark.timeout(300)
async def test_groups_and_their_users(command: Command, word: str) -> None:
    made = await parsed(command, "admin", "group", "add", "default", word)
    gid = made["group"]["id"]
    assert made["group"]["domain_name"] == "default"
    assert word in await command("admin", "group", "list")
    assert word in await command("admin", "group", "info", gid)
    assert gid in await command("admin", "group", "info", word)
    shown = await command("admin", "user", "info", "-e", "bob@example.com")
    (user_id,) = [each for each in shown.split() if each.count("-") == 4 and len(each) == 36][:1]
    await command("admin", "group", "add-users", gid, user_id)
    assert word in await command("admin", "user", "info", "-e", "bob@example.com")
    await command("admin", "group", "remove-users", gid, user_id)
    assert word not in await command("admin", "user", "info", "-e", "bob@example.com")
    await command("admin", "group", "update", gid, "-n", f"{word}-2")
    await command("admin", "group", "delete", gid)
    await command("admin", "group", "purge", gid)
    told = await command("admin", "group", "purge", gid, code=1)
    assert "No such user group" in told


@pytest.mark.timeout(300)
async def test_users_and_their_keypairs(command: Command, word: str) -> None:
    email = f"{word}@example.com"
    made = await parsed(
        command, "admin", "user", "add", "default", email, "pw", "-u", word, "-n", "Full"
    )
    assert (made["user"]["email"], made["user"]["username"]) == (email, word)
    made = await parsed(command, "admin", "keypair", "add", email, "default", "-a", "-r", "100")
    key = made["keypair"]["access_key"]
    assert len(made["keypair"]["secret_key"]) == 40
    policy = ("--resource-policy", "default", "--is-active", "true")
    await command("admin", "keypair", "update", key, *policy)
    await command("admin", "keypair", "deactivate", key)
    await command("admin", "keypair", "activate", key)
    changes = ("-p", "pw2", "-s", "inactive", "--main-access-key", key)
    await command("admin", "user", "update", email, *changes)
    shown = await command("admin", "user", "info", "-e", email)
    assert key in shown
    assert "inactive" in shown
    told = await command("admin", "keypair", "delete", key, code=1)
    assert "is the main keypair" in told
    await command("admin", "user", "delete", email)
    await command("admin", "user", "purge", email)
    assert "No such user" in await command("admin", "user", "purge", email, code=1)


@pytest.mark.timeout(120)
async def test_passwords_that_do_not_expire_are_not_renewed_without_signing(
    command: Command,
) -> None:
    bob = ("update-password-no-auth", "default", "bob@example.com")
    assert "Passwords do not expire here" in await command(*bob, "password of bob", "another")
    # Nobody without the password is told even that.
    assert "mismatch" in await command(*bob, "x", "y")
