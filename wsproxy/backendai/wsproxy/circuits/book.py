"""The circuits that are live: made for those who ask, looked at again and again, and taken back.

The database says what is live; while it is away, what was known goes on.
"""

import asyncio
import hashlib
import ipaddress
import random
import secrets
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from backendai.common.clock import Clock
from backendai.common.faults import Conflict, Unavailable
from backendai.common.ids import SystemIds
from backendai.common.logs import get_logger
from backendai.common.loops import LoopHealth, supervise

from .live import LiveCircuit
from .model import Circuit, Network, Permit, protocol_of
from .model import Protocol as AppProtocol

log = get_logger(__name__)

# What is taken back closes live streams within 5 seconds, also when the database comes back: then
# as ever the next look is not further away than this.
REFRESH_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.5
_MOVE_SECONDS: Final = 60.0
_TRIES_MAX: Final = 8
_LABEL_BYTES: Final = 16
# A row whose kernel was away for a moment must not lose its port to another.
_DEAD_SECONDS: Final = 30.0


class NoRoom(Unavailable):
    """All ports of circuits are taken."""

    code = "wsproxy.no_room"
    title = "The app proxy has no free port."


class KernelNotLive(Conflict):
    """The kernel of a token has ended, or begun anew, or its owner may not come any more."""

    code = "wsproxy.kernel_not_live"
    title = "The session does not run any more."


class Store(Protocol):
    """Where circuits are kept. Each of its methods raises StoreUnavailable while it is away."""

    async def load_live(self) -> tuple[list[Circuit], list[Permit]]: ...

    async def find_live(self, circuit_id: uuid.UUID) -> Circuit | None: ...

    async def add(self, circuit: Circuit, lifetime_seconds: float) -> None:
        """Raises Conflict when its port or its subdomain is taken."""
        ...

    async def add_permit(
        self, circuit_id: uuid.UUID, digest: bytes, address: str, lifetime_seconds: float
    ) -> Permit | None: ...

    async def move_expiry(
        self, used: Collection[uuid.UUID], permits: Collection[bytes], lifetime_seconds: float
    ) -> None: ...

    async def list_dead(self) -> frozenset[uuid.UUID]: ...

    async def close(self, circuit_ids: Collection[uuid.UUID], reason: str) -> None: ...


class Listeners(Protocol):
    """Where circuits are offered."""

    has_ports: bool

    def free_ports(self, taken: Iterable[int]) -> list[int]: ...

    async def open(self, live: LiveCircuit) -> bool:
        """False when its port is taken by another program."""
        ...

    async def close(self, live: LiveCircuit) -> None:
        """Also of one that was never opened. Ends its connections."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """A circuit that somebody wants. `subdomain` may be left to us."""

    session_id: uuid.UUID
    kernel_id: uuid.UUID
    generation: int
    agent_id: str
    app: str
    port: int
    protocol: str
    owner: uuid.UUID
    access_key: str
    is_public: bool = False
    allowed: tuple[Network, ...] = ()
    subdomain: str | None = None

    def matches(self, circuit: Circuit) -> bool:
        """Whether that circuit is what is wanted."""
        place = (self.kernel_id, self.generation, self.app, self.port)
        is_same = circuit.place == place and circuit.owner == self.owner
        is_shared_so = (circuit.is_public, circuit.allowed) == (self.is_public, self.allowed)
        return is_same and is_shared_so and self.subdomain in (None, circuit.subdomain)


class Book:
    def __init__(
        self, store: Store, listeners: Listeners, clock: Clock, lifetime_seconds: float
    ) -> None:
        self._store = store
        self._listeners = listeners
        self._clock = clock
        self._lifetime = lifetime_seconds
        self._ids = SystemIds()
        self._live: dict[uuid.UUID, LiveCircuit] = {}
        self._by_name: dict[str, LiveCircuit] = {}
        self._unopened: set[uuid.UUID] = set()
        self._dead_since: dict[uuid.UUID, float] = {}
        self._moved_at = clock.monotonic()
        self._looked_at = clock.monotonic() - _LOOK_SECONDS
        # Between reading what is live and acting on it no circuit may be made.
        self._turn = asyncio.Lock()

    def find(self, circuit_id: uuid.UUID) -> LiveCircuit | None:
        return self._live.get(circuit_id)

    def find_subdomain(self, subdomain: str) -> LiveCircuit | None:
        return self._by_name.get(subdomain)

    def knows(self, live: LiveCircuit, cookies: Iterable[bytes]) -> bool:
        return live.find_permit(cookies, self._clock.now()) is not None

    async def watch(self, health: LoopHealth) -> None:
        """Look again and again, until cancelled."""
        await supervise(
            "circuits",
            self.refresh,
            period_seconds=REFRESH_SECONDS,
            backoff_seconds_max=REFRESH_SECONDS,
            clock=self._clock,
            health=health,
        )

    async def look_again(self) -> None:
        """For a circuit that is not known: whoever guesses must not keep the database busy."""
        if self._clock.monotonic() - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = self._clock.monotonic()
            await self.refresh()

    def list_of_session(self, session_id: uuid.UUID) -> list[LiveCircuit]:
        return [live for live in self._live.values() if live.circuit.session_id == session_id]

    async def refresh(self) -> None:
        """Raises StoreUnavailable, and then nothing has changed."""
        async with self._turn:
            circuits, permits = await self._store.load_live()
            await self._adopt(circuits, permits)
            await self._close_dead()
        if self._clock.monotonic() - self._moved_at >= _MOVE_SECONDS:
            await self._move_expiry()

    async def _adopt(self, circuits: list[Circuit], permits: list[Permit]) -> None:
        of_circuit: dict[uuid.UUID, list[Permit]] = {circuit.id: [] for circuit in circuits}
        for permit in permits:
            of_circuit[permit.circuit_id].append(permit)
        for live in [live for key, live in self._live.items() if key not in of_circuit]:
            log.info("circuit.ended", circuit=live.circuit.id, app=live.circuit.app)
            await self._drop(live)
        for circuit in circuits:
            known = self._live.get(circuit.id)
            if known is None:
                known = self._keep(LiveCircuit(circuit))
                self._unopened.add(circuit.id)
            known.circuit = circuit
            known.replace_permits(of_circuit[circuit.id])
        for key in list(self._unopened):
            await self._try_open(self._live[key])

    async def _try_open(self, live: LiveCircuit) -> bool:
        is_open = await self._listeners.open(live)
        if is_open:
            self._unopened.discard(live.circuit.id)
        else:
            log.warning(
                "circuit.port_taken", circuit=live.circuit.id, port=live.circuit.public_port
            )
        return is_open

    def _keep(self, live: LiveCircuit) -> LiveCircuit:
        self._live[live.circuit.id] = live
        if live.circuit.subdomain is not None:
            self._by_name[live.circuit.subdomain] = live
        return live

    async def _drop(self, live: LiveCircuit) -> None:
        self._live.pop(live.circuit.id, None)
        self._by_name.pop(live.circuit.subdomain or "", None)
        self._unopened.discard(live.circuit.id)
        await self._listeners.close(live)

    async def _close_dead(self) -> None:
        dead = await self._store.list_dead()
        now = self._clock.monotonic()
        self._dead_since = {key: self._dead_since.get(key, now) for key in dead}
        long_dead = [key for key, at in self._dead_since.items() if now - at >= _DEAD_SECONDS]
        if long_dead:
            await self._store.close(long_dead, "ended")

    async def _move_expiry(self) -> None:
        used = [live for live in self._live.values() if live.is_used]
        self._moved_at = self._clock.monotonic()
        if not used:
            return
        permits = {digest for live in used for digest in live.permits_used}
        await self._store.move_expiry([live.circuit.id for live in used], permits, self._lifetime)
        for live in used:
            live.is_used = False
            live.permits_used.clear()

    async def open(self, wish: Wish) -> tuple[LiveCircuit, bool]:
        """The circuit, and whether it was there before.

        Raises NoRoom, KernelNotLive, Conflict for a subdomain that is taken, StoreUnavailable.
        """
        async with self._turn:
            for live in self._live.values():
                if wish.matches(live.circuit):
                    return live, True
            return await self._make(wish), False

    async def _make(self, wish: Wish) -> LiveCircuit:
        for _ in range(_TRIES_MAX):
            circuit = self._draft(wish)
            try:
                await self._store.add(circuit, self._lifetime)
            except Conflict:
                if wish.subdomain is not None:
                    raise
                continue
            found = await self._store.find_live(circuit.id)
            if found is None:
                await self._store.close([circuit.id], "never live")
                raise KernelNotLive
            live = LiveCircuit(found)
            if not await self._try_open(live):
                await self._store.close([circuit.id], "port taken")
                continue
            self._keep(live)
            log.info(
                "circuit.opened", circuit=circuit.id, app=circuit.app, port=circuit.public_port
            )
            return live
        raise NoRoom

    def _draft(self, wish: Wish) -> Circuit:
        protocol = protocol_of(wish.protocol)
        has_port = self._listeners.has_ports or protocol is AppProtocol.TCP
        subdomain = None if has_port else wish.subdomain or secrets.token_hex(_LABEL_BYTES)
        return Circuit(
            id=self._ids.uuid(),
            session_id=wish.session_id,
            kernel_id=wish.kernel_id,
            generation=wish.generation,
            agent_id=wish.agent_id,
            app=wish.app,
            port=wish.port,
            protocol=protocol,
            owner=wish.owner,
            access_key=wish.access_key,
            is_public=wish.is_public,
            allowed=wish.allowed,
            subdomain=subdomain,
            public_port=self._choose_port() if has_port else None,
        )

    def _choose_port(self) -> int:
        taken = {live.circuit.public_port for live in self._live.values()}
        free = self._listeners.free_ports(port for port in taken if port is not None)
        if not free:
            raise NoRoom
        return random.choice(free)  # noqa: S311 - which port is no secret

    async def permit(self, live: LiveCircuit, permit: str, address: str = "") -> bool:
        """Give a permit; False when it was given before. Raises StoreUnavailable."""
        digest = hashlib.sha256(permit.encode()).digest()
        if address:
            address = str(ipaddress.ip_address(address))
        # A refresh that read the permits before this one must not forget it.
        async with self._turn:
            found = await self._store.add_permit(live.circuit.id, digest, address, self._lifetime)
            if found is not None:
                live.add_permit(found)
        return found is not None

    async def close(self, live: LiveCircuit, reason: str) -> None:
        """Take it back, at once. Raises StoreUnavailable, and then it stays."""
        async with self._turn:
            await self._store.close([live.circuit.id], reason)
            log.info("circuit.closed", circuit=live.circuit.id, reason=reason)
            await self._drop(live)
