"""Whole devices that are nothing but files, as the settings name them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backendai.common.slots import SlotName

from .plugin import Device, DeviceKey, Limits, Piece, Reading


@dataclass(frozen=True, slots=True)
class DeviceFiles:
    """The device files of one slot, each given to one kernel at a time."""

    slot: SlotName
    paths: tuple[Path, ...]
    version: str = "1"

    @property
    def name(self) -> str:
        return str(self.slot)

    def discover(self) -> Sequence[Device]:
        return [Device(path.name, self.slot, paths=(str(path),)) for path in self.paths]

    def limit(self, pieces: Sequence[Piece]) -> Limits:
        return Limits(device_paths=tuple(path for one in pieces for path in one.device.paths))

    def measure(self) -> Mapping[DeviceKey, Reading]:
        """A device is well as long as its file is there."""
        return {
            device.key: Reading(problem="" if path.exists() else f"{path} is not there")
            for device, path in zip(self.discover(), self.paths, strict=True)
        }
