"""Images of registries that let in only who has a password, pulled by a real engine."""

import asyncio
import contextlib
import io
import os
import tarfile
import uuid
from collections.abc import AsyncIterator, Iterator

import docker
import msgspec
import pytest

from backendai.agent.faults import ImageInUse, RegistryLoginRefused
from backendai.common.contracts.agent import (
    ENSURE,
    PULL_IMAGE,
    REMOVE_IMAGE,
    AgentReport,
    Desired,
    EnsureKernel,
    KernelState,
    PullImage,
    RegistryLogin,
    RemoveImage,
)
from backendai.common.enums import Reason
from backendai.halfstack.images import BUSYBOX, find_cache, make_archive
from tests.running.registry import FakeRegistry, serving

from .conftest import MIB, Node, make_spec

PASSWORD = "swordfish"


@pytest.fixture(params=["basic", "token"])
async def registry(request: pytest.FixtureRequest) -> AsyncIterator[FakeRegistry]:
    async with serving(FakeRegistry(PASSWORD, is_basic=request.param == "basic")) as running:
        yield running


@pytest.fixture
def image(registry: FakeRegistry, engine: "docker.APIClient") -> Iterator[str]:
    """One that the node does not have."""
    name = f"stable/{uuid.uuid4().hex}"
    registry.put_files(name, "1", new_files(), {})
    whole = f"{registry.host}/{name}:1"
    yield whole
    with contextlib.suppress(docker.errors.ImageNotFound):
        engine.remove_image(whole, force=True)


def new_files() -> bytes:
    """A root file system that no engine has a layer of."""
    archive = io.BytesIO(make_archive(BUSYBOX, find_cache()).read_bytes())
    with tarfile.open(fileobj=archive, mode="a") as tar:
        member = tarfile.TarInfo("new")
        member.size = MIB
        tar.addfile(member, io.BytesIO(os.urandom(MIB)))
    return archive.getvalue()


def order_of(registry: FakeRegistry, image: str, password: str | None) -> EnsureKernel:
    """To run a kernel of an image, with the digest that a rescan finds."""
    (tags,) = registry.tags.values()
    login = RegistryLogin(hostname=registry.host, username="robot", password=password or "")
    return EnsureKernel(
        kernel_id=str(uuid.uuid4()),
        generation=1,
        desired=Desired.RUNNING,
        spec=make_spec(image, image_digest=tags["1"]),
        login=login if password else None,
    )


async def test_an_image_is_pulled_with_its_login_and_progress(
    docker_node: Node, registry: FakeRegistry, image: str
) -> None:
    registry.layers_released = asyncio.Event()
    order = order_of(registry, image, PASSWORD)
    await (await docker_node.connect()).ask(ENSURE, order)
    await docker_node.until(lambda report: progress_of(report).startswith("0/1 layers, "))
    # The next life has to ask for the login, which is written nowhere.
    docker_node.restart()
    await docker_node.until(lambda report: any(one.asks_again for one in report.kernels))
    registry.layers_released.set()
    await (await docker_node.connect()).ask(ENSURE, order)
    await docker_node.kernel(order.kernel_id, KernelState.RUNNING)
    for path in docker_node.folder.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path


def progress_of(report: AgentReport) -> str:
    return "".join(one.progress for one in report.kernels if one.state is KernelState.PULLING)


@pytest.mark.parametrize("password", ["wrong", None])
async def test_a_refused_login_is_told_as_such(
    docker_node: Node, registry: FakeRegistry, image: str, password: str | None
) -> None:
    order = order_of(registry, image, password)
    await (await docker_node.connect()).ask(ENSURE, order)
    report = await docker_node.kernel(order.kernel_id, KernelState.FAILED)
    assert (report.reason, report.retriable) == (Reason.REGISTRY_LOGIN_REFUSED, False)
    assert image in report.detail


async def test_an_image_is_brought_and_taken_away(
    docker_node: Node, registry: FakeRegistry, image: str, engine: "docker.APIClient"
) -> None:
    peer = await docker_node.connect()
    order = order_of(registry, image, PASSWORD)
    assert order.spec is not None
    pull = PullImage(
        image=image, digest=order.spec.image_digest, login=order.login, wait_seconds=0.1
    )
    wrong = RegistryLogin(hostname=registry.host, username="robot", password="wrong")
    with pytest.raises(RegistryLoginRefused):
        await peer.ask(PULL_IMAGE, msgspec.structs.replace(pull, login=wrong, wait_seconds=9.0))
    registry.layers_released = asyncio.Event()
    while not (pulled := await peer.ask(PULL_IMAGE, pull)).progress:
        assert pulled.image is None
    assert pulled.progress.startswith("0/1 layers, ")
    registry.layers_released.set()
    while (pulled := await peer.ask(PULL_IMAGE, pull)).image is None:
        pass
    assert pulled.image.digest == pull.digest
    await docker_node.until(lambda report: pulled.image in report.images)

    ref = await docker_node.run(order.spec)
    for request in (RemoveImage(image=image), RemoveImage(image=image, digest=pull.digest)):
        with pytest.raises(ImageInUse):
            await peer.ask(REMOVE_IMAGE, request)
    await docker_node.remove(ref)
    await peer.ask(REMOVE_IMAGE, RemoveImage(image=image, digest="sha256:another"))
    assert engine.images(image)
    for _ in range(2):
        await peer.ask(REMOVE_IMAGE, RemoveImage(image=image, digest=pull.digest))
    assert not engine.images(image)
    await docker_node.until(lambda report: pulled.image not in report.images)
