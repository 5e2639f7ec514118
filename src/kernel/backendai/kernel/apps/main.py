"""Starts one app on the socket that the runner listens on for it, and tells when it serves."""

import asyncio
import importlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backendai.kernel.runner.environment import restore_preload

USAGE: Final = "usage: NAME LISTENER[,LISTENER…] READY RUN_DIR WORK_DIR"
BAD_USAGE: Final = 2
APPS: Final = {
    "ttyd": "backendai.kernel.apps.ttyd",
    "sshd": "backendai.kernel.apps.sshd",
    "files": "backendai.kernel.apps.files",
}


@dataclass(frozen=True)
class Situation:
    """What an app is given; `environ` is that of the user's programs."""

    run_dir: Path
    work_dir: Path
    environ: dict[str, str]


Close = Callable[[], Awaitable[None]]
Serve = Callable[[socket.socket, Situation], Awaitable[Close]]


def main(argv: Sequence[str]) -> int:
    """Serve until SIGTERM; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    try:
        name, given, ready, run_dir, work_dir = argv
        serve = find_app(name)
    except (ValueError, KeyError):
        sys.stderr.write(f"{USAGE}\n")
        return BAD_USAGE
    situation = Situation(Path(run_dir), Path(work_dir), restore_preload(os.environ))
    listeners = [socket.socket(fileno=int(one)) for one in given.split(",")]
    asyncio.run(live(serve, listeners, int(ready), situation))
    return 0


def find_app(name: str) -> Serve:
    """Only what the app needs is imported. Raises KeyError."""
    # TLS is for whoever is in front; without it the start takes less.
    vars(sys)["modules"]["ssl"] = None
    serve: Serve = importlib.import_module(APPS[name]).serve
    return serve


async def live(
    serve: Serve, listeners: Sequence[socket.socket], ready: int, situation: Situation
) -> None:
    loop, ending = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    closes = [await serve(listener, situation) for listener in listeners]
    os.write(ready, b"\n")
    os.close(ready)
    await ending.wait()
    for close in closes:
        await close()
