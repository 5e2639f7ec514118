"""A kernel becomes an image, on a real engine and over RPC."""

import asyncio
import contextlib
import io
import signal
import tarfile
import uuid
from collections.abc import Iterator

import docker
import pytest

from backendai.agent.faults import BadOrder, CommitNotOffered, EngineUnreachable
from backendai.common.contracts.agent import (
    COMMIT,
    COMMIT_LABEL,
    CommitKernel,
    Committed,
    ImageReport,
    KernelRef,
    KernelState,
)
from backendai.common.faults import AgentTimeout, KernelNotFound, QuotaExceeded

from .conftest import MIB, Node, make_spec
from .speaking import say


def order_of(ref: KernelRef, image: str, bytes_max: int = 64 * MIB) -> CommitKernel:
    labels = {COMMIT_LABEL: uuid.uuid4().hex, "ai.backend.customized-image.owner": "user:alice"}
    return CommitKernel(
        kernel=ref, image=image, labels=labels, bytes_max=bytes_max, wait_seconds=5.0
    )


async def ask(node: Node, order: CommitKernel) -> ImageReport:
    """The image, asked for until it is made, as a manager does."""
    peer, made = await node.connect(), Committed()
    while made.image is None:
        # An agent that has just started does not know yet what runs.
        with contextlib.suppress(AgentTimeout, EngineUnreachable):
            made = await peer.ask(COMMIT, order)
    return made.image


def write(engine: "docker.APIClient", container_id: str, name: str, size: int) -> None:
    """A file in the root of a container, where its own user may not write."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o644
        tar.addfile(member, io.BytesIO(b"k" * size))
    engine.put_archive(container_id, "/", archive.getvalue())


@pytest.fixture
def new_image(engine: "docker.APIClient") -> Iterator[str]:
    name = f"custom/{uuid.uuid4().hex}/tools:1"
    yield name
    with contextlib.suppress(docker.errors.ImageNotFound):
        engine.remove_image(name, force=True)


async def test_a_kernel_becomes_an_image_that_starts(
    docker_node: Node, engine: "docker.APIClient", busybox_image: str, new_image: str
) -> None:
    ref = await docker_node.run(make_spec(busybox_image))
    await say(docker_node, ref, "x = 41")
    report = await docker_node.kernel(ref.kernel_id, KernelState.RUNNING)
    write(engine, report.container_id, "kept", 4)
    order = order_of(ref, new_image)
    made = await ask(docker_node, order)
    assert made.name == new_image
    config, base = (engine.inspect_image(name)["Config"] for name in (new_image, busybox_image))
    told = {name: text for name, text in config["Labels"].items() if text}
    assert told == {**(base.get("Labels") or {}), **order.labels}
    assert not config.get("Entrypoint")
    assert await say(docker_node, ref, "print(x + 1)") == "42\n"

    # Another life of the agent finds it made; another commit of the same name replaces it.
    # The one that dies over it leaves it to the next.
    docker_node.end(signal.SIGKILL)
    docker_node.start("agent.docker.before_commit:kill")
    assert await ask(docker_node, order) == made
    write(engine, report.container_id, "more", 4)
    replacing = asyncio.create_task(ask(docker_node, order_of(ref, new_image)))
    assert await docker_node.end_of_process() == -signal.SIGKILL
    docker_node.start()
    later = await replacing
    assert later.digest != made.digest
    await docker_node.until(lambda report: later in report.images)

    copy = await docker_node.run(make_spec(new_image, image_digest=later.digest, pull=False))
    assert await say(docker_node, copy, "print(open('/kept').read())") == "kkkk\n"
    assert await say(docker_node, copy, "print(open('/more').read())") == "kkkk\n"


async def test_what_cannot_be_committed_is_refused(
    docker_node: Node, engine: "docker.APIClient", busybox_image: str, new_image: str
) -> None:
    nobody = KernelRef(kernel_id=str(uuid.uuid4()), generation=1)
    with pytest.raises(KernelNotFound):
        await ask(docker_node, order_of(nobody, new_image))
    ref = await docker_node.run(make_spec(busybox_image))
    with pytest.raises(BadOrder, match="custom/"):
        await ask(docker_node, order_of(ref, busybox_image))
    report = await docker_node.kernel(ref.kernel_id, KernelState.RUNNING)
    write(engine, report.container_id, "large", MIB)
    with pytest.raises(QuotaExceeded, match="over its image") as caught:
        await ask(docker_node, order_of(ref, new_image, bytes_max=MIB // 2))
    assert caught.value.facts["limit_bytes"] == MIB // 2
    assert not engine.images(new_image)


@pytest.mark.parametrize("mode", ["process"], indirect=True)
async def test_a_sandbox_makes_no_images(node: Node, image: str) -> None:
    ref = await node.run(make_spec(image))
    with pytest.raises(CommitNotOffered, match="folder of their own"):
        await ask(node, order_of(ref, "custom/a/tools:1"))
