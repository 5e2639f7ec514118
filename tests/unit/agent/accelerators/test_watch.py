"""The watch over devices: the sick are told of once, and a driver that hangs stops nothing."""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from backendai.agent.accelerators.conditions import WELL_LOOKS, Conditions
from backendai.agent.accelerators.watch import Watch
from backendai.agent.labels import Identity
from backendai.agent.ledger import Ledger
from backendai.agent.notes import Notes
from backendai.agent.reports import report_devices
from backendai.agent.resources.devices import DevicePlugin
from backendai.agent.resources.inventory import Inventory
from backendai.agent.resources.plugin import Device, DeviceKey, Limits, Piece, Reading
from backendai.common.slots import SlotName

SLOT = SlotName("cuda.shares")
A, B = (SLOT, "a"), (SLOT, "b")


@dataclass
class Driver:
    name: str = "gpu"
    version: str = "1"
    slot: SlotName = SLOT
    readings: dict[DeviceKey, Reading] = field(default_factory=dict)
    error: str = ""
    gate: "threading.Event | None" = None
    looks: int = 0

    def discover(self) -> Sequence[Device]:
        return [Device(name, self.slot, "M", 2**30, quantum=Decimal("0.5")) for name in ("a", "b")]

    def limit(self, pieces: Sequence[Piece]) -> Limits:
        return Limits()

    def measure(self) -> Mapping[DeviceKey, Reading]:
        self.looks += 1
        if self.gate is not None:
            self.gate.wait(20)
        if self.error:
            raise RuntimeError(self.error)
        return {one.key: self.readings.get(one.key, Reading()) for one in self.discover()}


class World:
    def __init__(self, *drivers: Driver) -> None:
        self.inventory = Inventory(tuple(DevicePlugin.of(driver) for driver in drivers))
        self.conditions, self.notes, self.ledger = Conditions(), Notes(), Ledger()
        self.watch = Watch(self.inventory, self.conditions, self.notes, self.ledger, 0.2)

    def hold(self, devices: dict[str, list[str]]) -> None:
        self.notes.identities = {"c": Identity("i", "k", "s", 1, devices=devices)}


async def test_a_sick_device_is_told_once_and_wakes_managers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    driver = Driver(readings={A: Reading(utilisation_percent=40.0)})
    world = World(driver)
    world.hold({"cuda.shares": ["a=0.5"]})
    await world.watch.step()
    version = world.ledger.version
    await world.watch.step()
    assert world.ledger.version == version
    driver.readings[A] = Reading(problem="XID 79")
    for _ in range(3):
        await world.watch.step()
    assert world.ledger.version == version + 1
    assert world.conditions.sick == {A}
    assert [one.getMessage() for one in caplog.records].count("device.sick") == 1
    first, second = report_devices(world.inventory, world.conditions, world.notes.devices_in_use())
    assert (first.held, first.problem, second.problem) == ("0.5", "XID 79", "")
    held = world.notes.devices_in_use()
    assert world.inventory.capacity(held, world.conditions.sick)[SLOT] == Decimal("1.5")
    # The room shrinks with the release, which is news too.
    world.notes.identities = {}
    await world.watch.step()
    assert world.ledger.version == version + 2
    del driver.readings[A]
    for _ in range(WELL_LOOKS):
        assert A in world.conditions.sick
        await world.watch.step()
    assert not world.conditions.sick
    assert world.ledger.version == version + 3


async def test_a_driver_that_fails_makes_only_its_own_devices_sick() -> None:
    broken, sound = Driver(error="torn"), Driver("npu", slot=SlotName("npu.device"))
    world = World(broken, sound)
    await world.watch.step()
    assert world.conditions.sick == {A, B}
    assert "RuntimeError: torn" in world.conditions.get(A).problem


async def test_a_driver_that_hangs_is_not_asked_again_and_holds_up_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    driver, sound = Driver(gate=threading.Event()), Driver("npu", slot=SlotName("npu.device"))
    world = World(driver, sound)
    with caplog.at_level(logging.WARNING):
        await world.watch.step()
        await world.watch.step()
    assert (driver.looks, sound.looks) == (1, 2)
    assert world.conditions.sick == {A, B}
    assert "has not answered" in world.conditions.get(A).problem
    assert driver.gate is not None
    driver.gate.set()
    for _ in range(WELL_LOOKS + 1):
        await world.watch.step()
    assert not world.conditions.sick
