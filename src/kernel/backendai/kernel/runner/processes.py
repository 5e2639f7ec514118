"""Starting user processes and taking leave of them: each in a session of its own, each reaped here.

The runner may be process 1 of its container, so whatever child ends is reaped, known or not.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

OOM_SCORE = b"500"


@dataclass(frozen=True)
class Child:
    """A started process, leader of its session; `ended` gives its code, 128 + n for signal n."""

    pid: int
    ended: asyncio.Future[int]

    def signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class Processes:
    """All children of the runner. One instance per runner; asyncio's own child watchers are not
    used beside it.
    """

    def __init__(self) -> None:
        self._live: dict[int, tuple[Child, subprocess.Popen[bytes]]] = {}

    def start(self) -> None:
        """Begin to reap, on the running loop."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    def spawn(
        self,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        work_dir: Path,
        stdout: int,
        stderr: int,
        pass_fds: Sequence[int] = (),
    ) -> Child:
        """Start a process without input and with no descriptor of ours but the given; raises
        OSError.
        """
        popen = subprocess.Popen(
            argv,
            env=environ,
            cwd=work_dir,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        prefer_for_oom_kill(popen.pid)
        child = Child(popen.pid, asyncio.get_running_loop().create_future())
        self._live[popen.pid] = (child, popen)
        return child

    async def end(self, grace_seconds: float) -> None:
        """SIGTERM to all, a grace, SIGKILL to those that are left and to what they left behind."""
        children = [child for child, _ in self._live.values()]
        for child in children:
            child.signal_group(signal.SIGTERM)
            child.signal_group(signal.SIGCONT)
        if children:
            await asyncio.wait([child.ended for child in children], timeout=grace_seconds)
        for child in children:
            child.signal_group(signal.SIGKILL)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._note_end(pid, os.waitstatus_to_exitcode(status))

    def _note_end(self, pid: int, code: int) -> None:
        known = self._live.pop(pid, None)
        if known is None:
            return
        child, popen = known
        popen.returncode = code
        if not child.ended.done():
            child.ended.set_result(code if code >= 0 else 128 - code)


def prefer_for_oom_kill(pid: int) -> None:
    """Out of memory, the user's process should end and the runner stay to tell of it."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_bytes(OOM_SCORE)
