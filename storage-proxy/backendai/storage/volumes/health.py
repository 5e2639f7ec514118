"""How a volume is, found out by writing to it: one that hangs or is read-only looks fine else."""

import os
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from backendai.common.faults import Fault
from backendai.common.storage_faults import VolumeUnavailable

from .volume import FsUsage, Health, Volume

_PROBE: Final = ".backendai-probe"
SLOW_SECONDS: Final = 1.0
FULL_RATIO: Final = 0.99


@dataclass(frozen=True, slots=True)
class HealthReport:
    status: Health
    info: str
    metadata: dict[str, Any]


async def inspect_volume(volume: Volume) -> HealthReport:
    try:
        seconds = await volume.run(probe_volume, volume)
        usage = await volume.run(volume.fs_usage)
    except VolumeUnavailable as fault:
        return HealthReport(Health.OFFLINE, fault.detail, {})
    except Fault as fault:
        return HealthReport(Health.DEGRADED, f"cannot be written: {fault.detail}", {})
    return judge(seconds, usage)


def judge(probe_seconds: float, usage: FsUsage) -> HealthReport:
    """PURE: what a durable write of so many seconds and such a usage say."""
    metadata = {"probe_ms": round(probe_seconds * 1000, 1)}
    if usage.used_bytes > usage.capacity_bytes * FULL_RATIO:
        return HealthReport(Health.DEGRADED, "it is nearly full", metadata)
    if probe_seconds > SLOW_SECONDS:
        info = f"a small durable write took {probe_seconds:.1f} s"
        return HealthReport(Health.DEGRADED, info, metadata)
    return HealthReport(Health.HEALTHY, "it answers, and can be written", metadata)


def probe_volume(volume: Volume) -> float:
    """Seconds that a small durable write took. Blocks. Raises OSError, VolumeUnavailable."""
    began = time.monotonic()
    with volume.opened_top() as top:
        name = f"{_PROBE}.{uuid.uuid4().hex}"
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=top)
        try:
            os.write(fd, b"probe\n")
            os.fsync(fd)
        finally:
            os.close(fd)
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=top)
    return time.monotonic() - began
