"""`terminal`: this terminal becomes a view of the shell in a session; lost, it is opened again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    import asyncio

    from backendai.client.apps.terminal import Terminal
    from backendai.client.client import Client

LEAVE: Final = b"\x1d"
RETRY_SECONDS: Final = 1.0
LOST_SECONDS_MAX: Final = 60.0
CHUNK_BYTES: Final = 65536
# To the upper left and clear: the server shows what there was once more.
_CLEAR: Final = b"\x1b[H\x1b[2J"
_SHELL_ENDED: Final = 1000


@click.command()
@click.argument("session")
@click.option("--name", default="main", show_default=True, help="Which of its shells.")
def terminal(session: str, name: str) -> None:
    """Use the shell of SESSION in this terminal. It runs on when you leave with Ctrl+], and coming
    back shows it as it was; several people may look at it at once.

    Example: backendai terminal demo
    """
    from backendai.client.cli.connect import with_client

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("This needs a terminal; use `backendai session exec` in scripts.")
    with raw_mode(sys.stdin.fileno()):
        said = with_client(lambda client: stay(client, session, name))
    click.echo(f"\n{said}", err=True)


async def stay(client: Client, session: str, name: str) -> str:
    """Until the shell ends or its user leaves; says which. Raises the fault that keeps it away for
    a minute, and each refusal at once."""
    from backendai.client.faults import AppClosed
    from backendai.common.clock import SystemClock
    from backendai.common.faults import Fault

    clock = SystemClock()
    lost_at: float | None = None
    while True:
        try:
            rows, cols = _size()
            async with client.apps.terminal(session, name=name, rows=rows, cols=cols) as view:
                os.write(1, _CLEAR)
                lost_at = None
                if await _show(view):
                    return "left; the shell runs on"
                if view.closing.code == _SHELL_ENDED:
                    return "the shell has ended"
                raise AppClosed(view.closing.reason or "The connection broke.")
        except Fault as fault:
            lost_at = lost_at or clock.monotonic()
            is_hopeless = clock.monotonic() - lost_at > LOST_SECONDS_MAX
            if is_hopeless or not fault.kind.retryable:
                raise
        await clock.sleep(RETRY_SECONDS)


async def _show(view: Terminal) -> bool:
    """Both ways, until the view is closed or its user leaves; whether it was the user."""
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    typed: asyncio.Queue[bytes | None] = asyncio.Queue(64)
    resized = asyncio.Event()
    loop.add_reader(0, _read_keys, typed)
    loop.add_signal_handler(signal.SIGWINCH, resized.set)
    try:
        async with asyncio.TaskGroup() as group:
            down = group.create_task(_print(view), name="terminal.down")
            up = group.create_task(_type(view, typed), name="terminal.up")
            sizes = group.create_task(_follow_size(view, resized), name="terminal.size")
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            has_left = up.done() and not down.done()
            for task in (up, down, sizes):
                task.cancel()
    except* ConnectionError:
        has_left = False
    finally:
        loop.remove_reader(0)
        loop.remove_signal_handler(signal.SIGWINCH)
    return has_left


def _read_keys(typed: asyncio.Queue[bytes | None]) -> None:
    """What comes faster than it is sent is dropped, as a full line would."""
    data = os.read(0, CHUNK_BYTES)
    if not typed.full():
        typed.put_nowait(None if not data or LEAVE in data else data)


async def _type(view: Terminal, typed: asyncio.Queue[bytes | None]) -> None:
    while (data := await typed.get()) is not None:
        await view.type(data)


async def _print(view: Terminal) -> None:
    async for data in view:
        written = 0
        while written < len(data):
            written += os.write(1, data[written:])


async def _follow_size(view: Terminal, resized: asyncio.Event) -> None:
    while True:
        await resized.wait()
        resized.clear()
        await view.resize(*_size())


def _size() -> tuple[int, int]:
    """Rows and columns."""
    size = os.get_terminal_size()
    return max(1, min(size.lines, 1000)), max(1, min(size.columns, 1000))


@contextmanager
def raw_mode(descriptor: int) -> Iterator[None]:
    """Keys come one by one and unseen; as before in the end."""
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
