"""The circuits that are live, with a store that is told when to answer."""

import asyncio
import uuid
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from backendai.common.clock import EPOCH, FakeClock
from backendai.common.faults import Conflict, StoreUnavailable
from backendai.common.loops import LoopHealth
from backendai.wsproxy.circuits.book import Book, KernelNotLive, NoRoom, Wish
from backendai.wsproxy.circuits.live import LiveCircuit
from backendai.wsproxy.circuits.model import Circuit, Permit

WISH = Wish(
    session_id=uuid.UUID(int=1),
    kernel_id=uuid.UUID(int=2),
    generation=1,
    agent_id="i-1",
    app="jupyterlab",
    port=8888,
    protocol="http",
    owner=uuid.UUID(int=3),
    access_key="AKIA",
)


class Store:
    """`gate` holds back what was read until it is set."""

    def __init__(self) -> None:
        self.circuits: dict[uuid.UUID, Circuit] = {}
        self.permits: dict[bytes, Permit] = {}
        self.closed: dict[uuid.UUID, str] = {}
        self.moved: set[uuid.UUID] = set()
        self.dead: frozenset[uuid.UUID] = frozenset()
        self.ports_taken: set[int] = set()
        self.is_live = True
        self.is_away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def load_live(self) -> tuple[list[Circuit], list[Permit]]:
        if self.is_away:
            raise StoreUnavailable
        found = list(self.circuits.values()), list(self.permits.values())
        await self.gate.wait()
        return found

    async def find_live(self, circuit_id: uuid.UUID) -> Circuit | None:
        return self.circuits.get(circuit_id) if self.is_live else None

    async def add(self, circuit: Circuit, lifetime_seconds: float) -> None:
        if circuit.public_port in self.ports_taken:
            raise Conflict
        self.circuits[circuit.id] = replace(circuit, relay_address="127.0.0.1:1")

    async def add_permit(
        self, circuit_id: uuid.UUID, digest: bytes, address: str, lifetime_seconds: float
    ) -> Permit | None:
        if digest in self.permits:
            return None
        made = Permit(circuit_id, digest, address, EPOCH + timedelta(seconds=lifetime_seconds))
        return self.permits.setdefault(digest, made)

    async def move_expiry(
        self, used: Collection[uuid.UUID], permits: Collection[bytes], lifetime_seconds: float
    ) -> None:
        self.moved.update(used)

    async def list_dead(self) -> frozenset[uuid.UUID]:
        return self.dead

    async def close(self, circuit_ids: Collection[uuid.UUID], reason: str) -> None:
        for circuit_id in circuit_ids:
            self.circuits.pop(circuit_id, None)
            self.closed[circuit_id] = reason


class Listeners:
    has_ports = True

    def __init__(self) -> None:
        self.open_ports: set[int | None] = set()
        self.refused: set[int | None] = set()

    def free_ports(self, taken: Iterable[int]) -> list[int]:
        return sorted({1, 2} - set(taken))

    async def open(self, live: LiveCircuit) -> bool:
        if live.circuit.public_port in self.refused:
            return False
        self.open_ports.add(live.circuit.public_port)
        return True

    async def close(self, live: LiveCircuit) -> None:
        self.open_ports.discard(live.circuit.public_port)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def listeners() -> Listeners:
    return Listeners()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def book(store: Store, listeners: Listeners, clock: FakeClock) -> Book:
    return Book(store, listeners, clock, 3600.0)


async def test_a_permit_outlives_a_refresh_that_began_before_it(book: Book, store: Store) -> None:
    live, _ = await book.open(WISH)
    store.gate.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(book.refresh())
        await asyncio.sleep(0)
        given = group.create_task(book.permit(live, "a-permit"))
        await asyncio.sleep(0)
        store.gate.set()
    assert given.result()
    assert book.knows(live, [b"a-permit"])
    assert not book.knows(live, [b"another"])
    assert not await book.permit(live, "a-permit")


async def test_an_owner_gets_the_same_circuit_again(book: Book) -> None:
    first, was_there = await book.open(WISH)
    again, is_there = await book.open(WISH)
    assert (first is again, was_there, is_there) == (True, False, True)
    other, _ = await book.open(replace(WISH, owner=uuid.UUID(int=4)))
    assert other is not first
    with pytest.raises(NoRoom):
        await book.open(replace(WISH, app="another"))


async def test_ports_that_others_have_are_passed_over(
    book: Book, store: Store, listeners: Listeners
) -> None:
    store.ports_taken, listeners.refused = {1}, set()
    live, _ = await book.open(WISH)
    assert live.circuit.public_port == 2
    listeners.refused = {1}
    store.ports_taken = set()
    with pytest.raises(NoRoom):
        await book.open(replace(WISH, app="another"))
    assert set(store.closed.values()) == {"port taken"}


async def test_no_circuit_leads_to_a_kernel_that_does_not_run(book: Book, store: Store) -> None:
    store.is_live = False
    with pytest.raises(KernelNotLive):
        await book.open(WISH)
    assert list(store.closed.values()) == ["never live"]


async def test_what_was_live_goes_on_while_the_store_is_away(
    book: Book, store: Store, listeners: Listeners
) -> None:
    live, _ = await book.open(WISH)
    store.is_away = True
    with pytest.raises(StoreUnavailable):
        await book.refresh()
    assert live.is_open
    assert listeners.open_ports == {live.circuit.public_port}


async def test_what_is_not_live_any_more_is_closed_and_later_forgotten(
    book: Book, store: Store, listeners: Listeners, clock: FakeClock
) -> None:
    live, _ = await book.open(WISH)
    store.circuits.clear()
    store.dead = frozenset([live.circuit.id])
    await book.refresh()
    assert book.find(live.circuit.id) is None
    assert not listeners.open_ports
    assert not store.closed
    clock.shift(31)
    await book.refresh()
    assert store.closed == {live.circuit.id: "ended"}


async def test_a_circuit_that_is_used_lives_longer(
    book: Book, store: Store, clock: FakeClock
) -> None:
    live, _ = await book.open(WISH)
    live.is_used = True
    await book.refresh()
    assert not store.moved
    clock.shift(61)
    await book.refresh()
    assert store.moved == {live.circuit.id}


async def test_a_port_that_was_taken_at_the_start_is_tried_again(
    book: Book, store: Store, listeners: Listeners, clock: FakeClock
) -> None:
    first, _ = await book.open(WISH)
    anew = Book(store, listeners, clock, 3600.0)
    listeners.open_ports.clear()
    listeners.refused = {first.circuit.public_port}
    await anew.refresh()
    assert anew.find(first.circuit.id) is not None
    listeners.refused = set()
    await anew.refresh()
    assert listeners.open_ports == {first.circuit.public_port}


async def test_after_a_long_absence_of_the_store_what_was_taken_back_ends_soon(
    book: Book, store: Store, clock: FakeClock
) -> None:
    """Live streams end within 5 seconds, however often nobody could be asked before."""
    live, _ = await book.open(WISH)
    store.is_away = True
    watching = asyncio.create_task(book.watch(LoopHealth(clock)))
    await clock.advance(600)
    store.is_away = False
    store.circuits.clear()
    assert book.find(live.circuit.id) is live
    await clock.advance(3)
    assert book.find(live.circuit.id) is None
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
