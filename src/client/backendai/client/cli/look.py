"""`session info`, `why`, `history`, `events`, `logs`."""

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import click

from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, show_object, show_rows

if TYPE_CHECKING:
    from backendai.client.client import Client
    from backendai.client.results import Scope, SessionEvent

MOVE_COLUMNS: Final = ("at", "kernel", "from", "to", "event", "reason")


@click.command()
@click.argument("session")
@output_option
def info(session: str, output: Output) -> None:
    """Show what SESSION is.

    Example: backendai session info demo --output json
    """
    from backendai.client.cli.connect import with_client

    found = with_client(lambda client: client.sessions.info(session))
    show_object(found.facts, output)


@click.command()
@click.argument("session")
@output_option
def why(session: str, output: Output) -> None:
    """Say in one sentence why SESSION is in its status.

    Example: backendai session why demo
    """
    from msgspec import structs

    from backendai.client.cli.connect import with_client

    answer = with_client(lambda client: client.sessions.why(session))
    if output == "table":
        click.echo(f"{answer.status}: {answer.text}" if answer.text else answer.status)
    else:
        show_object(structs.asdict(answer), output)


@click.command()
@click.argument("session")
@output_option
def history(session: str, output: Output) -> None:
    """Show each move of SESSION's kernels, oldest first, and its cause.

    Example: backendai session history demo
    """
    from backendai.client.cli.connect import with_client

    moves = with_client(lambda client: client.sessions.history(session))
    rows = [
        {
            "at": move.at,
            "kernel": move.kernel_id,
            "from": move.from_status,
            "to": move.to_status,
            "event": move.event,
            "reason": move.reason,
            "detail": move.detail,
        }
        for move in moves
    ]
    show_rows(rows, MOVE_COLUMNS if output == "table" else [*MOVE_COLUMNS, "detail"], output)


@click.command()
@click.argument("session")
@click.option("--scope", type=click.Choice(["*", "session", "kernel"]), default="*")
@click.option("--until", help="Stop after this event, such as session_terminated.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table")
def events(session: str, scope: "Scope", until: str | None, output: str) -> None:
    """Follow what happens to SESSION from now on, until Ctrl-C.

    Example: backendai session events demo --until session_terminated
    """
    from backendai.client.cli.connect import with_client

    async def work(client: "Client") -> None:
        async with aclosing(client.sessions.events(session, scope=scope)) as stream:
            async for event in stream:
                click.echo(_event_line(event, output))
                if event.name == until:
                    return

    with_client(work)


@click.command()
@click.argument("session")
def logs(session: str) -> None:
    """Print what SESSION printed: live, and also after its end.

    Example: backendai session logs demo
    """
    from backendai.client.cli.connect import with_client

    click.echo(with_client(lambda client: client.sessions.logs(session)), nl=False)


def _event_line(event: "SessionEvent", output: str) -> str:
    from msgspec import json

    if output == "json":
        return json.encode(event).decode()
    parts = [event.name, event.session_name, event.kernel_id, event.reason]
    code = f"exit code {event.exit_code}" if event.exit_code is not None else ""
    return "  ".join(filter(None, [*parts, code]))
