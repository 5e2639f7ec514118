"""The relay: listens, admits who has a ticket, and splices its connection to the app's.

It keeps nothing over a restart but the keys. Who is let in is decided when a connection begins; it
is closed at once when its kernel ends, and after an hour without a byte.
"""

import asyncio
import resource
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from backendai.agent.ledger import Ledger
from backendai.common.clock import Clock
from backendai.common.contracts.agent import KernelState
from backendai.common.faults import ServerMisconfigured
from backendai.common.handover import HANDOVER
from backendai.common.logs import get_logger
from backendai.common.settings.checks import HostPort
from backendai.common.tickets import OK_LINE, Refusal, RelayCode, Ticket

from .admission import Porter
from .caller import Caller
from .keys import KeyRing
from .lines import Key, Line, Lines, Traffic
from .splice import Splice

log = get_logger(__name__)

CONNECTIONS_MAX: Final = 4096
PER_KERNEL_MAX: Final = 1024
# Of callers without a ticket yet. Those that have one show it at once, so that of too many the one
# that has waited longest is none of them.
WAITING_MAX: Final = 256
IDLE_SECONDS_MAX: Final = 3600.0
SWEEP_SECONDS: Final = 5.0
BACKLOG: Final = 1024
# Descriptors that the agent itself needs, whatever its relay does; a connection takes two.
DESCRIPTORS_KEPT: Final = 512
_KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)
# A kernel of which nobody can say now whether it runs is not dead, and neither are its connections.
_OPEN_STATES: Final = frozenset({KernelState.RUNNING, KernelState.UNKNOWN})

OpenDoor = Callable[[Ticket], Awaitable["socket.socket | Refusal"]]


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """Where to listen, port 0 for a free one, and what clients are told where that differs."""

    listen: HostPort
    advertised: HostPort | None = None


class Relay:
    """One for each agent. `open_door` gives a socket connected to the app that a ticket is for."""

    def __init__(
        self,
        where: "RelayAddress",
        agent_id: str,
        keys: KeyRing,
        ledger: Ledger,
        open_door: OpenDoor,
        clock: Clock,
    ) -> None:
        self._where = where
        self._agent_id = agent_id
        self._keys = keys
        self._ledger = ledger
        self._open_door = open_door
        self._clock = clock
        self._lines = Lines()
        self._waiting: dict[Caller, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self.address = ""

    async def start(self) -> None:
        """Listen; `address` is there from now on. Raises ServerMisconfigured."""
        loop = asyncio.get_running_loop()
        try:
            for opened in HANDOVER.listen(self._where.listen):
                self._servers.append(
                    await loop.create_server(lambda: Caller(self), sock=opened, backlog=BACKLOG)
                )
        except OSError as error:
            raise ServerMisconfigured(
                f"[agent] relay-listen-addr: cannot listen at {self._where.listen}: {error}"
            ) from error
        port = self._servers[0].sockets[0].getsockname()[1]
        self.address = str(self._where.advertised or HostPort(self._where.listen.host, port))

    async def close(self) -> None:
        """Stop listening and close every connection."""
        for server in self._servers:
            server.close()
        for caller in list(self._waiting):
            caller.transport.abort()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._abort(self._lines.find_dead(lambda key: False), "stopping")

    async def run(self) -> None:
        """Close what has ended or sleeps, until cancelled."""
        while True:
            version = self._ledger.version
            self.sweep()
            await self._ledger.wait_beyond(version, SWEEP_SECONDS)

    def sweep(self) -> None:
        now, at = self._times()
        self._lines.look(now, at)
        self._abort(self._lines.find_dead(self._is_live), "kernel ended")
        self._abort(self._lines.find_idle(now, IDLE_SECONDS_MAX), "idle")

    def count(self) -> int:
        """Of connections that are open or being opened."""
        return self._lines.count()

    def traffic_of(self, key: Key) -> Traffic:
        return self._lines.traffic_of(key, *self._times())

    # What callers do

    def receive(self, caller: Caller) -> None:
        self._waiting[caller] = None
        if len(self._waiting) > WAITING_MAX:
            next(iter(self._waiting)).transport.abort()

    def forget(self, caller: Caller) -> None:
        self._waiting.pop(caller, None)

    def admit(self, caller: Caller, ticket: str, first: bytes) -> None:
        porter = Porter(
            self._agent_id,
            self._keys.keys,
            self._ledger.get,
            has_listed=self._ledger.engine.is_reachable,
        )
        found = porter.admit(ticket, self._clock.now().timestamp())
        if isinstance(found, Ticket):
            found = self._check_room(found) or found
        if isinstance(found, Refusal):
            log.info("relay.refused", code=str(found.code), detail=found.message)
            caller.refuse(found)
            return
        self.forget(caller)
        self._lines.begin((found.kernel, found.generation))
        task = asyncio.create_task(self._connect(caller, found, first), name="relay.connect")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _check_room(self, ticket: Ticket) -> Refusal | None:
        if self._lines.count() >= connections_max():
            return Refusal(RelayCode.BUSY, "this relay has as many connections as it may have")
        if self._lines.count_of((ticket.kernel, ticket.generation)) >= PER_KERNEL_MAX:
            return Refusal(RelayCode.BUSY, f"the kernel has {PER_KERNEL_MAX} connections already")
        return None

    async def _connect(self, caller: Caller, ticket: Ticket, first: bytes) -> None:
        key = (ticket.kernel, ticket.generation)
        try:
            door = await self._open_door(ticket)
            if isinstance(door, Refusal):
                log.info("relay.no_door", code=str(door.code), app=ticket.app, detail=door.message)
                caller.refuse(door)
            elif not self._is_live(key):
                door.close()
                caller.refuse(Refusal(RelayCode.GONE, "the kernel has ended"))
            else:
                await self._splice(caller.transport, door, key, first)
        except Exception as error:
            log.crash("relay.connect_failed", error)
            caller.refuse(Refusal(RelayCode.FAILED, "the relay failed"))
        finally:
            self._lines.end_opening(key)

    async def _splice(
        self, client: asyncio.Transport, door: socket.socket, key: Key, first: bytes
    ) -> None:
        keep_alive(client.get_extra_info("socket"))
        splice = Splice(client, OK_LINE, first, lambda: self._lines.remove(line, *self._times()))
        line = self._lines.add(key, splice, *self._times())
        try:
            await asyncio.get_running_loop().create_connection(lambda: splice.app, sock=door)
        except OSError:
            door.close()
            self._lines.remove(line, *self._times())
            raise

    def _abort(self, lines: list[Line], reason: str) -> None:
        for line in lines:
            line.splice.abort()
        if lines:
            log.info("relay.closed", connections=len(lines), reason=reason)

    def _is_live(self, key: Key) -> bool:
        report = self._ledger.get(key[0])
        return report is not None and report.generation == key[1] and report.state in _OPEN_STATES

    def _times(self) -> tuple[float, float]:
        return self._clock.monotonic(), self._clock.now().timestamp()


def connections_max() -> int:
    """As many as there are descriptors for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(CONNECTIONS_MAX, max(1, (soft - DESCRIPTORS_KEPT) // 2))


def keep_alive(connection: socket.socket) -> None:
    """A client whose machine is gone is noticed after two minutes."""
    for level, option, value in _KEEPALIVE:
        connection.setsockopt(level, option, value)
