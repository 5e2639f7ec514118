"""What a node's report says, in Prometheus' terms. PURE but for `reading_of`."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

from backendai.common.contracts.agent import AgentReport, DeviceReport, KernelReport
from backendai.common.metrics import Family, Reading, Rows, gauge

from .ledger import LIVE_STATES


def reading_of(make_report: Callable[[], AgentReport]) -> Reading:
    """The report of the time."""

    async def read() -> list[Family]:
        return list(families_of(make_report()))

    return read


def families_of(report: AgentReport) -> Iterator[Family]:
    live = [kernel for kernel in report.kernels if kernel.state in LIVE_STATES]
    states = Counter(kernel.state.value for kernel in report.kernels)
    yield gauge(
        "agent_engine_up", "Whether the engine answers", [], [([], report.engine_reachable)]
    )
    yield gauge(
        "agent_halted", "Whether it holds back stopping containers", [], [([], bool(report.halted))]
    )
    yield gauge("agent_cpu_percent", "Of all cores together", [], [([], report.cpu_percent)])
    yield gauge("agent_memory_used_bytes", "Of the node", [], [([], report.memory_used_bytes)])
    yield gauge("agent_images", "Images that the node has", [], [([], len(report.images))])
    yield gauge(
        "agent_kernels",
        "Kernels on the node",
        ["state"],
        [([state], count) for state, count in sorted(states.items())],
    )
    labels = ["path"]
    yield gauge(
        "disk_total_bytes",
        "Of a file system of the node",
        labels,
        [([disk.path], disk.total_bytes) for disk in report.disks],
    )
    yield gauge(
        "disk_free_bytes",
        "What may still be written there",
        labels,
        [([disk.path], disk.free_bytes) for disk in report.disks],
    )
    capacity = [([slot], float(amount)) for slot, amount in sorted(report.capacity.items())]
    yield gauge("agent_slot_capacity", "What may be given to kernels", ["slot"], capacity)
    yield gauge("agent_slot_held", "What kernels hold", ["slot"], _held(live))
    yield from _uses(live)
    yield from _devices(report.devices)


def _held(kernels: Iterable[KernelReport]) -> Rows:
    held: dict[str, Fraction] = {}
    for kernel in kernels:
        for slot, amount in kernel.slots.items():
            held[slot] = held.get(slot, Fraction(0)) + Fraction(amount)
    return [([slot], float(amount)) for slot, amount in sorted(held.items())]


def _uses(kernels: Iterable[KernelReport]) -> Iterator[Family]:
    uses = [([kernel.session_id, kernel.kernel_id], kernel.use) for kernel in kernels if kernel.use]
    labels = ["session", "kernel"]
    yield gauge(
        "kernel_cpu_percent", "Of one core", labels, [(who, use.cpu_percent) for who, use in uses]
    )
    yield gauge(
        "kernel_memory_bytes", "Memory", labels, [(who, use.memory_bytes) for who, use in uses]
    )
    yield gauge(
        "kernel_processes", "Processes", labels, [(who, use.processes) for who, use in uses]
    )


def _devices(devices: Iterable[DeviceReport]) -> Iterator[Family]:
    labels = ["slot", "device"]
    known = [([device.slot, device.device_id], device) for device in devices]
    yield gauge(
        "device_up",
        "Whether new kernels are put on an accelerator",
        labels,
        [(who, not device.problem) for who, device in known],
    )
    yield gauge(
        "device_held", "How much of it kernels hold", labels, [(w, float(d.held)) for w, d in known]
    )
    for field in ("utilisation_percent", "memory_used_bytes", "temperature_celsius", "power_watts"):
        rows = [(who, getattr(device, field)) for who, device in known]
        told = [(who, float(value)) for who, value in rows if value is not None]
        yield gauge(f"device_{field}", "As its driver tells it", labels, told)
