"""Nodes in Postgres: their images, their groups, their silences."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from backendai.common.contracts.agent import ImageReport
from backendai.common.faults import ResourceGroupNotFound
from backendai.common.ids import AgentId, SystemIds
from backendai.manager.agents import store
from backendai.manager.db.engine import Database
from backendai.manager.lifecycle.postgres import PostgresStore
from tests.integration.manager.lifecycle.test_store_contract import contact, report
from tests.integration.manager.world import add_agent, fetch, open_world


@pytest_asyncio.fixture
async def database(
    make_database: Callable[[str | None], str], world_dsn: str
) -> AsyncIterator[Database]:
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    yield database
    await database.close()


async def test_a_node_of_an_unknown_group_is_refused(database: Database) -> None:
    core = PostgresStore(database, SystemIds())
    with pytest.raises(ResourceGroupNotFound):
        await core.record_report(contact("a1"), report("a1", resource_group="nowhere"))
    assert await core.list_agents() == []


async def test_images_of_nodes_become_known_and_stay_in_step(database: Database) -> None:
    core = PostgresStore(database, SystemIds())
    names = ("registry.example:5000/project/python:3.11", "busybox")
    images = [
        ImageReport(name=name, digest="sha256:1", architecture="x86_64", size_bytes=5)
        for name in names
    ]
    await core.record_report(contact("a1"), report("a1", images=images))
    rows = await fetch(database, "SELECT name, registry, tag, is_local FROM images ORDER BY name")
    assert rows == [
        ("busybox", "", "latest", True),
        (names[0], "registry.example:5000", "3.11", True),
    ]
    await core.record_report(contact("a1"), report("a1", images=images[:1]))
    assert len(await fetch(database, "SELECT 1 FROM image_agents")) == 1
    assert len(await fetch(database, "SELECT 1 FROM images")) == 2


async def test_a_registered_image_keeps_its_labels(database: Database) -> None:
    await fetch(
        database,
        "INSERT INTO images (id, name, architecture, labels, is_local) "
        "VALUES (gen_random_uuid(), 'busybox', 'x86_64', '{\"kept\": \"yes\"}', false) RETURNING 1",
    )
    image = ImageReport(
        name="busybox", digest="d", architecture="x86_64", size_bytes=9, labels={"told": "no"}
    )
    core = PostgresStore(database, SystemIds())
    await core.record_report(contact("a1"), report("a1", images=[image]))
    rows = await fetch(database, "SELECT labels, size_bytes FROM images")
    assert rows == [({"kept": "yes"}, 9)]


async def test_an_old_copy_on_a_node_does_not_become_everybodys(database: Database) -> None:
    await fetch(
        database,
        "INSERT INTO images (id, name, architecture, digest, size_bytes, is_local) "
        "VALUES (gen_random_uuid(), 'cr.example/x:1', 'x86_64', 'new', 5, false) RETURNING 1",
    )
    image = ImageReport(name="cr.example/x:1", digest="old", architecture="x86_64", size_bytes=9)
    core = PostgresStore(database, SystemIds())
    await core.record_report(contact("a1"), report("a1", images=[image]))
    assert await fetch(database, "SELECT digest, size_bytes FROM images") == [("new", 5)]


async def test_a_silence_begins_probation_anew(database: Database) -> None:
    await add_agent(database, "a1", {"cpu": "4"}, instance="life-1")
    await fetch(
        database,
        "UPDATE agents SET last_seen_at = now() - interval '20 s', "
        "steady_since = now() - interval '1 h' RETURNING 1",
    )
    async with database.begin() as conn:
        assert await store.hear(conn, AgentId("a1"), 15, "life-1")
    async with database.begin() as conn:
        (row,) = await store.list_agents(conn)
    assert row.silent_seconds < 5
    assert row.steady_seconds < 5
