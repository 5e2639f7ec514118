"""What kernels and the node use, read from cgroup files and /proc, never from the engine's API."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from backendai.common.contracts.agent import DiskReport, KernelState, ResourceUse
from backendai.common.faults import Fault

from .backends.backend import Whereabouts
from .disks import read_disks
from .ledger import Ledger
from .node import Node
from .relay.lines import Key, Traffic

STATS_PERIOD_SECONDS: Final = 5.0
SCRATCH_PERIOD_SECONDS: Final = 60.0
_NANO_PER_MILLI: Final = 1_000_000
_CGROUP_ROOT: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a container; sizes in bytes."""

    cpu_nanoseconds: int = 0
    memory_bytes: int = 0
    memory_bytes_max: int = 0
    io_read_bytes: int = 0
    io_write_bytes: int = 0
    network_received_bytes: int = 0
    network_sent_bytes: int = 0
    processes: int = 0


@dataclass(frozen=True, slots=True)
class NodeLoad:
    cpu_percent: float = 0.0
    memory_used_bytes: int = 0
    disks: Sequence[DiskReport] = ()


@dataclass(slots=True)
class _Watched:
    """A kernel being measured: its cgroup folders by controller, and the last sample."""

    kernel_id: str
    whereabouts: Whereabouts
    folders: Mapping[str, Path]
    sample: Sample
    sampled_at: float
    memory_bytes_max: int = 0
    scratch_bytes: int = 0
    scratch_sized_at: float = float("-inf")


class Meter:
    """Samples every running kernel at each step, and keeps the node's load.

    `traffic_of` tells what the apps of a kernel have moved, `places` are on disks of the node that
    must not fill up, besides the one that has the images.
    """

    def __init__(
        self,
        node: Node,
        ledger: Ledger,
        traffic_of: Callable[[Key], Traffic],
        places: Sequence[Path] = (),
    ) -> None:
        self._node = node
        self._ledger = ledger
        self._traffic_of = traffic_of
        self._places = tuple(places)
        self._image_root: Path | None = None
        self._watched: dict[str, _Watched] = {}
        self._ticks: tuple[int, int] = (0, 0)
        self.load = NodeLoad()

    async def step(self) -> None:
        running = {
            report.container_id: (report.kernel_id, report.generation)
            for report in self._ledger.kernels()
            if report.state is KernelState.RUNNING and report.container_id
        }
        self._watched = {key: one for key, one in self._watched.items() if key in running}
        for container_id, key in running.items():
            await self._measure(container_id, key)
        ticks, used = await self._node.threads.run(read_node)
        disks = await self._node.threads.run(read_disks, await self._list_places())
        self.load = NodeLoad(_busy_percent(self._ticks, ticks), used, disks)
        self._ticks = ticks

    async def _list_places(self) -> tuple[Path, ...]:
        if self._image_root is None:
            try:
                self._image_root = await self._node.backend.image_root()
            except Fault:
                # The engine is away: it is asked again at the next step.
                return self._places
        return (*self._places, self._image_root)

    async def size_scratch(self) -> None:
        """How much kernels keep at home. Takes as long as there are files, which may be millions:
        nothing else waits for it."""
        due = self._node.clock.monotonic() - SCRATCH_PERIOD_SECONDS
        for watched in list(self._watched.values()):
            if watched.scratch_sized_at <= due:
                work = self._node.scratch.work_dir(watched.kernel_id)
                watched.scratch_bytes = await self._node.threads.run(size_of, work)
                watched.scratch_sized_at = self._node.clock.monotonic()

    async def _measure(self, container_id: str, key: Key) -> None:
        kernel_id, now = key[0], self._node.clock.monotonic()
        watched = self._watched.get(container_id)
        if watched is None:
            watched = await self._begin(container_id, kernel_id, now)
            if watched is None:
                return
        sample = await self._node.threads.run(read_sample, watched.folders, watched.whereabouts.pid)
        at = self._node.clock.now().timestamp()
        use = _use(watched, sample, now, at)
        self._ledger.note_use(kernel_id, with_traffic(use, self._traffic_of(key)))
        watched.sample, watched.sampled_at = sample, now

    async def _begin(self, container_id: str, kernel_id: str, now: float) -> _Watched | None:
        """None when it is not running any more, or the engine is away: there is a next time."""
        try:
            whereabouts = await self._node.backend.locate(container_id)
        except Fault:
            return None
        folders = await self._node.threads.run(find_cgroups, whereabouts.pid)
        watched = _Watched(kernel_id, whereabouts, folders, Sample(), now)
        self._watched[container_id] = watched
        return watched


def _use(watched: _Watched, sample: Sample, now: float, at: float) -> ResourceUse:
    """`now` is monotonic, `at` the time of day."""
    elapsed = (now - watched.sampled_at) * 1e9
    spent = sample.cpu_nanoseconds - watched.sample.cpu_nanoseconds
    has_rate = elapsed > 0 and watched.sample.cpu_nanoseconds > 0
    peak = max(watched.memory_bytes_max, sample.memory_bytes_max, sample.memory_bytes)
    watched.memory_bytes_max = peak
    return ResourceUse(
        sampled_at=round(at, 3),
        cpu_used_milliseconds=sample.cpu_nanoseconds / _NANO_PER_MILLI,
        cpu_percent=round(100 * spent / elapsed, 2) if has_rate else 0.0,
        memory_bytes=sample.memory_bytes,
        memory_bytes_max=peak,
        io_read_bytes=sample.io_read_bytes,
        io_write_bytes=sample.io_write_bytes,
        network_received_bytes=sample.network_received_bytes,
        network_sent_bytes=sample.network_sent_bytes,
        scratch_bytes=watched.scratch_bytes,
        processes=sample.processes,
    )


def with_traffic(use: ResourceUse, traffic: Traffic) -> ResourceUse:
    """PURE."""
    return replace(
        use,
        app_received_bytes=traffic.received_bytes,
        app_sent_bytes=traffic.sent_bytes,
        app_used_at=round(traffic.used_at, 3),
    )


def find_cgroups(
    pid: int, proc: Path = Path("/proc"), root: Path = _CGROUP_ROOT
) -> dict[str, Path]:
    """Folders of the process's cgroups by controller; `""` is the one of version 2."""
    folders: dict[str, Path] = {}
    for line in _lines(proc / str(pid) / "cgroup"):
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            folders[name] = root / name / path.lstrip("/") if name else root / path.lstrip("/")
    return folders


def read_sample(folders: Mapping[str, Path], pid: int, proc: Path = Path("/proc")) -> Sample:
    received, sent = read_network(_lines(proc / str(pid) / "net" / "dev"))
    read = _read_v1 if "memory" in folders else _read_v2
    found = read(folders)
    return Sample(**found, network_received_bytes=received, network_sent_bytes=sent)


def _read_v1(folders: Mapping[str, Path]) -> dict[str, int]:
    memory, blkio = folders["memory"], folders.get("blkio", Path("/nonexistent"))
    statistics = _pairs(_lines(memory / "memory.stat"))
    cache = statistics.get("total_inactive_file", 0)
    read, written = _blkio(_lines(blkio / "blkio.throttle.io_service_bytes"))
    return {
        "cpu_nanoseconds": _number(folders.get("cpuacct", memory) / "cpuacct.usage"),
        "memory_bytes": max(0, _number(memory / "memory.usage_in_bytes") - cache),
        "memory_bytes_max": 0,
        "io_read_bytes": read,
        "io_write_bytes": written,
        "processes": _number(folders.get("pids", memory) / "pids.current"),
    }


def _read_v2(folders: Mapping[str, Path]) -> dict[str, int]:
    folder = folders.get("", Path("/nonexistent"))
    cache = _pairs(_lines(folder / "memory.stat")).get("inactive_file", 0)
    processor = _pairs(_lines(folder / "cpu.stat"))
    read, written = _io(_lines(folder / "io.stat"))
    return {
        "cpu_nanoseconds": processor.get("usage_usec", 0) * 1000,
        "memory_bytes": max(0, _number(folder / "memory.current") - cache),
        "memory_bytes_max": 0,
        "io_read_bytes": read,
        "io_write_bytes": written,
        "processes": _number(folder / "pids.current"),
    }


def read_network(lines: Iterable[str]) -> tuple[int, int]:
    """Bytes received and sent over all interfaces but lo, from /proc/<pid>/net/dev."""
    received = sent = 0
    for line in lines:
        name, colon, rest = line.partition(":")
        numbers = rest.split()
        if colon and name.strip() != "lo" and len(numbers) >= 9:
            received, sent = received + int(numbers[0]), sent + int(numbers[8])
    return received, sent


def read_node(proc: Path = Path("/proc")) -> tuple[tuple[int, int], int]:
    """((busy ticks, all ticks), bytes of memory that are not available)."""
    first = next(iter(_lines(proc / "stat")), "cpu 0 0 0 0 0")
    ticks = [int(word) for word in first.split()[1:9]]
    memory = {}
    for line in _lines(proc / "meminfo"):
        name, _, rest = line.partition(":")
        memory[name] = int(rest.split()[0]) * 1024
    idle = sum(ticks[3:5])
    used = memory.get("MemTotal", 0) - memory.get("MemAvailable", 0)
    return (sum(ticks) - idle, sum(ticks)), used


def size_of(folder: Path) -> int:
    """Bytes on the disk of everything below `folder`, links not followed."""
    total, folders = 0, [folder]
    while folders:
        try:
            entries = list(folders.pop().iterdir())
        except OSError:
            continue
        for entry in entries:
            try:
                total += entry.lstat().st_blocks * 512
            except OSError:
                continue
            if entry.is_dir() and not entry.is_symlink():
                folders.append(entry)
    return total


def _busy_percent(before: tuple[int, int], after: tuple[int, int]) -> float:
    passed = after[1] - before[1]
    return round(100 * (after[0] - before[0]) / passed, 2) if before[1] and passed > 0 else 0.0


def _blkio(lines: Iterable[str]) -> tuple[int, int]:
    words = [line.split() for line in lines]
    totals = {"Read": 0, "Write": 0}
    for one in words:
        if len(one) == 3 and one[1] in totals:
            totals[one[1]] += int(one[2])
    return totals["Read"], totals["Write"]


def _io(lines: Iterable[str]) -> tuple[int, int]:
    totals = {"rbytes": 0, "wbytes": 0}
    for line in lines:
        for word in line.split()[1:]:
            name, _, value = word.partition("=")
            if name in totals:
                totals[name] += int(value)
    return totals["rbytes"], totals["wbytes"]


def _pairs(lines: Iterable[str]) -> dict[str, int]:
    return {one[0]: int(one[1]) for line in lines if len(one := line.split()) == 2}


def _number(path: Path) -> int:
    text = next(iter(_lines(path)), "")
    return int(text) if text.strip().isdigit() else 0


def _lines(path: Path) -> list[str]:
    """The lines of a small system file; none when it, or its process, is gone."""
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
