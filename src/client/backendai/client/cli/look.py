"""`session info`, `why`, `history`, `events`, `logs`."""

from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, cell, show_lines, show_object, show_rows

if TYPE_CHECKING:
    from backendai.client.client import Client
    from backendai.client.results import Move, Scope, SessionEvent, SessionInfo, Why

MOVE_COLUMNS: Final = ("at", "after", "kernel", "status", "event", "why")
FACT_COLUMNS: Final = ("at", "kernel", "from", "to", "event", "reason", "detail")


@click.command()
@click.argument("session")
@output_option
def info(session: str, output: Output) -> None:
    """Show what SESSION is; `--output json` has all that is known.

    \b
    Examples:
      backendai session info demo
      backendai session info demo --output json
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.summary import info_lines

    async def work(client: "Client") -> tuple["SessionInfo", Sequence["Move"]]:
        found = await client.sessions.info(session)
        moves = await client.sessions.history(session) if output == "table" else ()
        return found, moves

    found, moves = with_client(work)
    if output == "table":
        show_lines(info_lines(found.facts, moves, datetime.now(UTC)))
    else:
        show_object(found.facts, output)


@click.command()
@click.argument("session")
@output_option
def why(session: str, output: Output) -> None:
    """Say why SESSION is in its status: one sentence, then the facts behind it.

    For one that waits: the rule that holds it back, what it needs, what there is, and on how many
    nodes each cause holds.

    Example: backendai session why demo
    """
    from msgspec import structs

    from backendai.client.cli.connect import with_client
    from backendai.client.cli.summary import why_lines

    async def work(client: "Client") -> tuple["Why", Sequence["Move"]]:
        answer = await client.sessions.why(session)
        moves = await client.sessions.history(session) if output == "table" else ()
        return answer, moves

    answer, moves = with_client(work)
    if output != "table":
        show_object(structs.asdict(answer), output)
        return
    sentence, facts = why_lines(answer, moves, datetime.now(UTC))
    click.echo(cell(sentence))
    show_lines(facts, indent=2)


@click.command()
@click.argument("session")
@click.option("--kernels", "with_kernels", is_flag=True, help="Also the moves of each container.")
@output_option
def history(session: str, with_kernels: bool, output: Output) -> None:
    """Show each move of SESSION, oldest first, how long after the one before, and its cause.

    JSON and CSV have every move of the session and of its kernels, with whole times.

    \b
    Examples:
      backendai session history demo
      backendai session history demo --kernels
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.summary import move_rows

    moves = with_client(lambda client: client.sessions.history(session))
    if output == "table":
        columns = MOVE_COLUMNS if with_kernels else [c for c in MOVE_COLUMNS if c != "kernel"]
        rows = move_rows(moves, datetime.now(UTC), with_kernels=with_kernels)
        show_rows(rows, columns, output)
    else:
        show_rows([_move_facts(move) for move in moves], FACT_COLUMNS, output)


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


def _move_facts(move: "Move") -> dict[str, Any]:
    return {
        "at": move.at,
        "kernel": move.kernel_id,
        "from": move.from_status,
        "to": move.to_status,
        "event": move.event,
        "reason": move.reason,
        "detail": move.detail,
    }


def _event_line(event: "SessionEvent", output: str) -> str:
    from msgspec import json

    if output == "json":
        return json.encode(event).decode()
    parts = [event.name, event.session_name, event.kernel_id, event.reason]
    code = f"exit code {event.exit_code}" if event.exit_code is not None else ""
    return "  ".join(filter(None, [*parts, code]))
