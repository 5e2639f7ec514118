"""Apps that every kernel has, reached through the relay of its agent."""

from backendai.common.contracts.agent import START_APP, STOP_APP, KernelState, StartApp, StopApp

from .conftest import Node, make_spec
from .relaying import give_keys, open_app


async def test_a_built_in_app_is_there_for_whoever_comes(node: Node, image: str) -> None:
    ref = await node.run(make_spec(image))
    await give_keys(node)
    report = await node.kernel(ref.kernel_id, KernelState.RUNNING)
    offered = {one.name: one.protocol for one in report.service_ports}
    assert offered.items() >= {"ttyd": "http", "sshd": "tcp", "files": "http"}.items()

    reader, writer = await open_app(node, ref, "ttyd")
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    reader, writer = await open_app(node, ref, "sshd")
    assert (await reader.readline()).startswith(b"SSH-2.0-")
    writer.close()

    peer = await node.connect()
    started = await peer.ask(START_APP, StartApp(kernel=ref, app="files"))
    assert started.protocol == "http"
    await peer.ask(STOP_APP, StopApp(kernel=ref, app="files"))

    node.restart()
    again = await node.until(lambda now: now.kernels[0].service_ports == report.service_ports)
    assert again.kernels[0].state is KernelState.RUNNING
    reader, writer = await open_app(node, ref, "ttyd")
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
