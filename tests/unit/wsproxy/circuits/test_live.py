import hashlib
import uuid
from dataclasses import dataclass
from datetime import timedelta

import pytest

from backendai.common.clock import EPOCH
from backendai.wsproxy.circuits.live import FRESH_SECONDS, IDLE_LINES_MAX, LiveCircuit
from backendai.wsproxy.circuits.model import Circuit, Permit, Protocol

CIRCUIT = Circuit(
    id=uuid.UUID(int=1),
    session_id=uuid.UUID(int=2),
    kernel_id=uuid.UUID(int=3),
    generation=1,
    agent_id="i-1",
    app="jupyterlab",
    port=8888,
    protocol=Protocol.HTTP,
    owner=uuid.UUID(int=4),
    access_key="AKIA",
)
LATER = EPOCH + timedelta(hours=1)


@dataclass(eq=False)
class Line:
    idle_since: float
    usable: bool = True
    is_aborted: bool = False

    def is_usable(self) -> bool:
        return self.usable

    def abort(self) -> None:
        self.is_aborted = True


def permit(cookie: bytes, address: str = "") -> Permit:
    return Permit(CIRCUIT.id, hashlib.sha256(cookie).digest(), address, LATER)


@pytest.fixture
def live() -> LiveCircuit:
    return LiveCircuit(CIRCUIT, [permit(b"a"), permit(b"b", "10.0.0.1")])


def test_a_permit_lets_in_until_it_expires(live: LiveCircuit) -> None:
    digest = hashlib.sha256(b"a").digest()
    assert live.find_permit([b"x", b"a"], EPOCH) == digest
    assert live.permits_used == {digest}
    assert live.honours(digest, EPOCH)
    assert not live.honours(digest, LATER)
    assert live.find_permit([b"a"], LATER) is None
    assert live.find_permit([b"x", b""], EPOCH) is None
    assert live.find_permit([], EPOCH) is None


def test_a_permit_of_an_address_is_for_it_alone(live: LiveCircuit) -> None:
    assert live.knows_address("10.0.0.1", EPOCH)
    assert not live.knows_address("10.0.0.2", EPOCH)
    assert not live.knows_address("", EPOCH)
    assert not live.knows_address("10.0.0.1", LATER)
    assert live.find_permit([b"b"], EPOCH) is None


def test_the_connection_that_waited_least_is_taken(live: LiveCircuit) -> None:
    old, new, broken = Line(1.0), Line(5.0), Line(6.0, usable=False)
    for line in (old, new, broken):
        live.keep_line(line)
    assert live.take_line(6.0, only_fresh=True) is new
    assert live.take_line(6.0, only_fresh=True) is None
    assert live.take_line(1.0 + FRESH_SECONDS, only_fresh=True) is old


def test_connections_that_wait_too_long_or_are_too_many_end(live: LiveCircuit) -> None:
    lines = [Line(float(number)) for number in range(IDLE_LINES_MAX + 1)]
    for line in lines:
        live.keep_line(line)
    assert lines[-1].is_aborted
    live.drop_old_lines(10.0)
    assert [line.is_aborted for line in lines[:12]] == [True] * 10 + [False] * 2
    live.close()
    assert all(line.is_aborted for line in lines)
    late = Line(99.0)
    live.keep_line(late)
    assert late.is_aborted
