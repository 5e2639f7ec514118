"""All plugins of a node together: its capacity, and the share of one kernel. PURE."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from backendai.common.slots import ResourceSlots, sum_slots

from .devices import DevicePlugin
from .holds import gather
from .plugin import DeviceKey, Limits, Occupied, Plugin, merge_limits

_NONE: frozenset[DeviceKey] = frozenset()


@dataclass(frozen=True, slots=True)
class Share:
    """What one kernel holds: `devices` goes into the labels, `limits` into the container."""

    slots: ResourceSlots
    devices: Mapping[str, list[str]]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Inventory:
    """Plugins of devices come before cores, which are then taken near the devices."""

    plugins: tuple[Plugin, ...]

    @property
    def versions(self) -> dict[str, str]:
        return {plugin.name: plugin.version for plugin in self.plugins}

    @property
    def accelerators(self) -> tuple[DevicePlugin, ...]:
        return tuple(one for one in self.plugins if isinstance(one, DevicePlugin))

    def capacity(
        self, held: Iterable[Mapping[str, Sequence[str]]] = (), sick: frozenset[DeviceKey] = _NONE
    ) -> ResourceSlots:
        """What kernels have and may get; `held` are the holds of all living kernels."""
        occupied = Occupied(gather(held), sick)
        return sum_slots([plugin.capacity(occupied) for plugin in self.plugins])

    def share(
        self,
        slots: ResourceSlots,
        held: Iterable[Mapping[str, Sequence[str]]],
        sick: frozenset[DeviceKey] = _NONE,
    ) -> Share:
        """The share for `slots`. Raises NotEnoughDevices when what is free does not do."""
        occupied = Occupied(gather(held), sick)
        devices: dict[str, list[str]] = {}
        for plugin in self.plugins:
            devices.update(plugin.assign(slots, occupied))
            occupied = replace(occupied, near=self._nodes_of(devices))
        return self.share_again(slots, devices)

    def share_again(self, slots: ResourceSlots, devices: Mapping[str, list[str]]) -> Share:
        """The share that a kernel with `devices` has, as its labels say."""
        limits = merge_limits([plugin.limit(slots, devices) for plugin in self.plugins])
        return Share(slots, devices, limits)

    def _nodes_of(self, devices: Mapping[str, list[str]]) -> frozenset[int]:
        pieces = [piece for plugin in self.accelerators for piece in plugin.pieces(devices)]
        nodes = {piece.device.numa_node for piece in pieces}
        return frozenset(node for node in nodes if node is not None)
