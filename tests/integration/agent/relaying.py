"""Tickets and connections to apps, as managers and the app proxy make them."""

import asyncio
import time

from backendai.common.contracts.agent import SET_RELAY_KEYS, KernelRef, RelayKeys
from backendai.common.relay import open_relay
from backendai.common.tickets import TICKET_LIFE_SECONDS, Ticket, derive_relay_key, seal_ticket

from .conftest import Node
from .speaking import say

SECRET = bytes(range(32))
# An echo that says first who it is, so that a scan would notice.
SERVE = """
import socket, threading
def talk(one, name):
    one.sendall(b"app " + name + b"\\n")
    while data := one.recv(65536):
        one.sendall(data)
    one.sendall(b"<end>")
    one.close()
def serve(listener, name):
    while True:
        one, _ = listener.accept()
        threading.Thread(target=talk, args=(one, name), daemon=True).start()
listener_{name} = socket.create_server(("{host}", {port}))
threading.Thread(target=serve, args=(listener_{name}, b"{name}"), daemon=True).start()
print("served")
"""


async def give_keys(node: Node) -> None:
    keys = RelayKeys(keys=[derive_relay_key(SECRET, node.agent_id)])
    await (await node.connect()).ask(SET_RELAY_KEYS, keys)


async def serve(node: Node, ref: KernelRef, name: str, port: int, host: str = "127.0.0.1") -> None:
    """Have a server in the kernel."""
    assert await say(node, ref, SERVE.format(name=name, host=host, port=port)) == "served\n"


def make_ticket(node: Node, ref: KernelRef, app: str, port: int = 0) -> str:
    ticket = Ticket(
        agent=node.agent_id,
        kernel=ref.kernel_id,
        generation=ref.generation,
        app=app,
        port=port,
        expires=int(time.time()) + TICKET_LIFE_SECONDS,
    )
    return seal_ticket(ticket, derive_relay_key(SECRET, node.agent_id))


async def open_app(
    node: Node, ref: KernelRef, app: str, port: int = 0
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = (await node.observe()).relay_addr
    return await open_relay(address, make_ticket(node, ref, app, port))
