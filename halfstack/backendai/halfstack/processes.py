"""Processes that outlive their parent: started detached, recorded, recognised again.

A process is known by its pid, its start time and the boot it belongs to, so a pid that was
given to somebody else later is never mistaken for ours.
"""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TCP_LISTEN = "0A"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# The shell writes its own identity and then becomes the service: pid and start time stay the
# same over exec, so there is no moment at which the process runs and no record exists.
_LAUNCH = (
    'cd "$2" && read -r boot </proc/sys/kernel/random/boot_id && read -r stat </proc/$$/stat '
    '&& printf "%s\\n%s\\n%s\\n" "$boot" "$1" "$stat" >"$0" && shift 2 && exec "$@"'
)


@dataclass(frozen=True)
class Process:
    pid: int
    start_ticks: int
    boot_id: str
    digest: str


def launch(
    argv: Sequence[str],
    *,
    record: Path,
    digest: str,
    cwd: Path,
    log: Path,
    env: Mapping[str, str],
) -> int:
    """Start `argv` in a session of its own, output appended to `log`. Returns the pid."""
    log.parent.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    return os.posix_spawn(
        "/bin/sh",
        ["/bin/sh", "-c", _LAUNCH, str(record), digest, str(cwd), *argv],
        dict(env),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
    )


def find_recorded(record: Path) -> Process | None:
    """The process of a record when it still runs, None otherwise."""
    try:
        boot_id, digest, stat = record.read_text().splitlines()[:3]
        process = Process(int(stat.split()[0]), _start_ticks(stat), boot_id, digest)
    except (FileNotFoundError, ValueError, IndexError):
        return None
    return process if is_alive(process) else None


def is_alive(process: Process) -> bool:
    if process.boot_id != _BOOT_ID.read_text().strip():
        return False
    try:
        stat = Path(f"/proc/{process.pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return _start_ticks(stat) == process.start_ticks and _state(stat) not in "ZX"


async def wait_exit(process: Process) -> int | None:
    """Wait for the end, of a child or an adopted process. Returns the status of a child."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        if not is_alive(process):
            return reap(process.pid)
        loop.add_reader(handle, ended.set)
        await ended.wait()
        return reap(process.pid)
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def stop_process(process: Process, stop_signal: int, patience_seconds: float) -> None:
    """Ask to stop, wait, then kill. The process is gone when this returns."""
    for number, patience in ((stop_signal, patience_seconds), (signal.SIGKILL, 10.0)):
        if not is_alive(process):
            break
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await wait_exit(process)
    reap(process.pid)


def listens_on(process: Process, port: int) -> bool:
    """Whether the process, or another of its session, listens on this TCP port.

    True as well where the system does not let us look: then only the probe can tell.
    """
    listening = _listening_inodes(port)
    return listening is None or any(
        listening & _socket_inodes(pid) for pid in _session_members(process.pid)
    )


def _listening_inodes(port: int) -> set[str] | None:
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(FileNotFoundError):
            for row in Path(table).read_text().splitlines()[1:]:
                fields = row.split()
                if fields[3] == _TCP_LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found or None


def _session_members(leader: int) -> list[int]:
    members = []
    for entry in Path("/proc").iterdir():
        with suppress(ValueError, ProcessLookupError, PermissionError):
            if os.getsid(int(entry.name)) == leader:
                members.append(int(entry.name))
    return members


def _socket_inodes(pid: int) -> set[str]:
    found: set[str] = set()
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def reap(pid: int) -> int | None:
    """The exit status of a child that has ended; None for others and for the living."""
    try:
        reaped, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if reaped else None


def _start_ticks(stat: str) -> int:
    return int(stat.rpartition(")")[2].split()[19])


def _state(stat: str) -> str:
    return stat.rpartition(")")[2].split()[0]
