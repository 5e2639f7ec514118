"""One machine: processes, mounts, a name and a network of its own.

Its first process is its power: killed, everything on the machine is gone in that moment.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from backendai.halfstack.engine import remove_tree
from tests.hosts.network import Bridge
from tests.running.stack import COMMAND, Done, run
from tests.running.waiting import until

BOOT: Final = Path(__file__).with_name("boot.sh")
# Whatever ends us ends the first process of a machine, and that ends the rest.
_POWER: Final = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc"),
    "--kill-child=KILL",
)


class Machine:
    """Nothing runs before `boot`. `number` is that of its cable, and of its address."""

    def __init__(self, name: str, number: int, folder: Path, bridge: Bridge) -> None:
        self.name = name
        self.number = number
        self.folder = folder
        self.address = bridge.address_of(number)
        self._bridge = bridge
        self._power: subprocess.Popen[bytes] | None = None
        self._first: psutil.Process | None = None
        folder.mkdir(mode=0o711)

    @property
    def is_up(self) -> bool:
        return self._first is not None and is_running(self._first)

    @property
    def pid(self) -> int:
        """Of its first process, as the outer machine counts."""
        assert self._first is not None, f"{self.name} is down"
        return self._first.pid

    def boot(self, what: Sequence[str] = ("sleep", "infinity")) -> None:
        """Power on, with `what` as its first process."""
        argv = [*_POWER, "/bin/sh", str(BOOT), self.name, *what]
        with (self.folder / "boot.log").open("ab") as log:
            self._power = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
        self._first = await_child(self._power.pid, f"{self.name} boots")
        self._bridge.plug(self.number, self.pid)

    def kill(self) -> None:
        """Pull the plug: every process is gone, what is on disk stays."""
        if self._power is None:
            return
        if self._first is not None and self._first.is_running():
            self._first.kill()
        self._power.wait()
        self._power = self._first = None
        self._bridge.unplug(self.number)

    def remove(self) -> None:
        """With its disk."""
        self.kill()
        remove_tree(self.folder)

    def command(self, *argv: str) -> list[str]:
        """What runs `argv` on the machine."""
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-u", "-p", "--", *argv]

    def run(self, *argv: str, seconds: float = 120.0, **more: Any) -> Done:
        """A command on the machine, to its end."""
        return run(self.command(*argv), self.environ, seconds, cwd=self.folder, **more)

    def ok(self, *argv: str, **more: Any) -> str:
        done = self.run(*argv, **more)
        assert done.code == 0, f"{self.name}: {' '.join(argv)}: exit {done.code}\n{done.both}"
        return done.out

    @property
    def environ(self) -> dict[str, str]:
        """Of a person on the machine, who knows nothing of the cluster."""
        path = f"{COMMAND.parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        kept = {name: text for name, text in os.environ.items() if name in ("HOME", "BAI_CACHE")}
        return {**kept, "PATH": path, "COLUMNS": "200"}


def is_running(process: psutil.Process) -> bool:
    """One that waits to be reaped by its parent has ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def await_child(pid: int, what: str) -> psutil.Process:
    """The process that a program which enters or makes name spaces has started in them."""

    def find() -> psutil.Process | None:
        children = psutil.Process(pid).children()
        return children[0] if children else None

    return until(find, what)
