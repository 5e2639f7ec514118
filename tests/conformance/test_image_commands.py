"""The image commands of the official client, against a manager of this process and a registry."""

import uuid

import aiohttp
import pytest

from backendai.manager.app import Manager
from tests.conformance.test_account_commands import Command, client, command
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.conftest import http, manager, module_dir, settings
from tests.integration.manager.api.test_images import add
from tests.running.registry import FakeRegistry, serving

__all__ = ["client", "command", "http", "manager", "module_dir", "settings"]


@pytest.mark.timeout(300)
async def test_images_are_rescanned_listed_and_named(
    command: Command, manager: Manager, http: aiohttp.ClientSession
) -> None:
    root = Caller(http, manager.address, "AKROOT", "secret-of-root")
    word = f"a{uuid.uuid4().hex[:8]}"
    async with serving(FakeRegistry(password="swordfish")) as registry:
        for number in range(3):
            registry.put(f"stable/python{number}", "3.11", "amd64")
        await add(root, registry)
        told = await command("admin", "image", "rescan", "-r", registry.host)
        assert "Finished" in told, told
        told = await command("admin", "image", "rescan", "-r", "nowhere.example.com", code=1)
        assert "there is no 'nowhere.example.com'" in told
    host = registry.host
    # From here on it shows what was refused, and exits with 0 all the same.
    told = await command("admin", "image", "rescan", "-r", host)
    assert "does not answer" in told
    listed = await command("admin", "image", "list")
    assert "stable/python2" in listed
    reference = f"{host}/stable/python0:3.11"
    await command("admin", "image", "alias", word, reference, "--arch", "x86_64")
    assert word in await command("admin", "image", "list")
    told = await command("admin", "image", "alias", word, reference)
    assert "already exists" in told
    await command("admin", "image", "dealias", word)
    told = await command("admin", "image", "dealias", word)
    assert "No such image alias" in told
    assert host in await command("admin", "resource", "docker-registries")
