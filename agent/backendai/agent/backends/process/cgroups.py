"""Limits of sandboxes by cgroup, of version 1 or 2, wherever this process may make them.

Without the right to, only rlimits bound a kernel: `is_usable` says so.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from backendai.agent.resources.plugin import Limits

PERIOD_MICROSECONDS: Final = 100_000
_V1_CONTROLLERS: Final = ("memory", "pids", "cpu", "cpuset", "cpuacct", "blkio")
_V2_CONTROLLERS: Final = ("memory", "pids", "cpu", "cpuset", "io")
_PARENT: Final = "backendai"


class Cgroups:
    def __init__(self, root: Path = Path("/sys/fs/cgroup")) -> None:
        self._root = root
        self._is_v2 = (root / "cgroup.controllers").exists()
        places = [root] if self._is_v2 else [root / name for name in ("memory", "pids")]
        self.is_usable = os.geteuid() == 0 and all(os.access(place, os.W_OK) for place in places)

    def make(self, name: str, limits: Limits, pids_max: int) -> list[Path]:
        """Make the cgroups of a sandbox. Returns the files that a process enters them by."""
        if not self.is_usable:
            return []
        folders = self._folders(name)
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        if self._is_v2:
            self._enable()
            _write_all(folders[""], _v2_values(limits, pids_max))
        else:
            self._limit_v1(folders, limits, pids_max)
        return [folder / "cgroup.procs" for folder in folders.values()]

    def has_killed(self, name: str) -> bool:
        """Whether the kernel killed something in it for want of memory."""
        folders = self._folders(name)
        path = (
            folders[""] / "memory.events"
            if self._is_v2
            else folders["memory"] / "memory.oom_control"
        )
        with suppress(OSError):
            words = dict(line.split(" ", 1) for line in path.read_text().splitlines())
            return int(words.get("oom_kill", "0")) > 0
        return False

    def remove(self, name: str) -> bool:
        """Remove the cgroups of a sandbox. False while one is still busy with what just ended."""
        folders = list(self._folders(name).values())
        for folder in folders:
            with suppress(OSError):
                folder.rmdir()
        return not any(folder.exists() for folder in folders)

    def _folders(self, name: str) -> dict[str, Path]:
        if self._is_v2:
            return {"": self._root / _PARENT / name}
        found = [one for one in _V1_CONTROLLERS if (self._root / one).is_dir()]
        return {one: self._root / one / _PARENT / name for one in found}

    def _enable(self) -> None:
        words = " ".join(f"+{one}" for one in _V2_CONTROLLERS)
        for folder in (self._root, self._root / _PARENT):
            with suppress(OSError):
                (folder / "cgroup.subtree_control").write_text(words)

    def _limit_v1(self, folders: Mapping[str, Path], limits: Limits, pids_max: int) -> None:
        if "cpuset" in folders:
            # A new cpuset is empty, and nothing can enter an empty one.
            for folder in (folders["cpuset"].parent, folders["cpuset"]):
                _inherit(folder, "cpuset.cpus")
                _inherit(folder, "cpuset.mems")
        for controller, values in _v1_values(limits, pids_max).items():
            if controller in folders:
                _write_all(folders[controller], values)


def _v1_values(limits: Limits, pids_max: int) -> dict[str, dict[str, str]]:
    memory = str(limits.memory_bytes) if limits.memory_bytes is not None else ""
    quota = limits.cpu_quota
    return {
        "memory": {
            "memory.limit_in_bytes": memory,
            "memory.memsw.limit_in_bytes": memory,
        },
        "pids": {"pids.max": str(pids_max)},
        "cpu": {
            "cpu.cfs_period_us": str(PERIOD_MICROSECONDS) if quota is not None else "",
            "cpu.cfs_quota_us": str(int(quota * PERIOD_MICROSECONDS)) if quota is not None else "",
        },
        "cpuset": {"cpuset.cpus": _cores(limits)},
    }


def _v2_values(limits: Limits, pids_max: int) -> dict[str, str]:
    quota = limits.cpu_quota
    return {
        "memory.max": str(limits.memory_bytes) if limits.memory_bytes is not None else "",
        "memory.swap.max": "0" if limits.memory_bytes is not None else "",
        "pids.max": str(pids_max),
        "cpu.max": f"{int(quota * PERIOD_MICROSECONDS)} {PERIOD_MICROSECONDS}" if quota else "",
        "cpuset.cpus": _cores(limits),
    }


def _cores(limits: Limits) -> str:
    return ",".join(map(str, limits.cpuset)) if limits.cpuset else ""


def _write_all(folder: Path, values: Mapping[str, str]) -> None:
    """Write what is not empty. A file that is not there is a limit this kernel does not know."""
    for name, value in values.items():
        path = folder / name
        if value and path.exists():
            path.write_text(value)


def _inherit(folder: Path, name: str) -> None:
    if not (folder / name).read_text().strip():
        (folder / name).write_text((folder.parent / name).read_text())
