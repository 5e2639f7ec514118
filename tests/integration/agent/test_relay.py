"""The way to the apps of a kernel: a ticket opens it, and nothing else does."""

import asyncio
import contextlib

import pytest

from backendai.agent.faults import AppUnknown, KernelNotRunning
from backendai.common.contracts.agent import (
    START_APP,
    STOP_APP,
    KernelRef,
    KernelState,
    ResourceUse,
    StartApp,
    StopApp,
)
from backendai.common.relay import (
    AppNotListening,
    RelayBusy,
    RelayDenied,
    RelayKernelGone,
    open_relay,
)

from .conftest import Node, make_spec
from .relaying import give_keys, make_ticket, open_app, serve

PORT = 8123


async def test_without_keys_nothing_opens_and_wrong_tickets_never_do(
    node: Node, image: str
) -> None:
    ref = await node.run(make_spec(image, preopen_ports=[PORT]))
    with pytest.raises(RelayBusy, match="keys"):
        await open_app(node, ref, str(PORT))
    await give_keys(node)
    address = (await node.observe()).relay_addr
    right = make_ticket(node, ref, str(PORT))
    for wrong in ("", "x.y", right[:-2], right.replace(".", "A.")):
        with pytest.raises(RelayDenied):
            await open_relay(address, wrong)
    other = KernelRef(kernel_id=ref.kernel_id, generation=ref.generation + 1)
    with pytest.raises(RelayBusy):
        await open_app(node, other, str(PORT))
    with pytest.raises(AppNotListening):
        await open_app(node, ref, "nothing")
    with pytest.raises(AppNotListening, match=str(PORT)):
        await open_app(node, ref, str(PORT))


async def test_an_app_is_reached_and_lives_through_the_agents_death(node: Node, image: str) -> None:
    ref = await node.run(make_spec(image, preopen_ports=[PORT]))
    await give_keys(node)
    await serve(node, ref, "one", PORT)
    reader, writer = await open_app(node, ref, str(PORT))
    assert await reader.readline() == b"app one\n"
    writer.write(b"hello")
    writer.write_eof()
    assert await reader.read() == b"hello<end>"
    before = await node.kernel(ref.kernel_id, KernelState.RUNNING)
    reader, writer = await open_app(node, ref, str(PORT))

    node.restart()

    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            await reader.read()
    after = await node.kernel(ref.kernel_id, KernelState.RUNNING)
    # The keys are on file: no manager has spoken with this instance of the agent yet.
    reader, writer = await open_app(node, ref, str(PORT))
    assert await reader.readline() == b"app one\n"
    writer.close()
    ports = [one for one in after.service_ports if one.name == str(PORT)]
    assert [(one.protocol, one.ports) for one in ports] == [("preopen", [PORT])]
    report = await node.until(
        lambda report: report.kernels[0].service_ports == before.service_ports
    )
    assert report.relay_addr


async def test_traffic_is_told_and_the_end_of_a_kernel_closes_it(node: Node, image: str) -> None:
    ref = await node.run(make_spec(image, preopen_ports=[PORT]))
    await give_keys(node)
    await serve(node, ref, "one", PORT)
    reader, writer = await open_app(node, ref, str(PORT))
    await reader.readline()
    writer.write(bytes(1000))
    await reader.readexactly(1000)
    use = await _app_use(node)
    assert (use.app_received_bytes, use.app_sent_bytes) == (1000, 1008)
    assert use.app_used_at > 0
    removal = asyncio.create_task(node.remove(ref, grace_seconds=30.0))
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    with pytest.raises(RelayKernelGone):
        await open_app(node, ref, str(PORT))
    await removal


async def test_apps_that_are_not_there_are_named(node: Node, image: str) -> None:
    ref = await node.run(make_spec(image, preopen_ports=[PORT]))
    peer = await node.connect()
    with pytest.raises(AppUnknown, match="nothing"):
        await peer.ask(START_APP, StartApp(kernel=ref, app="nothing"))
    with pytest.raises(AppUnknown, match="nothing"):
        await peer.ask(STOP_APP, StopApp(kernel=ref, app="nothing"))
    await node.remove(ref)
    with pytest.raises(KernelNotRunning):
        await peer.ask(START_APP, StartApp(kernel=ref, app="ttyd"))


async def _app_use(node: Node) -> ResourceUse:
    """The use of the only kernel, once something of its apps is counted."""
    async with asyncio.timeout(30):
        while True:
            use = (await node.observe()).kernels[0].use
            if use is not None and use.app_sent_bytes:
                return use
            await asyncio.sleep(0.2)
