"""`session commit` and `commit-status`."""

from typing import TYPE_CHECKING

import click

from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, cell, show_object

if TYPE_CHECKING:
    from backendai.client.client import Client


@click.command()
@click.argument("session")
@click.option("--name", help="What to call the image; without it the session's name and the time.")
@click.option("--detach", "is_detached", is_flag=True, help="Print the task's id and do not wait.")
def commit(session: str, name: str | None, is_detached: bool) -> None:
    """Make an image of SESSION, which runs on, and show the progress until it is made.

    It holds what the session wrote outside of /home/work and /tmp. Only its owner sees it and
    starts sessions of it. Ctrl-C leaves the task running.

    \b
    Examples:
      backendai session commit demo --name tools:1
      backendai session create --name again --image tools:1
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.images.task import follow_task

    async def work(client: "Client") -> int:
        begun = await client.sessions.commit(session, name)
        task_id = begun.task_id or ""
        if is_detached:
            click.echo(task_id)
            return 0
        # Who interrupts the command, or loses the connection, goes on with `task watch`.
        click.echo(f"task {task_id}", err=True)
        return await follow_task(client, task_id)

    raise SystemExit(with_client(work))


@click.command("commit-status")
@click.argument("session")
@output_option
def commit_status(session: str, output: Output) -> None:
    """Say whether an image is being made of SESSION: `ready`, or `ongoing` and which.

    Example: backendai session commit-status demo
    """
    from msgspec import structs

    from backendai.client.cli.connect import with_client

    found = with_client(lambda client: client.sessions.commit_status(session))
    if output == "table":
        click.echo(" ".join(cell(text) for text in (found.status, found.image or "") if text))
    else:
        show_object(structs.asdict(found), output)
