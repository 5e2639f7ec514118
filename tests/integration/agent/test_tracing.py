"""Traces of a real agent: calls of managers go on in it, and no collector that hangs keeps it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backendai.common.settings.sections import TracingSettings
from backendai.common.tracing import span, traced
from tests.running.collector import Collector, running_collector

from .conftest import Node, end_node, make_spec


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with running_collector() as running:
        yield running


@pytest.fixture
async def node(
    collector: Collector, docker_host: str, tmp_path: Path, image_dir: Path, bundle_dir: Path
) -> AsyncIterator[Node]:
    made = Node(tmp_path, "docker", docker_host, image_dir, bundle_dir)
    made.options["tracing"] = {"endpoint": collector.endpoint}
    made.start()
    try:
        await made.until(lambda report: report.engine_reachable)
        yield made
    finally:
        await end_node(made)


async def test_a_kernel_is_followed_to_the_engine(
    node: Node, collector: Collector, busybox_image: str
) -> None:
    settings = TracingSettings(endpoint=collector.endpoint)
    async with traced(settings, "backendai-manager", "1"):
        with span("plan"):
            ref = await node.run(make_spec(busybox_image))
        await node.remove(ref)
    asked = await collector.find("rpc ensure", "backendai-manager")
    answered = await collector.find("rpc ensure", "backendai-agent")
    assert (answered.trace, answered.parent) == (asked.trace, asked.id)
    started = await collector.find("kernel start")
    assert (started.parent, started.facts) == ("", {"kernel": ref.kernel_id})
    for name in ("DockerBackend.create", "DockerBackend.start"):
        work = await collector.find("engine work", code_function_name=name)
        assert (work.trace, work.parent, work.kind) == (started.trace, started.id, "CLIENT")
    begun = [each.name for each in collector.spans if not each.parent]
    assert "engine ask" not in begun, "what loops ask all the time begins no trace"
    assert "rpc observe" not in begun


async def test_an_agent_ends_in_time_while_the_collector_hangs(
    node: Node, collector: Collector, busybox_image: str
) -> None:
    collector.go_on.clear()
    await node.run(make_spec(busybox_image))
    await collector.exports(1)
    assert await asyncio.to_thread(node.end) == 0
    assert "tracing.left_unsent" in (node.folder / "agent.log").read_text()
    node.start()
    await node.until(lambda report: len(report.kernels) == 1)
