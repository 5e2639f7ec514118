"""Shows an execution as it runs: output where it belongs, prompts answered, Ctrl-C passed on."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import click

from backendai.client.cli.beside import run_beside
from backendai.client.cli.terminal import Terminal
from backendai.client.client import Client
from backendai.client.results import Batch, Step


async def run_shown(
    client: Client,
    session: str,
    terminal: Terminal,
    code: str = "",
    *,
    batch: Batch | None = None,
) -> int:
    """Runs code or commands, printing as it goes; gives the exit code.

    The first Ctrl-C interrupts the code, which may still print; the second leaves it alone.
    """
    steps = client.sessions.execute(session, code, batch=batch, on_input=terminal.answer)
    with _interruptions() as pressed:
        async with run_beside(_pass_on(pressed, client, session), "ctrl-c"):
            return await _print_steps(steps)


async def _print_steps(steps: AsyncGenerator[Step, None]) -> int:
    exit_code: int | None = None
    async with aclosing(steps):
        async for step in steps:
            exit_code = step.exit_code
            for kind, content in step.console:
                print_item(kind, content)
    return exit_code or 0


def print_item(kind: str, content: Any) -> None:
    """One printed item: text as it is; of media only what it is, because a terminal has no place
    for it."""
    if kind == "stdout":
        sys.stdout.write(str(content))
        sys.stdout.flush()
    elif kind == "stderr":
        sys.stderr.write(str(content))
        sys.stderr.flush()
    else:
        name = content[0] if kind == "media" and isinstance(content, list) else kind
        sys.stderr.write(f"[{name}, {len(str(content))} characters]\n")


async def _pass_on(pressed: asyncio.Semaphore, client: Client, session: str) -> None:
    await pressed.acquire()
    await client.sessions.interrupt(session)
    await pressed.acquire()
    raise click.Abort


@contextmanager
def _interruptions() -> Iterator[asyncio.Semaphore]:
    """Counts Ctrl-C in place of stopping us."""
    pressed = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)
    loop.add_signal_handler(signal.SIGINT, pressed.release)
    try:
        yield pressed
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
