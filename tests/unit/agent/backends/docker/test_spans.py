"""The slowest work of the engine, pulls and commits, is told to who collects traces."""

import json
from collections.abc import AsyncIterator
from typing import Final

import pytest
from aiohttp import web

from backendai.agent.backends.docker.backend import DockerBackend
from backendai.agent.backends.docker.bridges import Bridges
from backendai.agent.faults import ImageMissing
from backendai.common.clock import SystemClock
from backendai.common.contracts.agent import RegistryLogin
from backendai.common.http import make_app, serve
from backendai.common.settings.checks import HostPort
from backendai.common.settings.sections import TracingSettings
from backendai.common.tracing import span, traced
from tests.running.collector import Collector, running_collector

IMAGE: Final = "cr.example.com/stable/python:3.11"
UNKNOWN: Final = "cr.example.com/stable/unknown:1"
LOGIN: Final = RegistryLogin(
    hostname="cr.example.com", username="secret-robot", password="secret-word"
)


async def say_version(_request: web.Request) -> web.Response:
    return web.json_response({"ApiVersion": "1.43"})


async def pull(request: web.Request) -> web.StreamResponse:
    is_known = IMAGE.startswith(request.query["fromImage"])
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    line = {"status": "Pulling"} if is_known else {"error": "manifest unknown"}
    await response.write(json.dumps(line).encode() + b"\r\n")
    return response


async def list_containers(_request: web.Request) -> web.Response:
    return web.json_response([{"Id": "c1", "SizeRw": 5}])


async def inspect(_request: web.Request) -> web.Response:
    return web.json_response({"Id": "c1", "Image": "sha256:1", "Config": {}})


async def commit(_request: web.Request) -> web.Response:
    return web.json_response({"Id": "sha256:2"}, status=201)


@pytest.fixture
async def engine() -> AsyncIterator[DockerBackend]:
    """On something that answers as Docker's engine does."""
    app = make_app()
    app.router.add_get("/version", say_version)
    app.router.add_post("/v1.43/images/create", pull)
    app.router.add_get("/v1.43/containers/json", list_containers)
    app.router.add_get("/v1.43/containers/{id}/json", inspect)
    app.router.add_get("/v1.43/images/{id}/json", inspect)
    app.router.add_post("/v1.43/commit", commit)
    async with serve(app, HostPort("127.0.0.1", 0)) as address:
        backend = DockerBackend(f"tcp://{address}", "i-one", Bridges("i-one"), SystemClock())
        yield backend
        await backend.close()


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with running_collector() as running:
        yield running


async def test_a_pull_is_a_step_that_names_the_image_and_no_login(
    engine: DockerBackend, collector: Collector
) -> None:
    async with traced(TracingSettings(endpoint=collector.endpoint), "backendai-agent", "1"):
        with span("kernel start"):
            await engine.pull_image(IMAGE, LOGIN, lambda _: None)
        with pytest.raises(ImageMissing):
            await engine.pull_image(UNKNOWN, LOGIN, lambda _: None)
    started = await collector.find("kernel start")
    pulled, refused = collector.list("engine pull")
    assert (pulled.trace, pulled.parent, pulled.kind) == (started.trace, started.id, "CLIENT")
    assert pulled.facts == {"image": IMAGE}
    assert not pulled.is_failed
    assert refused.parent == ""
    assert refused.facts == {"image": UNKNOWN, "error.type": ImageMissing.code}
    assert b"secret" not in collector.raw


async def test_a_commit_is_a_step(engine: DockerBackend, collector: Collector) -> None:
    async with traced(TracingSettings(endpoint=collector.endpoint), "backendai-agent", "1"):
        await engine.commit("c1", "custom/tools:1", {}, 10)
    # What it has written is looked at first.
    _, committed = collector.list("engine work")
    assert (committed.parent, committed.kind) == ("", "CLIENT")
    assert committed.facts == {"code.function.name": "DockerBackend.commit"}
