"""All plugins of a node together: its capacity, and the share of one kernel. PURE."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backendai.common.slots import ResourceSlots, sum_slots

from .plugin import Limits, Plugin, merge_limits


@dataclass(frozen=True, slots=True)
class Share:
    """What one kernel holds: `devices` goes into the labels, `limits` into the container."""

    slots: ResourceSlots
    devices: Mapping[str, list[str]]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Inventory:
    plugins: tuple[Plugin, ...]

    @property
    def capacity(self) -> ResourceSlots:
        return sum_slots([plugin.capacity for plugin in self.plugins])

    @property
    def versions(self) -> dict[str, str]:
        return {plugin.name: plugin.version for plugin in self.plugins}

    def share(self, slots: ResourceSlots, held: Iterable[Mapping[str, Sequence[str]]]) -> Share:
        """The share for `slots`; `held` are the device maps of all living kernels.

        Raises NotEnoughDevices when an exclusive device is not free.
        """
        taken = _taken(held)
        devices: dict[str, list[str]] = {}
        for plugin in self.plugins:
            devices.update(plugin.assign(slots, taken))
        return self.share_again(slots, devices)

    def share_again(self, slots: ResourceSlots, devices: Mapping[str, list[str]]) -> Share:
        """The share that a kernel with `devices` has, as its labels say."""
        limits = merge_limits([plugin.limit(slots, devices) for plugin in self.plugins])
        return Share(slots, devices, limits)


def _taken(held: Iterable[Mapping[str, Sequence[str]]]) -> dict[str, frozenset[str]]:
    taken: dict[str, frozenset[str]] = {}
    for devices in held:
        for slot, names in devices.items():
            taken[slot] = taken.get(slot, frozenset()) | frozenset(names)
    return taken
