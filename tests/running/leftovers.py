"""What an instance must not leave on the machine once it was purged."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil

from backendai.halfstack.places import Layout


def find_leftovers(home: Path) -> list[str]:
    """One line for each process, mount, bridge, control group and file of the instance."""
    layout = Layout(home)
    return [
        *_processes(home, layout.run),
        *_mounts(home),
        *_links(layout.instance),
        *_control_groups(layout.instance),
        *_files(home, layout.run),
    ]


def _processes(home: Path, run: Path) -> Iterator[str]:
    names = (str(home), str(run))
    for process in psutil.process_iter(["pid", "cmdline", "cwd", "status"]):
        words = [*(process.info["cmdline"] or ()), process.info["cwd"] or ""]
        if process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        if any(name in word for word in words for name in names):
            yield f"process {process.info['pid']}: {' '.join(words)[:200]}"


def _mounts(home: Path) -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if str(home) in line:
            yield f"mount {line.split()[4]}"


def _links(instance: str) -> Iterator[str]:
    shown = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True)
    yield from (f"network {line}" for line in shown.stdout.splitlines() if instance in line)


def _control_groups(instance: str) -> Iterator[str]:
    found = Path("/sys/fs/cgroup").glob(f"**/*bai-{instance}*")
    yield from (f"control group {path}" for path in found)


def _files(home: Path, run: Path) -> Iterator[str]:
    for place in {home, run}:
        if place.is_dir():
            yield from (f"file {path}" for path in place.rglob("*"))
