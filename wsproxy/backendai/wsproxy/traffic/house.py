"""What all connections of browsers share: limits, the way to the nodes, and who is there."""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from backendai.common.clock import Clock
from backendai.common.faults import AgentConnectionLost
from backendai.common.logs import get_logger
from backendai.common.relay_secrets import Secrets
from backendai.common.tickets import (
    TICKET_LIFE_SECONDS,
    Ticket,
    derive_relay_key,
    encode_hello,
    seal_ticket,
)

from ..circuits.live import LiveCircuit
from ..circuits.model import Circuit, Network, plain_address
from ..settings import LimitsSection
from .cookies import CookieRules
from .line import Line

log = get_logger(__name__)

_CONNECT_SECONDS: Final = 3.0
_PAUSES: Final = (0.05, 0.1, 0.2, 0.4, 0.5)
# A node lets somebody in, or says why not, well within this: a built-in app may have to start
# first, and relays give that up after half of it.
GREETING_SECONDS: Final = 10.0
# An app that hangs up idle connections does so after some seconds, as a rule five.
IDLE_LINE_SECONDS: Final = 15.0

ENDS: Final = ("answered", "upgraded", "refused")

Spawn = Callable[[Coroutine[Any, Any, None]], None]


class Guest(Protocol):
    """A connection from outside."""

    live: LiveCircuit | None

    def check(self, now: float) -> None:
        """End it when it has taken too long."""
        ...

    def abort(self) -> None: ...


class RelayAway(AgentConnectionLost):
    """The relay of the node does not answer, though it was asked again and again."""

    code = "wsproxy.relay_away"


class Tickets:
    """Seals tickets; one serves all connections of a moment."""

    def __init__(self, secrets: Secrets, clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock
        self._secret = b""
        self._keys: dict[str, bytes] = {}

    def hello(self, circuit: Circuit) -> bytes:
        """What opens a connection to the circuit's app."""
        secret = self._secrets.signing()
        if secret != self._secret:
            self._secret, self._keys = secret, {}
        key = self._keys.get(circuit.agent_id)
        if key is None:
            key = self._keys[circuit.agent_id] = derive_relay_key(self._secret, circuit.agent_id)
        ticket = Ticket(
            agent=circuit.agent_id,
            kernel=str(circuit.kernel_id),
            generation=circuit.generation,
            app=circuit.app,
            port=circuit.port,
            expires=int(self._clock.now().timestamp()) + TICKET_LIFE_SECONDS,
        )
        return encode_hello(seal_ticket(ticket, key))


@dataclass(slots=True)
class House:
    """One for the whole process."""

    limits: LimitsSection
    rules: CookieRules
    tickets: Tickets
    clock: Clock
    spawn: Spawn
    trusted: tuple[Network, ...] = ()
    guests: set[Guest] = field(default_factory=set)
    circuits: set[LiveCircuit] = field(default_factory=set)
    # How requests to apps have ended since the start, by ENDS.
    ends: Counter[str] = field(default_factory=Counter)

    def is_full(self) -> bool:
        return len(self.guests) >= self.limits.connections

    def is_trusted(self, address: str) -> bool:
        if not self.trusted:
            return False
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self.trusted)

    def client_of(self, peer: str, named: str) -> str:
        """Who asks: the last address of `X-Forwarded-For` that no trusted proxy has. What is no
        address there is not believed."""
        client = plain_address(peer)
        if named and self.is_trusted(client):
            for part in reversed(named.split(",")):
                client = plain_address(part) or client
                if not self.is_trusted(client) or not plain_address(part):
                    break
        return client

    async def check_all(self) -> None:
        """Ends what has taken too long. Called each second."""
        now = asyncio.get_running_loop().time()
        for guest in list(self.guests):
            guest.check(now)
        for live in self.circuits:
            live.drop_old_lines(now - IDLE_LINE_SECONDS)

    def turn_out(self, live: LiveCircuit) -> int:
        """Ends all connections of a circuit that was taken back, and says how many."""
        self.circuits.discard(live)
        live.close()
        theirs = [guest for guest in self.guests if guest.live is live]
        for guest in theirs:
            guest.abort()
        return len(theirs)

    def greeting_seconds(self) -> float:
        """Until a node that was asked now has let somebody in."""
        return self.limits.relay_timeout + min(GREETING_SECONDS, self.limits.answer_timeout)

    async def open_line(self, live: LiveCircuit) -> Line:
        """A connection to the relay of the circuit's node, not greeted yet. Raises RelayAway."""

        def make() -> Line:
            return Line(live, self.rules, self.limits.head_bytes_max)

        _, line = await self.connect(live, make)
        return cast(Line, line)

    async def connect(
        self, live: LiveCircuit, make: Callable[[], Any]
    ) -> tuple[asyncio.Transport, Any]:
        """Asks again as long as the limits say: an agent that starts anew is away for a moment."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.limits.relay_timeout
        pauses = iter(_PAUSES)
        while True:
            try:
                host, _, port = live.circuit.relay_address.rpartition(":")
                async with asyncio.timeout(_CONNECT_SECONDS):
                    return await loop.create_connection(make, host.strip("[]"), int(port))
            except (OSError, ValueError) as error:
                if loop.time() >= until or not live.is_open:
                    raise RelayAway("The node of the session does not answer.") from error
            await self.clock.sleep(next(pauses, _PAUSES[-1]))
