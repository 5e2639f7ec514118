"""Code typed line by line into a session, each statement run when it is whole."""

import signal
import sys
from codeop import compile_command
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from backendai.client.cli.console import run_shown
from backendai.client.cli.terminal import Terminal
from backendai.client.client import Client

FIRST_PROMPT = ">>> "
NEXT_PROMPT = "... "


async def run_typed(client: Client, session: str) -> int:
    """Runs what is typed until Ctrl-D; the session and its state stay."""
    await client.sessions.require_running(session)
    # Importing it gives `input` editing and a history; an interpreter may be without it.
    with suppress(ImportError):
        import readline  # noqa: F401
    sys.stdout.write(f"In {session}. Ctrl-C interrupts code, Ctrl-D leaves; the session stays.\n")
    terminal = Terminal()
    while (code := _read_statement()) is not None:
        if code.strip():
            await run_shown(client, session, terminal, code)
    sys.stdout.write("\n")
    return 0


def is_whole(code: str) -> bool:
    """Whether a statement ends here. What is no Python counts as whole: the session judges it."""
    try:
        return compile_command(code) is not None
    except (SyntaxError, ValueError, OverflowError):
        return True


def _read_statement() -> str | None:
    """Lines until they make a statement; empty after Ctrl-C, None at the end of input."""
    lines: list[str] = []
    while not lines or not is_whole("\n".join(lines)):
        try:
            with _plain_interrupts():
                lines.append(input(NEXT_PROMPT if lines else FIRST_PROMPT))
        except KeyboardInterrupt:
            sys.stdout.write("\n")
            return ""
        except EOFError:
            return None
    return "\n".join(lines)


@contextmanager
def _plain_interrupts() -> Iterator[None]:
    """Ctrl-C raises at the prompt: the event loop's own handling would wait for its end."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
