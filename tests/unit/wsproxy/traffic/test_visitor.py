"""What the connection of a browser does with those that lead to the app."""

import asyncio
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from backendai.common.clock import FakeClock
from backendai.common.relay_secrets import OneSecret
from backendai.wsproxy.circuits.live import LiveCircuit
from backendai.wsproxy.circuits.model import Circuit, Protocol
from backendai.wsproxy.settings import LimitsSection
from backendai.wsproxy.traffic.cookies import CookieRules
from backendai.wsproxy.traffic.heads import RequestHead
from backendai.wsproxy.traffic.house import House, Tickets
from backendai.wsproxy.traffic.visitor import Visitor

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a:1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass(frozen=True)
class OneDoor:
    live: LiveCircuit
    scheme: str = "http"

    def find(self, _host: bytes) -> LiveCircuit | None:
        return self.live

    async def search(self, _host: bytes) -> LiveCircuit | None:
        return self.live

    def cookie_name(self, _live: LiveCircuit) -> bytes:
        return b"permit"

    async def serve_own(self, live: LiveCircuit, head: RequestHead, client: str) -> bytes:
        raise AssertionError(client)


@dataclass
class IdleLine:
    idle_since: float

    def is_usable(self) -> bool:
        return True

    def abort(self) -> None:
        raise AssertionError


class DeafTransport(asyncio.Transport):
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


async def test_a_websocket_leaves_the_connections_that_wait_to_others() -> None:
    """It opens one of its own: one that it took from there would be nobody's, and open for long."""
    opened = []

    def spawn(errand: Coroutine[Any, Any, None]) -> None:
        opened.append(errand)
        errand.close()

    ids = {name: uuid.uuid4() for name in ("id", "session_id", "kernel_id", "owner")}
    facts = {"app": "jupyterlab", "port": 8888, "protocol": Protocol.HTTP, "access_key": "AKIA"}
    live = LiveCircuit(
        Circuit(**{"generation": 1, "agent_id": "i-1", "is_public": True, **ids, **facts})
    )
    now = asyncio.get_running_loop().time()
    line = IdleLine(now)
    live.keep_line(line)
    clock = FakeClock()
    tickets = Tickets(OneSecret(bytes(32)), clock)
    house = House(LimitsSection(), CookieRules(frozenset()), tickets, clock, spawn)
    visitor = Visitor(house, OneDoor(live))
    visitor.connection_made(DeafTransport({"peername": ("127.0.0.1", 1)}))
    visitor.data_received(UPGRADE)
    assert len(opened) == 1
    assert live.take_line(now, only_fresh=False) is line
