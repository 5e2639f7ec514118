"""What the volumes are like, in Prometheus' terms."""

from backendai.common.faults import Fault
from backendai.common.metrics import Family, gauge

from .load import Volumes
from .volume import FsUsage, Volume


async def read_volumes(volumes: Volumes) -> list[Family]:
    """Space of each that answers; one that does not is told as down, beside the others."""
    found = {volume.name: await _find_usage(volume) for volume in volumes}
    known = {name: usage for name, usage in found.items() if usage is not None}
    labels = ["volume"]
    return [
        gauge(
            "volume_up",
            "Whether it answers",
            labels,
            [([n], u is not None) for n, u in found.items()],
        ),
        gauge(
            "volume_capacity_bytes",
            "Space in all",
            labels,
            [([n], u.capacity_bytes) for n, u in known.items()],
        ),
        gauge(
            "volume_used_bytes",
            "Space in use",
            labels,
            [([n], u.used_bytes) for n, u in known.items()],
        ),
    ]


async def _find_usage(volume: Volume) -> FsUsage | None:
    try:
        return await volume.run(volume.fs_usage)
    except Fault:
        return None
