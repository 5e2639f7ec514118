"""`mgr doctor --cluster` beside a manager that serves: which part is down, and the rest is told."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa

from backendai.common.clock import SystemClock
from backendai.common.settings.checks import HostPort
from backendai.manager.app import Manager
from backendai.manager.db import tables as t
from backendai.manager.doctor.examine import examine_all
from backendai.manager.doctor.model import Finding, Verdict
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.alerts.receivers import mail_server, make_certificate
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.storage import ScriptedStorage, storage

__all__ = ["storage"]

NOWHERE = HostPort("127.0.0.1", 9)
Examine = Callable[..., Awaitable[dict[str, Finding]]]


@pytest.fixture
def look(manager: Manager, settings: ManagerSettings, tmp_path: Path) -> Examine:
    file = tmp_path / "manager.toml"
    file.touch(0o600)
    own = replace(settings.manager, service_addr=manager.address)

    async def run(*webservers: str, **changes: object) -> dict[str, Finding]:
        asked = replace(settings, manager=own, **changes)
        others = webservers or [f"http://{manager.address}"]
        found = await examine_all(asked, file, others, SystemClock())
        return {each.name: each for each in found}

    return run


def failed(found: dict[str, Finding]) -> set[str]:
    return {name for name, each in found.items() if each.verdict is Verdict.FAILED}


async def test_what_is_down_is_named_and_the_rest_is_told(
    manager: Manager, look: Examine, agent: ScriptedAgent, storage: ScriptedStorage
) -> None:
    found = await look()
    assert failed(found) == set()
    assert "plans" in found["managers"].told
    assert "local:volume1 is 25 % full" in found["storage proxies"].told
    async with manager.stores.database.begin() as connection:
        groups = sa.update(t.resource_groups)
        await connection.execute(groups.values(wsproxy_addr=f"http://{NOWHERE}"))
    await storage.stop()
    found = await look()
    try:
        assert {"storage proxies", "app proxy"} <= failed(found), found["storage proxies"]
        assert all(found[name].fix for name in failed(found))
        assert found["webserver"].verdict is Verdict.OK
    finally:
        async with manager.stores.database.begin() as connection:
            await connection.execute(sa.update(t.resource_groups).values(wsproxy_addr=""))


async def test_without_the_database_the_rest_is_told(
    look: Examine, settings: ManagerSettings, storage: ScriptedStorage
) -> None:
    found = await look(db=replace(settings.db, addr=NOWHERE))
    assert failed(found) == {"PostgreSQL"}
    assert found["managers"].verdict is Verdict.SKIPPED
    assert found["storage proxies"].verdict is Verdict.OK
    assert json.dumps([each.told for each in found.values()])


@pytest.mark.parametrize(
    ("state", "lacking"),
    [("no database", "PostgreSQL"), ("empty", "schema"), ("earlier release", "schema")],
)
async def test_without_its_tables_the_rest_is_told(
    look: Examine,
    settings: ManagerSettings,
    storage: ScriptedStorage,
    make_database: Callable[[str | None], str],
    state: str,
    lacking: str,
) -> None:
    dsn = sa.make_url(await asyncio.to_thread(make_database, None))
    if state == "earlier release":
        connection = await asyncpg.connect(dsn.render_as_string(hide_password=False))
        await connection.execute("CREATE TABLE alembic_version AS SELECT '0001' AS version_num")
        await connection.close()
    name = "nobody-made-it" if state == "no database" else dsn.database
    found = await look(db=replace(settings.db, name=name))
    assert failed(found) == {lacking}
    assert found["managers"].verdict is Verdict.SKIPPED
    assert found["managers"].told.endswith(f"{lacking} first")
    assert found["storage proxies"].verdict is Verdict.OK


async def test_an_address_that_is_none_ends_nothing(look: Examine, tmp_path: Path) -> None:
    context, _ = make_certificate(tmp_path)
    async with mail_server(context, at_once=True) as server:
        shown = f"https://{server.address}"
        found = await look(shown, "https://127.0.0.1:x", "https://[oops", "https://127.0.0.1:99999")
    assert found["webserver"].told == "https://127.0.0.1:99999: this is no address"
    assert found["certificates"].verdict is Verdict.ADVICE
    assert shown in found["certificates"].told


async def test_without_etcd_the_rest_is_told(look: Examine, settings: ManagerSettings) -> None:
    found = await look(etcd=replace(settings.etcd, addr=NOWHERE))
    assert "etcd" in failed(found)
    assert found["storage proxies"].verdict is Verdict.SKIPPED
    assert found["managers"].verdict is Verdict.OK
