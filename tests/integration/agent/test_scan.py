"""A full scan finds no app of a kernel that talks without a ticket, wherever it is made from."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendai.common.contracts.agent import KernelRef
from backendai.common.relay import open_relay

from .conftest import Node, end_node, make_spec
from .relaying import give_keys, make_ticket, serve
from .speaking import say

# An app as they are made here, and a server of a user who let it listen on every address.
LOOPBACK_PORT, WIDE_PORT = 8123, 8124
ALL_PORTS = (1, 65536)
# The apps here say their name and then what they are asked.
ASKED = "GET / HTTP/1.0\r\n\r\n"
OUTSIDER, NODE_SIDE = "10.213.77.2", "10.213.77.1"
# Tries every port of an address, asks those that are open for a page, and reads: a dict of what
# they say.
SCAN = r"""
import json, select, socket
def scan(host, ports):
    found, tries, poll = {{}}, {{}}, select.epoll()
    for port in ports:
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex((host, port))
        tries[one.fileno()] = (port, one)
        poll.register(one, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
    while events := poll.poll({seconds}):
        for fd, _ in events:
            port, one = tries[fd]
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                continue
            try:
                one.getpeername()
                if port not in found:
                    found[port] = ""
                    one.send({asked!r})
                found[port] += one.recv(100).decode("utf-8", "replace")
            except OSError:
                pass
    for _, one in tries.values():
        one.close()
    return found
open_ports = {{}}
for first in range({first}, {last}, 8192):
    open_ports.update(scan("{host}", range(first, min(first + 8192, {last}))))
print(json.dumps(open_ports))
"""
# Prints the address of the node as a kernel sees it.
GATEWAY = r"""
import socket, struct
rows = [line.split() for line in open("/proc/net/route").readlines()[1:]]
ways = [row[2] for row in rows if row[1] == "00000000"]
print(socket.inet_ntoa(struct.pack("<I", int(ways[0], 16))))
"""


@pytest.fixture
def outside() -> Iterator[int]:
    """Another machine, as it were: a network namespace whose only way is through this one. The
    process that keeps it."""
    stay = ["unshare", "--net", "sh", "-c", "echo there; exec sleep 300"]
    keeper = subprocess.Popen(stay, stdout=subprocess.PIPE)
    try:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == b"there\n"
        inside = f"nsenter -t {keeper.pid} -n"
        for command in (
            f"ip link add baiscan0 type veth peer name baiscan1 netns {keeper.pid}",
            f"ip addr add {NODE_SIDE}/30 dev baiscan0",
            "ip link set baiscan0 up",
            f"{inside} ip addr add {OUTSIDER}/30 dev baiscan1",
            f"{inside} ip link set baiscan1 up",
            f"{inside} ip route add default via {NODE_SIDE}",
        ):
            subprocess.run(command.split(), check=True)
        yield keeper.pid
    finally:
        keeper.kill()
        keeper.wait()


async def test_no_app_talks_without_a_ticket(
    docker_host: str,
    tmp_path: Path,
    image_dir: Path,
    bundle_dir: Path,
    busybox_image: str,
    outside: int,
) -> None:
    node = Node(tmp_path, "docker", docker_host, image_dir, bundle_dir)
    node.options = {"agent": {"relay-listen-addr": {"host": "0.0.0.0", "port": 0}}}
    node.start()
    try:
        await _scan_all(node, busybox_image, outside)
    finally:
        await end_node(node)


async def _scan_all(node: Node, image: str, outside: int) -> None:
    kernel = await node.run(make_spec(image, preopen_ports=[LOOPBACK_PORT, WIDE_PORT]))
    neighbour = await node.run(make_spec(image))
    await serve(node, kernel, "shy", LOOPBACK_PORT)
    await serve(node, kernel, "wide", WIDE_PORT, host="0.0.0.0")
    address = await _address_of(node, kernel)
    relay_port = int((await node.observe()).relay_addr.rpartition(":")[2])

    # The scan finds what there is to find: the kernel itself reaches both.
    near = (LOOPBACK_PORT - 100, WIDE_PORT + 100)
    assert await _scan_in(node, kernel, "127.0.0.1", near) == {
        LOOPBACK_PORT: f"app shy\n{ASKED}",
        WIDE_PORT: f"app wide\n{ASKED}",
    }
    assert await _scan_in(node, kernel, address, near) == {WIDE_PORT: f"app wide\n{ASKED}"}

    gateway = (await say(node, neighbour, GATEWAY)).strip()
    from_neighbour, of_gateway, from_node, from_outside, of_node = await asyncio.gather(
        _scan_in(node, neighbour, address),
        _scan_in(node, neighbour, gateway),
        _scan(address),
        _scan(address, "nsenter", "-t", str(outside), "-n"),
        _scan(NODE_SIDE, "nsenter", "-t", str(outside), "-n"),
    )
    assert from_neighbour == from_node == from_outside == {}
    for found in (of_node, of_gateway):
        assert not [said for said in found.values() if "app " in said]
    # The relay is the one door: it is there, and refuses who shows no ticket.
    assert "denied" in of_node[relay_port]
    assert "denied" in of_gateway.get(relay_port, "denied")

    await give_keys(node)
    for name, port in (("shy", LOOPBACK_PORT), ("wide", WIDE_PORT)):
        ticket = make_ticket(node, kernel, str(port))
        reader, writer = await open_relay(f"127.0.0.1:{relay_port}", ticket)
        assert await reader.readline() == f"app {name}\n".encode()
        writer.close()


async def _address_of(node: Node, ref: KernelRef) -> str:
    code = "import socket; print(socket.gethostbyname(open('/etc/hostname').read().strip()))"
    return (await say(node, ref, code)).strip()


async def _scan_in(
    node: Node, ref: KernelRef, host: str, ports: tuple[int, int] = ALL_PORTS
) -> dict[int, str]:
    return _read(await say(node, ref, _make_scan(host, ports)))


async def _scan(host: str, *prefix: str) -> dict[int, str]:
    process = await asyncio.create_subprocess_exec(
        *prefix,
        sys.executable,
        "-c",
        _make_scan(host, ALL_PORTS),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return _read(output.decode())


def _make_scan(host: str, ports: tuple[int, int]) -> str:
    return SCAN.format(host=host, first=ports[0], last=ports[1], asked=ASKED.encode(), seconds=0.2)


def _read(text: str) -> dict[int, str]:
    return {int(port): str(said) for port, said in json.loads(text).items()}
