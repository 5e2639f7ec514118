"""How each device is: its last reading, and whether it is sick. Deciding is PURE."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from backendai.agent.resources.plugin import DeviceKey, Reading

# A device that flaps must not be given out in the moments when it answers.
WELL_LOOKS: Final = 3
UNTOLD: Final = Reading(problem="its driver does not tell of it")


@dataclass(frozen=True, slots=True)
class Condition:
    """`problem` stays until the device was well in WELL_LOOKS looks in a row; empty: usable."""

    reading: Reading = field(default_factory=Reading)
    problem: str = ""
    well_looks: int = 0


def judge(known: Condition | None, reading: Reading) -> Condition:
    """The condition after one more look. The first look counts at once."""
    if reading.problem:
        return Condition(reading, reading.problem)
    if known is None or not known.problem:
        return Condition(reading)
    looks = known.well_looks + 1
    return Condition(reading) if looks >= WELL_LOOKS else Condition(reading, known.problem, looks)


def judge_all(
    known: Mapping[DeviceKey, Condition],
    keys: Iterable[DeviceKey],
    readings: Mapping[DeviceKey, Reading],
) -> dict[DeviceKey, Condition]:
    return {key: judge(known.get(key), readings.get(key, UNTOLD)) for key in keys}


@dataclass(slots=True)
class Conditions:
    """The conditions of a node's devices, as its watch last found them."""

    by_device: dict[DeviceKey, Condition] = field(default_factory=dict)

    @property
    def sick(self) -> frozenset[DeviceKey]:
        return frozenset(key for key, one in self.by_device.items() if one.problem)

    def get(self, key: DeviceKey) -> Condition:
        return self.by_device.get(key, Condition())
