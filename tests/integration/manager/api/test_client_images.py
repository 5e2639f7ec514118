"""Our own SDK and command against a real manager and a registry: images, registries, tasks."""

import json
import uuid
from collections.abc import AsyncIterator

import pytest

from backendai.client import Client, Config
from backendai.common.faults import (
    Conflict,
    Forbidden,
    ImageAliasNotFound,
    InsufficientPrivilege,
    TaskNotFound,
)
from backendai.manager.app import Manager
from tests.integration.manager.api.test_client import environ_of, run
from tests.running.registry import FakeRegistry, serving


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with serving(FakeRegistry(password="swordfish")) as running:
        running.put("stable/python", "3.11", "amd64")
        running.put("lab/python", "3.11", "amd64")
        yield running


@pytest.fixture
async def root(manager: Manager) -> AsyncIterator[Client]:
    async with Client(Config.from_environment(environ_of(manager, "root"))) as client:
        yield client


async def test_who_is_no_superadmin_changes_nothing(manager: Manager) -> None:
    async with Client(Config.from_environment(environ_of(manager, "alice"))) as alice:
        with pytest.raises(InsufficientPrivilege, match="no permission"):
            await alice.images.rescan()
        with pytest.raises(InsufficientPrivilege, match="only superadmins forget it"):
            await alice.images.forget("python:3.11")
        with pytest.raises(InsufficientPrivilege, match="no permission"):
            await alice.registries.delete("x.example.com")
        with pytest.raises(Forbidden, match="no permission"):
            await alice.registries.list()
        with pytest.raises(TaskNotFound):
            await alice.tasks.cancel(str(uuid.uuid4()))
    refused = await run(manager, "admin", "image", "rescan", name="alice")
    assert refused.returncode == 5
    assert "no permission" in refused.stderr


async def test_the_sdk_rescans_and_follows(root: Client, registry: FakeRegistry) -> None:
    added = await root.registries.add(
        registry.host, f"http://{registry.host}", username="robot", password="swordfish"
    )
    assert added.config.password == "*****"
    task_id = await root.images.rescan(registry.host, "stable")
    news = [each async for each in root.tasks.follow(task_id)]
    assert news[-1].status == "done"
    assert news[-1].message == "1 images found, 1 of them new."
    listed = await root.tasks.list(limit=1)
    assert (listed.items[0].task_id, listed.items[0].status) == (task_id, "done")
    await root.tasks.cancel(task_id)
    found = [image for image in await root.images.list() if image.registry == registry.host]
    assert [image.reference for image in found] == [f"{registry.host}/stable/python:3.11"]
    await root.images.modify(found[0].reference, {"supported_accelerators": ["cuda"]})
    with pytest.raises(ImageAliasNotFound, match="No such image alias"):
        await root.images.dealias("nobody")
    with pytest.raises(Conflict, match="already exists"):
        await root.registries.add(registry.host, "http://x")


async def test_the_command_from_registry_to_limits(
    manager: Manager, registry: FakeRegistry
) -> None:
    host, url = registry.host, f"http://{registry.host}"
    # A page would ask for it; here it comes from stdin, and is wrong at first.
    added = await run(
        manager, "admin", "registry", "add", host, url, "--username", "robot", typed="wrong\n"
    )
    assert added.returncode == 0, added.stderr
    failed = await run(manager, "admin", "image", "rescan", host)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "It refuses the login" in failed.stderr
    words = ("admin", "registry", "update", host, "--password", "--project", "stable")
    assert (await run(manager, *words, typed="swordfish\n")).returncode == 0
    done = await run(manager, "admin", "image", "rescan", host)
    assert (done.returncode, done.stdout) == (0, "1 images found, 1 of them new.\n")
    shown = await run(manager, "admin", "registry", "list", "--output", "json")
    (listed,) = [each for each in json.loads(shown.stdout) if each["hostname"] == host]
    assert (listed["project"], listed["password"]) == (["stable"], "*****")

    word, reference = f"a{uuid.uuid4().hex[:8]}", f"{host}/stable/python:3.11"
    assert (await run(manager, "admin", "image", "alias", word, reference)).returncode == 0
    limited = await run(
        manager, "admin", "image", "limit", word, "--min", "cpu=2", "--max", "mem=8g"
    )
    assert limited.returncode == 0, limited.stderr
    listed = json.loads((await run(manager, "admin", "image", "list", "--output", "json")).stdout)
    (image,) = [each for each in listed if each["image"] == reference]
    assert (image["aliases"], image["size"]) == ([word], 1100)
    for words in (("dealias", word), ("forget", reference), ("clear", host, "--yes")):
        assert (await run(manager, "admin", "image", *words)).returncode == 0
    assert reference not in (await run(manager, "admin", "image", "list")).stdout
    assert "image.rescan" in (await run(manager, "admin", "task", "list")).stdout
    detached = await run(manager, "admin", "image", "rescan", host, "--detach")
    watched = await run(manager, "admin", "task", "watch", detached.stdout.strip())
    assert (watched.returncode, watched.stdout) == (0, "1 images found, 1 of them new.\n")
    assert (await run(manager, "admin", "task", "cancel", detached.stdout.strip())).returncode == 0
    assert (await run(manager, "admin", "registry", "delete", host, "--yes")).returncode == 0
    assert (await run(manager, "admin", "registry", "update", host)).returncode == 2
