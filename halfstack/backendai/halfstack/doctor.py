"""Checks of the machine, as data: what is looked at, what to do when it is not right.

A check only looks. Installing what is missing is `install_missing`, as root, by apt-get.
"""

import asyncio
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .config import HalfstackSettings
from .faults import SetupFault
from .places import Layout
from .ports import is_port_free
from .probes import run_probe
from .processes import find_recorded
from .services import Probe

Severity = Literal["required", "engine", "advice"]
_GIB = 1024**3
_DISK_BYTES_MIN = 2 * _GIB
_FILES_MIN = 1024
_SANE_EPOCH = 1_735_689_600  # 2025-01-01: a clock before that breaks signatures and TLS.


@dataclass(frozen=True)
class Machine:
    """What checks may ask about."""

    layout: Layout
    settings: HalfstackSettings


@dataclass(frozen=True)
class Finding:
    name: str
    is_ok: bool
    severity: Severity
    told: str
    fix: str = ""
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """`probe` returns (is it right, what was seen). "engine" matters only to our own Docker."""

    name: str
    probe: Callable[[Machine], tuple[bool, str]]
    fix: str
    severity: Severity = "required"
    packages: tuple[str, ...] = field(default=())


def examine(machine: Machine) -> list[Finding]:
    """Every check once. A check that cannot look counts as failed."""
    return [_run_check(check, machine) for check in CHECKS]


def is_sound(findings: Sequence[Finding]) -> bool:
    return all(finding.is_ok for finding in findings if finding.severity == "required")


def list_missing_packages(findings: Sequence[Finding]) -> list[str]:
    found = {package for finding in findings if not finding.is_ok for package in finding.packages}
    return sorted(found)


def can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_missing(packages: Sequence[str], say: Callable[[str], None]) -> None:
    """Install Debian packages. Raises SetupFault with apt's last words."""
    say(f"installing Debian packages: {' '.join(packages)}")
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    done = _run_apt(install)
    if done.returncode != 0:
        # The lists of a fresh machine are empty or old.
        _run_apt(["apt-get", "update", "-q"])
        done = _run_apt(install)
    if done.returncode != 0:
        raise SetupFault(
            f"apt-get could not install {' '.join(packages)}: {done.stdout.strip()[-500:]}",
            "install them by hand, then run `./bai up` again",
        )


def _run_apt(argv: list[str]) -> subprocess.CompletedProcess[str]:
    # No service may be started by an installation: ours are started by our supervisor.
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    return subprocess.run(
        argv,
        check=False,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run_check(check: Check, machine: Machine) -> Finding:
    try:
        is_ok, told = check.probe(machine)
    except (OSError, subprocess.SubprocessError, ValueError, SetupFault) as error:
        is_ok, told = False, f"cannot be checked: {error}"
    if is_ok:
        return Finding(check.name, True, check.severity, told)
    return Finding(check.name, False, check.severity, told, check.fix, check.packages)


def _check_python(machine: Machine) -> tuple[bool, str]:
    return sys.version_info >= (3, 11), f"Python {platform.python_version()}"


def _check_engine(machine: Machine) -> tuple[bool, str]:
    from .engine import find_engine

    if machine.settings.engine.backend == "process":
        return True, "sandboxed processes, as configured"
    engine = asyncio.run(find_engine(machine.layout, machine.settings.engine.docker_host))
    return engine.backend == "docker", engine.reason


def _check_cgroups(machine: Machine) -> tuple[bool, str]:
    top = Path("/sys/fs/cgroup")
    if (top / "cgroup.controllers").exists():
        controllers = set((top / "cgroup.controllers").read_text().split())
        version = "version 2"
    else:
        controllers = {folder.name for folder in top.iterdir() if folder.is_dir()}
        version = "version 1"
    missing = {"cpu", "memory", "pids"} - controllers
    told = f"{version}, without {', '.join(sorted(missing))}" if missing else version
    return not missing, told


def _check_disk(machine: Machine) -> tuple[bool, str]:
    place = machine.layout.root
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    return free >= _DISK_BYTES_MIN, f"{free / _GIB:.1f} GiB free in {place}"


def _check_ports(machine: Machine) -> tuple[bool, str]:
    """Ports that nobody asked for are chosen anew when they are taken; a configured one is not."""
    port = machine.settings.manager.port
    if port is None:
        return True, "chosen by us"
    if find_recorded(machine.layout.run / "manager.process") is not None:
        return True, f"{port} is used by our manager"
    is_free = is_port_free(port)
    return is_free, f"{port} of `[manager] port` is {'free' if is_free else 'taken'}"


def _check_clock(machine: Machine) -> tuple[bool, str]:
    now = time.time()
    booted_at = now - time.clock_gettime(time.CLOCK_BOOTTIME)
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    return now > _SANE_EPOCH and booted_at > 0, shown


def _check_open_files(machine: Machine) -> tuple[bool, str]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return True, "unlimited"
    raisable = "may" if _has_capability(24) else "may not"
    return hard >= _FILES_MIN, f"{hard} open files; root {raisable} raise limits"


def _has_capability(number: int) -> bool:
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> number & 1)


def _check_overlay(machine: Machine) -> tuple[bool, str]:
    has = "overlay" in Path("/proc/filesystems").read_text().split()
    return has, "overlay" if has else "no overlay: images take a copy per container (vfs)"


def _check_work_limit(machine: Machine) -> tuple[bool, str]:
    if os.geteuid() != 0:
        return False, "only root can limit the work files of sessions"
    if not os.access("/dev/loop-control", os.W_OK):
        return False, "no loop devices: work files of sessions have no limit"
    has = shutil.which("mkfs.ext4") is not None
    return has, "possible ([container] scratch-size)" if has else "mkfs.ext4 is not installed"


def _check_user_namespaces(machine: Machine) -> tuple[bool, str]:
    argv = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "true"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=10)
    return done.returncode == 0, done.stderr.strip() or "allowed"


def _check_iptables(machine: Machine) -> tuple[bool, str]:
    if shutil.which("iptables") is None:
        return False, "not installed"
    if os.geteuid() != 0:
        return True, "installed"
    done = subprocess.run(
        ["iptables", "-w", "-t", "nat", "-S"],
        check=False,
        capture_output=True,
        text=True,
        timeout=10,
    )
    return done.returncode == 0, done.stderr.strip().splitlines()[0] if done.stderr else "works"


def _check_etcd(machine: Machine) -> tuple[bool, str]:
    if machine.settings.external.etcd:
        return True, "configured from outside"
    from .stores import find_etcd

    binary, warning = find_etcd()
    return not warning, warning or str(binary)


def _check_system_docker(machine: Machine) -> tuple[bool, str]:
    """A socket without permission is worth a word of its own: the commonest first mistake."""
    socket = Path("/var/run/docker.sock")
    if not socket.exists():
        return True, "no system-wide daemon"
    if not os.access(socket, os.W_OK):
        return False, f"no permission to use {socket}"
    problem = asyncio.run(run_probe(Probe("http", str(socket), path="/_ping")))
    return not problem, problem or "answers"


def _need(program: str) -> Callable[[Machine], tuple[bool, str]]:
    def probe(machine: Machine) -> tuple[bool, str]:
        found = shutil.which(program)
        return found is not None, found or "not installed"

    return probe


CHECKS: tuple[Check, ...] = (
    Check("python", _check_python, "install Python 3.11 or newer"),
    Check("clock", _check_clock, "set the clock: signatures carry the time"),
    Check("disk", _check_disk, "free some disk space: 2 GiB are needed"),
    Check("ports", _check_ports, "stop what listens there, or set `[manager] port` in bai.toml"),
    Check("open files", _check_open_files, "raise the hard limit of open files (ulimit -Hn)"),
    Check("cgroups", _check_cgroups, "mount the cgroup controllers cpu, memory and pids"),
    Check(
        "user namespaces",
        _check_user_namespaces,
        "sysctl kernel.unprivileged_userns_clone=1, or set BAI_POSTGRES",
        "required" if os.geteuid() == 0 else "advice",
        ("util-linux",),
    ),
    Check(
        "docker access",
        _check_system_docker,
        "add yourself to the group docker (usermod -aG docker $USER), or run as root",
        "advice",
    ),
    Check("dockerd", _need("dockerd"), "apt-get install docker.io", "engine", ("docker.io",)),
    Check(
        "containerd", _need("containerd"), "apt-get install containerd", "engine", ("containerd",)
    ),
    Check("ip", _need("ip"), "apt-get install iproute2", "engine", ("iproute2",)),
    Check("iptables", _check_iptables, "apt-get install iptables", "engine", ("iptables",)),
    Check("overlay", _check_overlay, "modprobe overlay", "advice"),
    Check(
        "engine",
        _check_engine,
        "run as root to have a private Docker daemon; else sessions are sandboxed processes",
        "advice",
    ),
    Check(
        "work limit",
        _check_work_limit,
        "run as root with loop devices and e2fsprogs, or let the disk be the limit",
        "advice",
        ("e2fsprogs",),
    ),
    Check("bubblewrap", _need("bwrap"), "apt-get install bubblewrap", "advice", ("bubblewrap",)),
    Check(
        "mmdebstrap", _need("mmdebstrap"), "apt-get install mmdebstrap", "advice", ("mmdebstrap",)
    ),
    Check(
        "busybox", _need("busybox"), "apt-get install busybox-static", "advice", ("busybox-static",)
    ),
    Check("etcd", _check_etcd, "apt-get install etcd-server", "advice", ("etcd-server",)),
)
