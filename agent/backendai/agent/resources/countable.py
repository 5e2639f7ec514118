"""Whole devices of one slot, each given to one kernel at a time: what most plugins need. PURE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from backendai.agent.faults import NotEnoughDevices
from backendai.common.slots import ResourceSlots, SlotName

from .plugin import Limits


@dataclass(frozen=True, slots=True)
class Device:
    """`paths` are the host's device files that a container needs to use it."""

    device_id: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CountablePlugin:
    """`visible_name` is the environment variable that names the devices inside, if there is one."""

    name: str
    slot: SlotName
    devices: tuple[Device, ...]
    version: str = "1"
    visible_name: str = ""
    shared_paths: tuple[str, ...] = ()

    @property
    def capacity(self) -> ResourceSlots:
        return ResourceSlots({self.slot: Decimal(len(self.devices))})

    def assign(
        self, slots: ResourceSlots, taken: Mapping[str, frozenset[str]]
    ) -> Mapping[str, list[str]]:
        wanted = slots[self.slot]
        if not wanted:
            return {}
        used = taken.get(self.slot, frozenset())
        free = [one.device_id for one in self.devices if one.device_id not in used]
        if wanted != int(wanted) or len(free) < wanted:
            raise NotEnoughDevices(f"{wanted} of {self.slot} asked, {len(free)} free")
        return {self.slot: free[: int(wanted)]}

    def limit(self, slots: ResourceSlots, devices: Mapping[str, Sequence[str]]) -> Limits:
        mine = frozenset(devices.get(self.slot, ()))
        if not mine:
            return Limits()
        paths = [path for one in self.devices if one.device_id in mine for path in one.paths]
        environ = {self.visible_name: ",".join(sorted(mine))} if self.visible_name else {}
        return Limits(environ=environ, device_paths=(*paths, *self.shared_paths))
