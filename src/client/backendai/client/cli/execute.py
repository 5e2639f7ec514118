"""`session exec`."""

import shlex
import sys
from typing import TYPE_CHECKING

import click

from backendai.client.cli.dashes import CommandAfterDashes
from backendai.client.cli.options import read_script

if TYPE_CHECKING:
    from backendai.client.client import Client


@click.command("exec", cls=CommandAfterDashes)
@click.argument("session")
@click.option("-c", "--code", "snippets", multiple=True, help="Code to run; repeat it for more.")
@click.pass_context
def execute(ctx: click.Context, session: str, snippets: tuple[str, ...]) -> None:
    """Run code, or after `--` a command, in SESSION; exits with its exit code.

    Without either it runs what stdin has, and on a terminal line by line what you type. What the
    code prints is shown as it comes; Ctrl-C interrupts the code, twice leaves it. State is kept
    between snippets and between calls.

    \b
    Examples:
      backendai session exec demo -c 'x = 40' -c 'print(x + 2)'
      backendai session exec demo -- ls -l
      backendai session exec demo < train.py
      backendai session exec demo
    """
    from backendai.client.cli.connect import with_client

    command: list[str] = ctx.meta["command"]
    if snippets and command:
        raise click.UsageError("Give either code by -c or a command after --.")
    is_typed = not snippets and not command and sys.stdin.isatty() and sys.stdout.isatty()
    if not (snippets or command or is_typed):
        snippets = (_read_stdin(),)

    async def work(client: "Client") -> int:
        if is_typed:
            from backendai.client.cli.dialogue import run_typed

            return await run_typed(client, session)
        return await run_parts(client, session, snippets, command)

    ctx.exit(with_client(work))


def _read_stdin() -> str:
    code = read_script("stdin", sys.stdin.buffer.read())
    if not code.strip():
        raise click.UsageError("Give code by -c or on stdin, or a command after --.")
    return code


async def run_parts(
    client: "Client", session: str, snippets: tuple[str, ...], command: list[str]
) -> int:
    """Runs snippets one after the other until one fails, then the command if there is one."""
    from backendai.client.cli.console import run_shown
    from backendai.client.cli.terminal import Terminal
    from backendai.client.results import Batch

    terminal = Terminal()
    for code in snippets:
        exit_code = await run_shown(client, session, terminal, code)
        if exit_code:
            return exit_code
    if command:
        return await run_shown(client, session, terminal, batch=Batch(exec=shlex.join(command)))
    return 0
