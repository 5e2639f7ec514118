"""Shells and other programs of the user on a terminal of their own."""

import asyncio
import fcntl
import os
import pty
import shutil
import struct
import sys
import termios
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TERM: Final = "xterm-256color"
SIDE_MAX: Final = 2000


@dataclass(frozen=True)
class Size:
    """Of a terminal, in characters."""

    rows: int
    columns: int

    @classmethod
    def within_bounds(cls, rows: int, columns: int) -> "Size":
        return cls(min(max(rows, 1), SIDE_MAX), min(max(columns, 1), SIDE_MAX))


def find_shell(environ: Mapping[str, str]) -> list[str]:
    """The user's choice, bash, sh, or the bundle's where the image has none.

    Raises FileNotFoundError.
    """
    search_path = environ.get("PATH", "")
    for name in (environ.get("SHELL", ""), "bash", "sh", "/bin/sh"):
        found = shutil.which(name, path=search_path) if name else None
        if found:
            return [found]
    busybox = Path(sys.executable).with_name("busybox")
    if os.access(busybox, os.X_OK):
        return [str(busybox), "sh"]
    raise FileNotFoundError("the image has no shell and the bundle was built without busybox")


def make_shell_environ(
    environ: Mapping[str, str], shell: Sequence[str], term: str = TERM
) -> dict[str, str]:
    return {**environ, "TERM": term, "COLORTERM": "truecolor", "SHELL": shell[0]}


async def spawn_on_terminal(
    argv: Sequence[str], environ: Mapping[str, str], work_dir: Path, size: Size
) -> tuple[Process, int]:
    """The process, leader of its session, and our end of its terminal; raises OSError."""
    ours, theirs = pty.openpty()
    try:
        resize(ours, size)
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environ,
            cwd=work_dir,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    os.set_blocking(ours, False)
    return process, ours


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def resize(terminal: int, size: Size) -> None:
    """The programs on it are told by SIGWINCH when it is another size than before."""
    packed = struct.pack("HHHH", size.rows, size.columns, 0, 0)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, packed)
