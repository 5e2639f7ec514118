"""`task`: what the server works on, and how far it is."""

import sys
from typing import TYPE_CHECKING, Final

import click

from backendai.client.cli.options import output_option
from backendai.client.cli.render import (
    CLEAR_LINE,
    Output,
    cell,
    count_columns,
    cut,
    is_terminal,
    show_rows,
)

if TYPE_CHECKING:
    from backendai.client.client import Client
    from backendai.client.tasks import TaskNews

HEAD: Final = ("task_id", "name", "status")
STEPS: Final = ("current_progress", "total_progress")
TAIL: Final = ("created_at", "message")


@click.command("list")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0)
@output_option
def list_tasks(limit: int, offset: int, output: Output) -> None:
    """List background tasks, the newest first.

    Example: backendai task list --limit 5
    """
    from msgspec import structs

    from backendai.client.cli.connect import with_client

    page = with_client(lambda client: client.tasks.list(limit=limit, offset=offset))
    rows = [
        structs.asdict(task) | {"progress": f"{task.current_progress}/{task.total_progress}"}
        for task in page.items
    ]
    progress = ("progress",) if output == "table" else STEPS
    show_rows(rows, (*HEAD, *progress, *TAIL), output)


@click.command()
@click.argument("task_id")
def watch(task_id: str) -> None:
    """Show how far a task is until it is over. Ctrl-C leaves it running.

    Exits with 1 when it fails or is cancelled.

    Example: backendai task watch 0f9c8a4e-5a1b-4c3d-8e2f-6a7b8c9d0e1f
    """
    from backendai.client.cli.connect import with_client

    raise SystemExit(with_client(lambda client: follow_task(client, task_id)))


@click.command()
@click.argument("task_id")
def cancel(task_id: str) -> None:
    """Cancel a task; one that is over stays as it is.

    Example: backendai task cancel 0f9c8a4e-5a1b-4c3d-8e2f-6a7b8c9d0e1f
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.tasks.cancel(task_id))


async def follow_task(client: "Client", task_id: str) -> int:
    """Its progress on stderr for who looks, its last words on stdout. Returns an exit code."""
    from backendai.client.cli.exits import FAILED, OK
    from backendai.client.tasks import DONE

    is_seen = is_terminal(sys.stderr)
    last: TaskNews | None = None
    try:
        async for news in client.tasks.follow(task_id):
            last = news
            if is_seen:
                sys.stderr.write(f"{CLEAR_LINE}{cut(_line_of(news), count_columns() - 1)}")
                sys.stderr.flush()
    finally:
        if is_seen:
            sys.stderr.write(CLEAR_LINE)
            sys.stderr.flush()
    is_done = last is not None and last.status == DONE
    click.echo(cell(last.message) if last else "It is gone.", err=not is_done)
    return OK if is_done else FAILED


def _line_of(news: "TaskNews") -> str:
    steps = f"{news.current_progress}/{news.total_progress} " if news.total_progress else ""
    return steps + cell(news.message)
