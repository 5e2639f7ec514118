"""What kernels hold: each kernel counts once, and one of which nothing runs holds nothing."""

from backendai.agent.labels import Identity
from backendai.agent.notes import Notes

SHARES = {"cuda.shares": ["a=0.5"]}


def identity(kernel_id: str, devices: dict[str, list[str]]) -> Identity:
    return Identity("i", kernel_id, "s", 1, devices=devices)


def test_a_kernel_that_is_listed_while_it_is_made_counts_once() -> None:
    notes = Notes(held={("k1", 1): SHARES})
    notes.take({"c1": identity("k1", SHARES), "c2": identity("k2", SHARES)}, frozenset({"k1"}))
    assert list(notes.devices_in_use()) == [SHARES, SHARES]


def test_two_generations_of_a_kernel_hold_apart() -> None:
    notes = Notes(held={("k1", 2): SHARES})
    notes.take({"c1": identity("k1", SHARES)}, frozenset({"k1"}))
    assert list(notes.devices_in_use()) == [SHARES, SHARES]


def test_a_container_that_ended_holds_nothing() -> None:
    notes = Notes()
    notes.take({"c1": identity("k1", SHARES)}, frozenset(), ended=frozenset({"c1"}))
    assert list(notes.devices_in_use()) == []
