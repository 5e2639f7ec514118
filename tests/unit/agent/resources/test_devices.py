"""Devices of a driver: whole ones, fractions and single instances, and what is left of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from backendai.agent.faults import BadOrder, NotEnoughDevices
from backendai.agent.resources.allocate import Strategy
from backendai.agent.resources.cpu import CpuPlugin
from backendai.agent.resources.devices import BadDevices, DevicePlugin
from backendai.agent.resources.holds import gather, held_of, read_holds, write_hold
from backendai.agent.resources.inventory import Inventory
from backendai.agent.resources.plugin import Device, DeviceKey, Limits, Piece, Reading
from backendai.common.enums import SlotType
from backendai.common.slots import ResourceSlots, SlotName

SHARES = SlotName("cuda.shares")
WHOLE = SlotName("cuda.device")
MIG = SlotName("cuda.mig-1g.10gb")
TENTH = Decimal("0.1")


@dataclass
class Driver:
    """A driver of given devices, which tells a container the ids and amounts of its pieces."""

    devices: Sequence[Device]
    name: str = "gpu"
    version: str = "7"
    readings: dict[DeviceKey, Reading] = field(default_factory=dict)

    def discover(self) -> Sequence[Device]:
        return self.devices

    def limit(self, pieces: Sequence[Piece]) -> Limits:
        words = [f"{piece.device.device_id}:{piece.amount}" for piece in pieces]
        return Limits(fixed_environ={"PIECES": ",".join(words)})

    def measure(self) -> Mapping[DeviceKey, Reading]:
        return {device.key: self.readings.get(device.key, Reading()) for device in self.devices}


def share(name: str, numa_node: int | None = None, amount: str = "1") -> Device:
    return Device(name, SHARES, numa_node=numa_node, amount=Decimal(amount), quantum=TENTH)


def whole(name: str, numa_node: int | None = None) -> Device:
    return Device(name, WHOLE, numa_node=numa_node)


def make(*devices: Device, strategy: Strategy = Strategy.PACK) -> Inventory:
    cpu = CpuPlugin((0, 1, 2, 3), Decimal(4), numa_nodes={0: 0, 1: 0, 2: 1, 3: 1})
    return Inventory((DevicePlugin.of(Driver(devices), strategy), cpu))


def ask(**amounts: str) -> ResourceSlots:
    return ResourceSlots.parse({name.replace("_", "."): value for name, value in amounts.items()})


def test_kernels_share_a_device_by_fractions_until_it_is_full() -> None:
    node = make(share("a"))
    first = node.share(ask(cuda_shares="0.5"), [])
    assert first.devices == {"cuda.shares": ["a=0.5"]}
    assert first.limits.fixed_environ == {"PIECES": "a:0.5"}
    second = node.share(ask(cuda_shares="0.5"), [first.devices])
    # Two holds of the same text are two holds.
    assert second.devices == first.devices
    with pytest.raises(NotEnoughDevices, match=r"0\.1 of cuda\.shares asked, 0 free"):
        node.share(ask(cuda_shares="0.1"), [first.devices, second.devices])


def test_a_large_wish_takes_whole_devices_and_one_part() -> None:
    node = make(share("a"), share("b"), share("c"))
    held = [{"cuda.shares": ["b=0.4"]}]
    assert node.share(ask(cuda_shares="1.5"), held).devices == {"cuda.shares": ["a=1", "b=0.5"]}


def test_an_amount_between_the_steps_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(BadOrder, match=r"cuda\.shares = 0\.55: .* steps of 0\.1"):
        make(share("a")).share(ask(cuda_shares="0.55"), [])
    with pytest.raises(BadOrder, match="steps of 1"):
        make(whole("a")).share(ask(cuda_device="0.5"), [])
    with pytest.raises(BadOrder, match="unlimited"):
        make(share("a")).share(ask(cuda_shares="Infinity"), [])


def test_a_kernel_gets_one_instance_at_most() -> None:
    node = make(*(Device(name, MIG, is_unique=True) for name in ("a", "b")))
    assert node.capacity()[MIG] == 2
    assert node.plugins[0].devices[0].kind is SlotType.UNIQUE
    first = node.share(ResourceSlots({MIG: Decimal(1)}), [])
    assert first.devices == {MIG: ["a"]}
    assert node.share(ResourceSlots({MIG: Decimal(1)}), [first.devices]).devices == {MIG: ["b"]}
    with pytest.raises(BadOrder, match="at most"):
        node.share(ResourceSlots({MIG: Decimal(2)}), [])


def test_bytes_are_given_in_steps_too() -> None:
    slot = SlotName("npu.mem")
    device = Device("n", slot, amount=Decimal(2**30), quantum=Decimal(2**20))
    node = make(device)
    assert device.kind is SlotType.BYTES
    assert node.share(ask(npu_mem="256m"), []).devices == {slot: [f"n={2**28}"]}


def test_a_sick_device_gets_nothing_new_and_keeps_its_kernels() -> None:
    node = make(share("a"), share("b"))
    held = [{"cuda.shares": ["a=0.3"]}]
    sick = frozenset({(SHARES, "a")})
    assert node.share(ask(cuda_shares="0.3"), held, sick).devices == {"cuda.shares": ["b=0.3"]}
    # What is held counts until it is released, then the device offers nothing.
    assert node.capacity(held, sick)[SHARES] == Decimal("1.3")
    assert node.capacity([], sick)[SHARES] == 1
    assert node.capacity(held)[SHARES] == 2
    with pytest.raises(NotEnoughDevices, match=r"1 free \(sick: a\)"):
        node.share(ask(cuda_shares="1.5"), held, sick)


def test_a_device_from_before_the_settings_changed_is_left_to_its_holder() -> None:
    node = make(share("a"), share("b"))
    held = [{"cuda.device": ["a"]}]
    assert node.share(ask(cuda_shares="0.5"), held).devices == {"cuda.shares": ["b=0.5"]}
    assert node.capacity(held)[SHARES] == 1


def test_holds_of_devices_that_are_gone_take_nothing_from_others() -> None:
    node = make(whole("a"))
    held = [{"cuda.device": ["z"], "other.device": ["a"]}]
    assert node.share(ask(cuda_device="1"), held).devices == {"cuda.device": ["a"]}


def test_an_unreadable_hold_is_the_whole_device() -> None:
    device = share("a")
    for text in ("a", "a=", "a=x", "a=-1", "a=1e9", "a=99"):
        assert [piece.amount for piece in read_holds(device, [text])] == [Decimal(1)]
    assert read_holds(device, ["ab=0.5"]) == []


def test_a_hold_reads_back_as_written() -> None:
    for device, amount in ((whole("a"), Decimal(1)), (share("GPU-1f:2/3"), Decimal("0.3"))):
        piece = Piece(device, amount)
        assert read_holds(device, [write_hold(piece)]) == [piece]


def test_cores_are_taken_near_the_devices() -> None:
    node = make(whole("a", 0), whole("b", 1))
    first = node.share(ask(cuda_device="1", cpu="2"), [{"cuda.device": ["a"]}])
    assert first.devices == {"cuda.device": ["b"], "cpu": ["2", "3"]}
    assert node.share(ask(cpu="2"), []).devices == {"cpu": ["0", "1"]}


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        ([whole("a"), whole("a")], "offered twice"),
        ([whole("a=b")], "letters, digits"),
        ([whole("a b")], "letters, digits"),
        ([Device("a", SlotName("CUDA"))], "no slot name"),
        ([Device("a", SlotName("mem"))], "agent's own"),
        ([Device("a", WHOLE, amount=Decimal(2))], "must be 1"),
        ([share("a", amount="0.25")], "no multiple"),
        ([share("a", amount="0")], "above zero"),
        ([Device("a", MIG, is_unique=True, quantum=TENTH)], "given whole"),
    ],
)
def test_devices_that_cannot_be_counted_are_refused(devices: list[Device], words: str) -> None:
    with pytest.raises(BadDevices, match=words):
        DevicePlugin.of(Driver(devices))


@given(st.lists(st.integers(1, 30), max_size=12), st.sampled_from(Strategy))
def test_releasing_restores_what_was_free(wishes: list[int], strategy: Strategy) -> None:
    node = make(share("a", 0), share("b", 0), share("c", 1), strategy=strategy)
    held: list[Mapping[str, list[str]]] = []
    for wish in wishes:
        try:
            held.append(node.share(ResourceSlots({SHARES: wish * TENTH}), held).devices)
        except NotEnoughDevices:
            continue
    while held:
        released = amount_of(node, held.pop())
        again = node.share(ResourceSlots({SHARES: released}), held)
        assert amount_of(node, again.devices) == released


def amount_of(node: Inventory, holds: Mapping[str, list[str]]) -> Decimal:
    return sum((piece.amount for piece in pieces_of(node, holds)), Decimal(0))


def pieces_of(node: Inventory, holds: Mapping[str, list[str]]) -> list[Piece]:
    return [piece for plugin in node.accelerators for piece in plugin.pieces(holds)]


class Node(RuleBasedStateMachine):
    """Kernels come and go, devices get sick and well, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.node = make(
            share("a", 0), share("b", 0), share("c", 1, "2"), whole("d", 1), whole("e", 1)
        )
        self.held: list[Mapping[str, list[str]]] = []
        self.sick: set[DeviceKey] = set()

    @rule(steps=st.integers(0, 35), count=st.integers(0, 2))
    def start(self, steps: int, count: int) -> None:
        slots = ResourceSlots({SHARES: steps * TENTH, WHOLE: Decimal(count)})
        sick = frozenset(self.sick)
        try:
            made = self.node.share(slots, self.held, sick)
        except NotEnoughDevices:
            return
        pieces = pieces_of(self.node, made.devices)
        for slot in (SHARES, WHOLE):
            mine = [piece.amount for piece in pieces if piece.device.slot == slot]
            assert sum(mine, Decimal(0)) == slots[slot]
        assert not {piece.device.key for piece in pieces} & sick
        assert made == self.node.share(slots, list(self.held), sick)
        self.held.append(made.devices)

    @rule(index=st.integers(0, 20))
    def end(self, index: int) -> None:
        if self.held:
            self.held.pop(index % len(self.held))

    @rule(index=st.integers(0, 4))
    def turn(self, index: int) -> None:
        self.sick ^= {self.node.plugins[0].devices[index].key}

    @invariant()
    def nothing_is_given_twice(self) -> None:
        for device in self.node.plugins[0].devices:
            texts = gather(self.held).get(device.slot, ())
            given = sum((piece.amount for piece in read_holds(device, texts)), Decimal(0))
            assert given <= device.amount
            assert given == held_of(device, gather(self.held))

    @invariant()
    def capacity_covers_what_is_held(self) -> None:
        capacity = self.node.capacity(self.held, frozenset(self.sick))
        total = self.node.capacity()
        for slot in (SHARES, WHOLE):
            texts = gather(self.held)
            devices = [one for one in self.node.plugins[0].devices if one.slot == slot]
            used = sum((held_of(one, texts) for one in devices), Decimal(0))
            assert used <= capacity[slot] <= total[slot]


Node.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestNode = Node.TestCase
