"""How full the file systems are that a node cannot work without."""

import os
from collections.abc import Iterable
from pathlib import Path

from backendai.common.contracts.agent import DiskReport


def read_disks(places: Iterable[Path]) -> list[DiskReport]:
    """Each file system once, by the first of its places; a place that is not there is left out."""
    found: dict[int, DiskReport] = {}
    for place in places:
        try:
            device, space = place.stat().st_dev, os.statvfs(place)
        except OSError:
            continue
        report = DiskReport(
            path=str(place),
            total_bytes=space.f_frsize * space.f_blocks,
            free_bytes=space.f_frsize * space.f_bavail,
        )
        found.setdefault(device, report)
    return list(found.values())
