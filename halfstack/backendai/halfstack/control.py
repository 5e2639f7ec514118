"""The other end of the supervisor's socket, and how a supervisor is started."""

import asyncio
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from .faults import SetupFault
from .places import Layout
from .services import Service, Standing, encode_services
from .supervisor import EXIT_ALREADY_RUNNING

_START_SECONDS = 15.0
_RESTARTS_MAX = 4
# The guard is a few hundred kilobytes of shell that starts the supervisor again when it is
# killed; it ends with the supervisor when that one ends by itself.
_GUARD = f"""
while :; do
  "$@"; status=$?
  case $status in 0|{EXIT_ALREADY_RUNNING}) exit $status;; esac
  sleep 0.2
done
"""


async def ask(layout: Layout, order: dict[str, Any]) -> dict[str, Any]:
    """One order, one reply. Raises ConnectionError or FileNotFoundError without a supervisor."""
    reader, writer = await asyncio.open_unix_connection(
        str(layout.control_socket), limit=4 * 1024 * 1024
    )
    try:
        writer.write(json.dumps(order).encode() + b"\n")
        line = await reader.readline()
    finally:
        writer.close()
    if not line:
        raise ConnectionError("the supervisor hung up")
    reply: dict[str, Any] = json.loads(line)
    if "problem" in reply:
        raise SetupFault(reply["problem"], "run `./bai down` and `./bai up`")
    return reply


async def find_standings(layout: Layout) -> list[Standing] | None:
    """What the supervisor says about its services; None when there is no supervisor."""
    with suppress(ConnectionError, FileNotFoundError):
        reply = await ask(layout, {"do": "status"})
        return [Standing(**row) for row in reply["services"]]
    return None


async def start_supervisor(layout: Layout, *, dies_with_parent: bool = False) -> None:
    """Make sure that one runs and answers. A dead one's services are adopted by the new."""
    layout.make()
    if await find_standings(layout) is not None:
        return
    argv = [sys.executable, "-m", "backendai.halfstack.supervisor", str(layout.root)]
    guard = ["setpriv", "--pdeathsig", "KILL"] if dies_with_parent else _guard()
    pid = _spawn([*guard, *argv], layout)
    deadline = time.monotonic() + _START_SECONDS
    while await find_standings(layout) is None:
        if time.monotonic() > deadline:
            raise SetupFault(
                f"the supervisor (pid {pid}) does not answer on {layout.control_socket}",
                f"read {layout.log_file('supervisor')}",
            )
        await asyncio.sleep(0.01)


def _guard() -> list[str]:
    return ["/bin/sh", "-c", _GUARD, "bai-guard"]


def _spawn(argv: list[str], layout: Layout) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    log = str(layout.log_file("supervisor"))
    return os.posix_spawnp(
        argv[0],
        argv,
        {**os.environ, "BAI_INSTANCE": layout.instance},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigdef=[signal.SIGINT, signal.SIGTERM],
    )


async def ensure_services(layout: Layout, services: Iterable[Service]) -> None:
    await ask(layout, {"do": "ensure", "services": encode_services(services)})


async def stop_services(layout: Layout, names: Iterable[str]) -> None:
    await ask(layout, {"do": "stop", "names": list(names)})


async def shut_down(layout: Layout) -> None:
    """Stop every service, then the supervisor; returns when its process has ended."""
    await ask(layout, {"do": "shutdown"})
    while True:
        if not _is_lock_held(layout):
            return
        await asyncio.sleep(0.01)


def _is_lock_held(layout: Layout) -> bool:
    with (layout.run / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


async def await_healthy(
    layout: Layout,
    names: Iterable[str],
    seconds: float,
    say: Callable[[str], None] | None = None,
) -> None:
    """Wait until all answer. Raises SetupFault naming those that do not, and their logs."""
    waiting = set(names)
    deadline = time.monotonic() + seconds
    restarts: dict[str, int] = {}
    while True:
        standings = {s.name: s for s in await find_standings(layout) or ()}
        sick = [n for n in sorted(waiting) if n not in standings or not standings[n].healthy]
        if not sick:
            return
        if say is not None:
            say(", ".join(sick))
        for name in sick:
            if name in standings:
                restarts.setdefault(name, standings[name].restarts)
        failing = [n for n in restarts if standings[n].restarts > restarts[n] + _RESTARTS_MAX]
        if failing:
            raise _keeps_ending(layout, failing[0], standings[failing[0]])
        if time.monotonic() > deadline:
            raise _never_healthy(layout, sick, standings, seconds)
        await asyncio.sleep(0.02)


def _keeps_ending(layout: Layout, name: str, standing: Standing) -> SetupFault:
    """What a program says last is nearly always why it ended."""
    log = layout.log_file(name)
    last = log.read_text(errors="replace").strip().splitlines()[-3:] if log.exists() else []
    said = "".join(f"\n    {line}" for line in last)
    return SetupFault(
        f"{name} {standing.problem} again and again; its last words:{said}", f"read {log}"
    )


def _never_healthy(
    layout: Layout, sick: list[str], standings: dict[str, Standing], seconds: float
) -> SetupFault:
    told = [
        f"{name} ({standings[name].problem or standings[name].state})"
        if name in standings
        else f"{name} (not known to the supervisor)"
        for name in sick
    ]
    logs = ", ".join(str(layout.log_file(name)) for name in sick)
    return SetupFault(f"not healthy after {seconds:g} s: {', '.join(told)}", f"read {logs}")
