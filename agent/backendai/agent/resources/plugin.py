"""What an accelerator plugin is: it counts one kind of resource and hands parts of it out.

Plugins are found through the entry points group `backendai.accelerators`; each entry point is
called without arguments and gives a Plugin. CPU and memory are plugins like any other.
Counting happens once, in the making; the methods are pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Protocol, TypeVar

from backendai.common.slots import ResourceSlots

_T = TypeVar("_T")

ENTRY_POINTS_GROUP: Final = "backendai.accelerators"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a container gets. None means that this plugin says nothing of it.

    `cpuset` are core numbers, `cpu_quota` cores as a CFS limit, `device_paths` host devices.
    """

    cpuset: tuple[int, ...] | None = None
    cpu_quota: Decimal | None = None
    cpu_weight: Decimal | None = None
    memory_bytes: int | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    device_paths: tuple[str, ...] = ()


class Plugin(Protocol):
    """One kind of resource. Devices are named by text, unique within a slot."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def capacity(self) -> ResourceSlots:
        """What may be given to kernels, reserved amounts already taken off."""
        ...

    def assign(
        self, slots: ResourceSlots, taken: Mapping[str, frozenset[str]]
    ) -> Mapping[str, list[str]]:
        """The devices for `slots`, by slot; `taken` are those of living containers.

        Raises NotEnoughDevices. Slots that are not this plugin's are ignored.
        """
        ...

    def limit(self, slots: ResourceSlots, devices: Mapping[str, Sequence[str]]) -> Limits: ...


def merge_limits(parts: Sequence[Limits]) -> Limits:
    """One set of limits; of several that speak of the same thing the first one counts."""
    return Limits(
        cpuset=_first([one.cpuset for one in parts]),
        cpu_quota=_first([one.cpu_quota for one in parts]),
        cpu_weight=_first([one.cpu_weight for one in parts]),
        memory_bytes=_first([one.memory_bytes for one in parts]),
        environ={key: value for one in reversed(parts) for key, value in one.environ.items()},
        device_paths=tuple(path for one in parts for path in one.device_paths),
    )


def _first(values: Sequence[_T | None]) -> _T | None:
    return next((value for value in values if value is not None), None)
