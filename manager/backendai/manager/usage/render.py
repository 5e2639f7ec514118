"""PURE: usage in the forms of the wire. What was measured is of a kernel's whole life."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from backendai.common.slots import CPU

from .model import (
    MICROSECOND,
    MILLIONTHS,
    KernelUse,
    ProjectUse,
    is_accelerator,
    is_accelerator_memory,
    memory_of,
    unit_seconds,
)
from .series import METRICS, Point

_DAY: Final = timedelta(days=1) // MICROSECOND
_PIECE_KERNELS: Final = 200
# Summed over kernels: field of the project -> field of the kernel.
_SUMMED: Final[Mapping[str, str]] = {
    f"g_{field}": field
    for field in (
        "cpu_allocated",
        "cpu_used",
        "mem_allocated",
        "mem_used",
        "shared_memory",
        "disk_allocated",
        "disk_used",
        "io_read",
        "io_write",
        "smp",
        "gpu_mem_allocated",
        "gpu_allocated",
    )
}


def encode_projects(uses: list[ProjectUse]) -> list[bytes]:
    """A list of projects as JSON, in pieces. Nothing is left of `uses`."""
    uses.reverse()
    pieces = [b"["]
    while uses:
        pieces += _encode(uses.pop())
        pieces.append(b"," if uses else b"]")
    return pieces if len(pieces) > 1 else [b"[]"]


def encode_project(uses: list[ProjectUse]) -> list[bytes]:
    """The one project of `uses` as JSON, in pieces; empty without any. It is taken out."""
    return _encode(uses.pop()) if uses else [b"{}"]


def _encode(use: ProjectUse) -> list[bytes]:
    """`g_slot_seconds` and `slot_seconds` are the exact sums, clipped to the asked span.

    Kernels are made JSON and let go one at a time, and joined in pieces: so that a hundred thousand
    take little memory, and no step of it holds up everybody else.
    """
    told = {
        "domain_name": use.domain,
        "g_id": str(use.project_id),
        "g_name": use.name,
        "g_slot_seconds": unit_seconds(use.products),
    }
    kernels = [*reversed(use.kernels)]
    del use
    sums: dict[str, int | float] = dict.fromkeys(_SUMMED, 0)
    devices: set[str] = set()
    pieces: list[bytes] = []
    while kernels:
        batch = [_kernel_object(kernels.pop()) for _ in range(min(len(kernels), _PIECE_KERNELS))]
        for one in batch:
            for field, summed in _SUMMED.items():
                sums[field] += one[summed]
            devices.update(one["device_type"])
        # Without the brackets of the list that it is.
        pieces += (msgspec.json.encode(batch)[1:-1], b",")
    summed_up = {field: _number(total) for field, total in sums.items()}
    head = msgspec.json.encode({**told, **summed_up, "g_device_type": sorted(devices)})
    return [head[:-1], b',"c_infos":[', *pieces[:-1], b"]}"]


def point_object(point: Point) -> dict[str, Any]:
    values = {
        name: {"value": point.values[name], "unit_hint": unit} for name, unit in METRICS.items()
    }
    return {"date": int(point.at.timestamp()), **values}


def _kernel_object(use: KernelUse) -> dict[str, Any]:
    facts = use.last.read_facts()
    return {
        "id": str(use.last.kernel_id),
        "session_id": str(use.last.session_id),
        "container_id": facts["container_id"] or "",
        "domain_name": facts["domain_name"],
        "group_id": str(use.last.project_id),
        "group_name": facts["project_name"],
        "name": facts["session_name"],
        "access_key": facts["access_key"],
        "email": facts["email"],
        "full_name": facts["full_name"],
        "agent": facts["agent"],
        **_amounts(use.last.amounts),
        **_measured(facts.get("last_use") or {}),
        "shared_memory": facts["shared_memory"],
        "disk_allocated": 0,
        "slot_seconds": unit_seconds(use.products),
        "used_time": str(use.microseconds * MICROSECOND),
        # Begun days, as they are counted on a bill.
        "used_days": -(-use.microseconds // _DAY),
        "nfs": "",
        "image_id": facts["image"],
        "image_name": facts["image"],
        "created_at": facts["created_at"],
        # A text also for what has not ended: clients put it behind other texts.
        "terminated_at": facts["ended_at"] or "",
        "status": facts["status"],
        "status_info": facts["status_info"],
        "status_changed": facts["status_changed_at"],
        "status_history": {},
        "cluster_mode": facts["cluster_mode"],
    }


def _amounts(amounts: Mapping[str, int]) -> dict[str, Any]:
    """What it held, in cores, bytes and devices."""
    cores = _units(amounts.get(CPU, 0))
    devices = {slot: amount for slot, amount in amounts.items() if is_accelerator(slot) and amount}
    memories = (amount for slot, amount in amounts.items() if is_accelerator_memory(slot))
    return {
        "cpu_allocated": cores,
        "smp": cores,
        "mem_allocated": memory_of(amounts),
        "gpu_allocated": _units(sum(devices.values())),
        "gpu_mem_allocated": sum(memories) // MILLIONTHS,
        "device_type": sorted({slot.partition(".")[0] for slot in devices}),
    }


def _measured(use: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds of CPU and bytes, as last measured."""
    return {
        "cpu_used": _number(int(use.get("cpu_used_milliseconds", 0)) / 1000),
        "mem_used": int(use.get("memory_bytes_max", use.get("memory_bytes", 0))),
        "disk_used": int(use.get("scratch_bytes", 0)),
        "io_read": int(use.get("io_read_bytes", 0)),
        "io_write": int(use.get("io_write_bytes", 0)),
    }


def _units(millionths: int) -> int | float:
    return _number(millionths / MILLIONTHS)


def _number(value: float) -> int | float:
    """Whole numbers without a point, others to the millionth."""
    return int(value) if value == int(value) else round(value, 6)
