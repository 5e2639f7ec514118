"""PURE: how busy a session was over a window, from samples that may be few, late or missing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from backendai.common.contracts.agent import AgentReport, KernelReport
from backendai.common.slots import CPU, MEM

from .model import Bucket, Sample, Utilization

CPU_UTIL: Final = "cpu_util"
MEM_USE: Final = "mem"
PARTS: Final = 60
# Some samples fall into each part, although looks and the words of nodes are seconds apart.
WIDTH_SECONDS_MIN: Final = 120.0
SAMPLE_SECONDS: Final = 30.0
# Of the parts of a window so many must be known, and in each so many of its samples.
KNOWN_SHARE_MIN: Final = 0.9
KNOWN_OF_PART_MIN: Final = 0.25
# What was measured longer ago than this tells nothing of now.
FRESH_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Container:
    """A container: what it holds, and what was last said of its use."""

    slots: Mapping[str, str]
    use: Mapping[str, Any]


def busy_accelerators(report: AgentReport, kernel: KernelReport) -> dict[str, Any]:
    """What the note of a kernel's use says of its accelerators: the mean of its devices, percents.

    A device that is sick, or whose driver does not tell, leaves its kind out.
    """
    devices = {(one.slot, one.device_id): one for one in report.devices if not one.problem}
    busy: dict[str, list[float | None]] = {}
    for slot, names in kernel.devices.items():
        family = family_of(slot)
        for device in (devices.get((slot, name)) for name in names):
            used = None if device is None else device.memory_used_bytes
            total = 0 if device is None else device.memory_bytes
            share = 100 * used / total if used is not None and total else None
            busy.setdefault(f"{family}_util", []).append(
                None if device is None else device.utilisation_percent
            )
            busy.setdefault(f"{family}_mem", []).append(share)
    told = {
        key: sum(known) / len(known)
        for key, values in busy.items()
        if len(known := [value for value in values if value is not None]) == len(values)
    }
    return {"accelerators": told} if told else {}


def family_of(slot: str) -> str:
    """`cuda` of `cuda.device`, `cuda.shares` and `cuda.device:1g.5gb-mig`."""
    return slot.partition(".")[0]


def families_of(held: Sequence[Container]) -> frozenset[str]:
    """The families of accelerators that are held."""
    return frozenset(
        family_of(slot)
        for one in held
        for slot, amount in one.slots.items()
        if "." in slot and float(amount) > 0
    )


def sample_of(held: Sequence[Container], now: datetime) -> Sample | None:
    """None where the use of any container is not known, or was measured too long ago.

    Nothing runs without some CPU time and memory: a 0 says that they could not be read.
    """
    uses = [one.use for one in held]
    if not uses or not all(use.get("cpu_used_milliseconds", 0) > 0 for use in uses):
        return None
    times = [datetime.fromtimestamp(use.get("sampled_at", 0), UTC) for use in uses]
    if any(abs(now - at) > timedelta(seconds=FRESH_SECONDS) for at in times):
        return None
    levels: dict[str, float] = {}
    memory = sum(float(one.slots.get(MEM, 0)) for one in held)
    if memory > 0 and all(use.get("memory_bytes", 0) > 0 for use in uses):
        levels[MEM_USE] = 100 * sum(use.get("memory_bytes", 0) for use in uses) / memory
    for family in families_of(held):
        for kind in ("util", "mem"):
            level = _level(held, family, f"{family}_{kind}")
            levels |= {} if level is None else {f"{family}_{kind}": level}
    milliseconds = float(sum(use["cpu_used_milliseconds"] for use in uses))
    return Sample(
        min(times), milliseconds, sum(float(one.slots.get(CPU, 0)) for one in held), levels
    )


def _level(held: Sequence[Container], family: str, key: str) -> float | None:
    """The mean over the containers that hold devices of `family`; None where one is not known."""
    holders = [one for one in held if family in families_of([one])]
    known = [one.use.get("accelerators", {}).get(key) for one in holders]
    return None if None in known else sum(known) / len(known)


def width_of(window_seconds: float) -> float:
    return max(WIDTH_SECONDS_MIN, window_seconds / PARTS)


def is_due(utilization: Utilization, sample: Sample) -> bool:
    """Whether a sample is far enough from the last one to be taken."""
    last = utilization.sampled_at
    return last is None or sample.at - last >= timedelta(seconds=SAMPLE_SECONDS)


def add_sample(utilization: Utilization, sample: Sample, window_seconds: float) -> Utilization:
    """With what the sample tells, and without what has left the window.

    CPU use is the time that was spent since the last sample, so no burst between them is missed.
    """
    width = width_of(window_seconds)
    if utilization.width_seconds != width:
        # Parts of another width do not add up with those to come.
        utilization = replace(utilization, width_seconds=width, cpu=None, buckets=())
    found = {**sample.levels, **_cpu_level(utilization, sample)}
    number = math.floor(sample.at.timestamp() / width)
    oldest = math.floor((sample.at.timestamp() - window_seconds) / width)
    parts = {one.number: one for one in utilization.buckets if oldest <= one.number <= number}
    sums = dict(parts[number].sums) if number in parts else {}
    for key, value in found.items():
        count, total = sums.get(key, (0, 0.0))
        sums[key] = (count + 1, total + value)
    if sums:
        parts[number] = Bucket(number, sums)
    return replace(
        utilization,
        cpu=(sample.at, sample.cpu_milliseconds),
        sampled_at=sample.at,
        buckets=tuple(parts[key] for key in sorted(parts)),
    )


def _cpu_level(utilization: Utilization, sample: Sample) -> dict[str, float]:
    """Nothing where a container was replaced in between, which begins to count anew."""
    if utilization.cpu is None or sample.cores <= 0:
        return {}
    since, before = utilization.cpu
    elapsed = (sample.at - since).total_seconds()
    spent = sample.cpu_milliseconds - before
    if elapsed <= 0 or spent < 0:
        return {}
    return {CPU_UTIL: spent / 10 / elapsed / sample.cores}


def average(
    utilization: Utilization, resource: str, now: datetime, window_seconds: float
) -> float | None:
    """Percents over the window that ends `now`; None where too little of it is known.

    The window's last part is always known, so that who has just begun to work is seen.
    """
    width = width_of(window_seconds)
    if utilization.width_seconds != width or utilization.sampled_at is None:
        return None
    if now - utilization.sampled_at > timedelta(seconds=FRESH_SECONDS + 2 * SAMPLE_SECONDS):
        return None
    last = math.floor(now.timestamp() / width)
    whole = max(1, math.floor(window_seconds / width))
    enough = max(1.0, KNOWN_OF_PART_MIN * width / SAMPLE_SECONDS)
    known = [
        one.sums[resource]
        for one in utilization.buckets
        if last - whole <= one.number < last and resource in one.sums
    ]
    if sum(1 for count, _ in known if count >= enough) < KNOWN_SHARE_MIN * whole:
        return None
    return sum(total for _, total in known) / sum(count for count, _ in known)
