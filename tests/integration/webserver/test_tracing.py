"""One trace through all daemons: browser, webserver, manager, and the node or storage behind it."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from backendai.common.enums import HostPermission
from backendai.common.settings.load import check_settings
from backendai.common.settings.sections import TracingSettings
from backendai.common.tracing import traced
from backendai.manager.app import Manager
from backendai.manager.settings import ManagerSettings
from backendai.storage.app import Addresses, make_storage_proxy, run_storage_proxy
from backendai.storage.settings import StorageSettings
from tests.integration.manager.api import conftest as managers
from tests.integration.manager.api.caller import until
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.storage import HOST, SECRET, allow, body_of
from tests.integration.webserver.conftest import Browser
from tests.running.apart import apart
from tests.running.collector import Collector, Told, running_collector
from tests.running.webserver import make_settings, running_webserver

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
PARENT: Final = "b7ad6b7169203331"
GIVEN: Final = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with running_collector() as running:
        yield running


@pytest.fixture
def tracing(collector: Collector) -> TracingSettings:
    return TracingSettings(endpoint=collector.endpoint)


@pytest.fixture
async def manager(
    settings: ManagerSettings, redis_url: str, tracing: TracingSettings
) -> AsyncIterator[Manager]:
    await managers.empty(redis_url)
    async with managers.started(replace(settings, tracing=tracing)) as running:
        yield running


@pytest.fixture
async def webserver(
    manager: Manager, settings: ManagerSettings, tracing: TracingSettings, tmp_path: Path
) -> AsyncIterator[str]:
    own = make_settings(f"http://{manager.address}", settings.redis, tmp_path)
    async with running_webserver(replace(own, tracing=tracing)) as (_, address):
        yield address


@pytest.fixture
async def agent(manager: Manager, tracing: TracingSettings) -> AsyncIterator[ScriptedAgent]:
    @asynccontextmanager
    async def running() -> AsyncIterator[ScriptedAgent]:
        async with traced(tracing, "backendai-agent", "1"), managers.joined(manager) as scripted:
            yield scripted

    async with apart(running()) as scripted:
        yield scripted


@pytest.fixture
async def storage(
    manager: Manager, tracing: TracingSettings, tmp_path: Path
) -> AsyncIterator[Addresses]:
    """A whole storage proxy, that the manager has learned of."""
    (tmp_path / "volume1").mkdir()
    data = {
        "volume": {"volume1": {"path": str(tmp_path / "volume1")}},
        "storage-proxy": {"secret": "secret-of-tokens-0123"},
        "api": {
            "client": {"service-addr": "127.0.0.1:0"},
            "manager": {"service-addr": "127.0.0.1:0", "secret": SECRET},
        },
    }
    own = replace(check_settings(StorageSettings, data, "test"), tracing=tracing)
    async with apart(run_storage_proxy(make_storage_proxy(own))) as addresses:
        await make_known(manager, addresses)
        yield addresses


async def make_known(manager: Manager, addresses: Addresses) -> None:
    pairs = {
        "client_api": f"http://{addresses.client}",
        "manager_api": f"http://{addresses.manager}",
        "secret": SECRET,
    }
    for key, value in pairs.items():
        await manager.stores.etcd.put(f"volumes/proxies/local/{key}", value)
    await allow(manager, {HOST: [*HostPermission]})

    async def is_known() -> bool:
        found = manager.stores.proxies.config.proxies.get("local")
        return found is not None and found.manager_api == pairs["manager_api"]

    await until(is_known)


def way_of(collector: Collector, last: Told) -> list[tuple[str, str]]:
    """From where a trace begins down to `last`: service and name of each span."""
    known, way = {each.id: each for each in collector.spans}, [last]
    while way[-1].parent in known:
        way.append(known[way[-1].parent])
    assert {each.trace for each in way} == {TRACE}
    assert way[-1].parent == PARENT
    return [(each.service.removeprefix("backendai-"), each.name) for each in reversed(way)]


def assert_no_secrets(collector: Collector) -> None:
    secrets = (
        b"AKALICE",
        b"secret",
        b"password of",
        b"alice@example.com",
        b"signMethod",
        b"credential",
        b"of-a-query",
        b"of_the_code",
    )
    assert collector.raw
    assert not [each for each in secrets if each in collector.raw]


async def test_code_is_followed_from_the_browser_to_the_node(
    alice: Browser, agent: ScriptedAgent, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = await alice.ask("POST", "/func/session", managers.body_of("traced"))
    assert made.status == 201, made.body
    body = {"mode": "query", "code": "print('of_the_code')", "runId": "traced-run-1"}
    answer = await alice.ask(
        "POST", "/func/session/traced?more=of-a-query", body, traceparent=GIVEN
    )
    assert answer.status == 200, answer.body
    spans = await collector.whole(TRACE, 5)
    (node,) = collector.list("rpc execute", "backendai-agent")
    assert way_of(collector, node) == [
        ("webserver", "POST /func/{path}"),
        ("webserver", "POST manager"),
        ("manager", "POST /session/{session}"),
        ("manager", "rpc execute"),
        ("agent", "rpc execute"),
    ]
    request_id = answer.headers["X-Request-Id"]
    servers = [each for each in spans if each.kind == "SERVER"]
    assert {each.facts["request_id"] for each in servers} == {request_id}
    (line,) = [
        record.__dict__["fields"]
        for record in caplog.records
        if record.getMessage() == "rpc.answered"
        and record.__dict__["fields"]["method"] == "execute"
    ]
    assert (line["trace_id"], line["request_id"]) == (TRACE, request_id)
    plan = await collector.find("plan")
    assert (plan.service, plan.parent) == ("backendai-manager", "")
    assert "plan.waiting" in plan.facts
    assert_no_secrets(collector)


async def test_a_folder_is_followed_to_the_storage_proxy(
    alice: Browser, storage: Addresses, collector: Collector
) -> None:
    answer = await alice.ask("POST", "/func/folders", body_of("traced"), traceparent=GIVEN)
    assert answer.status == 201, answer.body
    # The scope of the folder is made first, by a request of its own.
    await collector.whole(TRACE, 7)
    (made,) = collector.list("POST /folder/create", "backendai-storage-proxy")
    assert way_of(collector, made) == [
        ("webserver", "POST /func/{path}"),
        ("webserver", "POST manager"),
        ("manager", "POST /folders"),
        ("manager", "POST /folder/create"),
        ("storage-proxy", "POST /folder/create"),
    ]
    assert_no_secrets(collector)
