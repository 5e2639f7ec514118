"""Looks at all devices again and again: which are sick, and how busy they are."""

import asyncio
from collections.abc import Mapping
from typing import Final

from backendai.agent.ledger import Ledger
from backendai.agent.notes import Notes
from backendai.agent.resources.devices import DevicePlugin
from backendai.agent.resources.inventory import Inventory
from backendai.agent.resources.plugin import DeviceKey, Reading
from backendai.common.logs import get_logger

from .aside import run_aside
from .conditions import Condition, Conditions, judge_all

log = get_logger(__name__)

WATCH_PERIOD_SECONDS: Final = 5.0
LOOK_SECONDS_MAX: Final = 10.0


class Look:
    """One driver's looks, each in a thread aside: a driver that hangs holds up nobody else."""

    def __init__(self, plugin: DevicePlugin, seconds_max: float) -> None:
        self.plugin = plugin
        self._seconds_max = seconds_max
        self._running: asyncio.Future[Mapping[DeviceKey, Reading]] | None = None

    async def take(self) -> Mapping[DeviceKey, Reading]:
        """The readings of all devices; a driver that fails makes all of them sick."""
        if self._running is None:
            look = run_aside(self.plugin.measure, f"look at {self.plugin.name}")
            self._running = asyncio.wrap_future(look)
        done, _ = await asyncio.wait([self._running], timeout=self._seconds_max)
        if not done:
            # It is not asked a second time before it has answered the first.
            return self._all_sick(f"the driver has not answered for {self._seconds_max:g} s")
        running, self._running = self._running, None
        try:
            return dict(running.result())
        except Exception as error:
            # What a driver raises says something of its devices, and nothing of this daemon.
            return self._all_sick(f"the driver failed: {type(error).__name__}: {error}")

    def _all_sick(self, problem: str) -> dict[DeviceKey, Reading]:
        return {device.key: Reading(problem=problem) for device in self.plugin.devices}


class Watch:
    """Keeps `conditions` and tells the ledger what changed for managers."""

    def __init__(
        self,
        inventory: Inventory,
        conditions: Conditions,
        notes: Notes,
        ledger: Ledger,
        look_seconds_max: float = LOOK_SECONDS_MAX,
    ) -> None:
        self._inventory = inventory
        self._conditions = conditions
        self._notes = notes
        self._ledger = ledger
        self._looks = [Look(plugin, look_seconds_max) for plugin in inventory.accelerators]

    async def step(self) -> None:
        async with asyncio.TaskGroup() as group:
            for look in self._looks:
                group.create_task(self._look(look), name=f"look at {look.plugin.name}")
        sick = self._conditions.sick
        capacity = self._inventory.capacity(self._notes.devices_in_use(), sick)
        problems = {key: one.problem for key, one in self._conditions.by_device.items()}
        self._ledger.set_devices(capacity.to_json(), problems)

    async def _look(self, look: Look) -> None:
        readings = await look.take()
        known = self._conditions.by_device
        keys = [device.key for device in look.plugin.devices]
        judged = judge_all(known, keys, readings)
        for key, condition in judged.items():
            _tell(key, known.get(key, Condition()), condition)
        known.update(judged)


def _tell(key: DeviceKey, before: Condition, after: Condition) -> None:
    slot, device_id = key
    if after.problem and after.problem != before.problem:
        log.warning("device.sick", slot=slot, device=device_id, detail=after.problem)
    elif before.problem and not after.problem:
        log.info("device.well", slot=slot, device=device_id)
