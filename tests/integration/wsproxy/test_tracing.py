"""An app proxy's own requests are traced, with none of the tokens that are in their addresses."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backendai.common.settings.sections import TracingSettings
from backendai.common.tracing import span, traced
from backendai.manager.resource_groups.proxy import HttpAppProxy
from tests.integration.wsproxy.cluster import Cluster
from tests.running.collector import Collector, running_collector
from tests.running.wsproxy import SECRET, Target, running_wsproxy


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with running_collector() as running:
        yield running


async def test_a_circuit_is_followed_from_the_manager(
    collector: Collector, cluster: Cluster, target: Target, tmp_path: Path
) -> None:
    settings = TracingSettings(endpoint=collector.endpoint)
    own = f'[tracing]\nendpoint = "{collector.endpoint}"'
    # It is started, asked and stopped by what blocks, and the collector has to go on.
    daemons = running_wsproxy(tmp_path, cluster.dsn, v1=own)
    daemon = await asyncio.to_thread(daemons.__enter__)
    try:
        async with traced(settings, "backendai-manager", "1"):
            with span("request"):
                address = f"http://127.0.0.1:{daemon.port}"
                token = await HttpAppProxy().tell(address, SECRET, target.conf(), datetime.now(UTC))
        path = f"/v2/proxy/{token}/{target.session}/add?app={target.app}"
        assert (await asyncio.to_thread(daemon.ask, "GET", path)).status == 200
        assert await asyncio.to_thread(daemon.stop) == 0
    finally:
        await asyncio.to_thread(daemons.__exit__, None, None, None)
    top = await collector.find("request")
    asked = await collector.find("app proxy", "backendai-manager")
    answered = await collector.find("POST /v2/conf", "backendai-wsproxy")
    assert (asked.trace, asked.parent) == (top.trace, top.id)
    assert (answered.trace, answered.parent) == (top.trace, asked.id)
    (added,) = [each for each in collector.spans if each.name.endswith("/add")]
    assert (added.name, added.parent) == ("GET /v2/proxy/{token}/{session}/add", "")
    assert token.encode() not in collector.raw
