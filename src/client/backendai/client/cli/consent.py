"""Asking before something is gone for good, and doing one thing to several names."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from backendai.client.client import Client

yes_option = click.option("--yes", "-y", "is_sure", is_flag=True, help="Do not ask.")


def ask_consent(question: str, *, is_sure: bool) -> None:
    """Ends the command with 1 on a no. Without a terminal to ask on only `--yes` will do."""
    if is_sure:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody can be asked here: give --yes.")
    if not click.confirm(question, err=True):
        from backendai.client.cli.exits import FAILED

        click.echo("Nothing was changed.", err=True)
        raise SystemExit(FAILED)


def do_to_each(names: Sequence[str], work: Callable[["Client", str], Awaitable[object]]) -> None:
    """Tries all, prints those that went well and ends with the code of the first that failed."""
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.exits import OK, explain
    from backendai.common.faults import Fault

    async def run(client: "Client") -> int:
        code = OK
        for name in names:
            try:
                await work(client, name)
            except Fault as fault:
                code = code or explain(fault)
            else:
                click.echo(name)
        return code

    click.get_current_context().exit(with_client(run))
