"""What operators ask with the official client: nodes, notices, settings, freezing, dotfiles."""

import re
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.test_account_commands import (
    Command,
    client,
    command,
    manager,
    module_dir,
    parsed,
    settings,
    word,
)
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.conftest import agent, as_user, http
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.test_error_logs import add

__all__ = [
    "agent",
    "as_user",
    "client",
    "command",
    "http",
    "manager",
    "module_dir",
    "settings",
    "word",
]


@pytest.mark.timeout(300)
async def test_agents(command: Command, agent: ScriptedAgent) -> None:
    listed = await parsed(command, "admin", "agent", "list")
    [found] = [each for each in listed["items"] if each["id"] == agent.agent_id]
    assert (found["status"], found["scaling_group"]) == ("ALIVE", "default")
    shown = await command("admin", "agent", "info", agent.agent_id)
    assert agent.agent_id in shown
    assert "ALIVE" in shown
    steer = ("admin", "manager", "scheduler")
    told = await command(*steer, "exclude-agents", agent.agent_id)
    assert "will no longer start new sessions" in told
    assert "now accepts new sessions" in await command(*steer, "include-agents", agent.agent_id)
    assert "No such agent" in await command(*steer, "include-agents", "i-nowhere", code=1)


@pytest.mark.timeout(300)
async def test_watchers_and_licenses_are_not_offered(command: Command) -> None:
    # The original answers as well only where a watcher, or its other edition, was installed.
    of_watchers = ("admin", "watcher")
    for verb in ("status", "agent-start", "agent-stop", "agent-restart"):
        assert "404" in await command(*of_watchers, verb, "i-nowhere", code=1)
    assert "404" in await command("admin", "license", "show", code=1)


@pytest.mark.timeout(300)
async def test_an_announcement_is_shown_until_it_is_dismissed(command: Command) -> None:
    of_notices = ("admin", "announcement")
    assert "No announcements." in await command(*of_notices, "get")
    assert "No announcements seen yet." in await command(*of_notices, "dismiss", code=1)
    told = await command(*of_notices, "update", "-m", "We move on Sunday")
    assert "Posted new announcement." in told
    assert "We move on Sunday" in await command(*of_notices, "get")
    assert "We move on Sunday" in await command("admin", "domain", "list")
    assert "Dismissed" in await command(*of_notices, "dismiss")
    assert "We move on Sunday" not in await command("admin", "domain", "list")
    assert "Deleted announcement." in await command(*of_notices, "delete")
    assert "No announcements." in await command(*of_notices, "get")


@pytest.mark.timeout(300)
async def test_the_cluster_is_frozen_and_goes_on(command: Command) -> None:
    of_manager = ("admin", "manager")
    assert re.search(r"running +0", await command(*of_manager, "status"))
    assert "successfully frozen" in await command(*of_manager, "freeze")
    assert "frozen" in await command(*of_manager, "status")
    assert "successfully unfrozen" in await command(*of_manager, "unfreeze")
    assert re.search(r"running +0", await command(*of_manager, "status"))


@pytest.mark.timeout(300)
async def test_settings_of_the_cluster(command: Command, word: str) -> None:
    of_etcd = ("admin", "etcd")
    key = f"config/{word}"
    assert "Successfully set" in await command(*of_etcd, "set", key, "plain")
    assert '"plain"' in await command(*of_etcd, "get", key)
    told = await command(*of_etcd, "set", key, '{"deep": {"er": "7"}}')
    assert "converted to a dictionary" in told
    shown = await command(*of_etcd, "get", "-p", key)
    assert '"er": "7"' in shown
    assert "Successfully deleted" in await command(*of_etcd, "delete", "-p", key)
    assert "null" in await command(*of_etcd, "get", key)


@pytest.mark.timeout(300)
async def test_facts_of_the_cluster(command: Command) -> None:
    slots = await command("admin", "resource", "query-slots")
    assert "cpu" in slots
    assert "mem" in slots
    assert "user" in await command("admin", "resource", "vfolder-types")
    assert "create-vfolder" in await command("admin", "permission", "list")
    shown = await command("admin", "keypair", "info")
    assert "root@example.com" in shown
    assert "AKROOT" in shown


@pytest.mark.timeout(300)
async def test_errors_that_were_logged(command: Command, as_user: Callable[[str], Caller]) -> None:
    message = f"It broke {uuid.uuid4().hex}"
    await add(as_user("root"), message)
    assert message in await command("server-logs", "list")
    assert message in await command("server-logs", "list", "--mark-read", "-l", "1", "-n", "1")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "whose", [(), ("-d", "default"), ("-d", "default", "-g", "default"), ("-o", "AKALICE")]
)
async def test_dotfiles(
    command: Command, tmp_path: Path, word: str, whose: tuple[str, ...]
) -> None:
    file = tmp_path / "rc"
    file.write_text("alias ll='ls -l'\n")
    path = f".{word}"
    options = ("-f", str(file), *whose)
    told = await command("dotfile", "create", path, "--perm", "644", *options)
    assert "created and ready" in told
    assert re.search(rf"{path} .*alias ll.* 644", await command("dotfile", "list", *whose))
    assert "alias ll='ls -l'" in await command("dotfile", "get", path, *whose)
    file.write_text("alias la='ls -a'\n")
    assert "updated" in await command("dotfile", "update", path, *options)
    assert "alias la='ls -a'" in await command("dotfile", "get", path, *whose)
    assert "deleted" in await command("dotfile", "delete", "-f", path, *whose)
    assert path not in await command("dotfile", "list", *whose)
