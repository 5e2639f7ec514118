"""`error-log`: what went wrong in front of users, as their programs told it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from backendai.client.cli.consent import do_to_each
from backendai.client.cli.lazy import LazyGroup
from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, show_rows

if TYPE_CHECKING:
    from backendai.client.client import Client
    from backendai.client.error_logs import ErrorLog

_HERE: Final = "backendai.client.cli.error_log"
SEVERITIES: Final = ("critical", "error", "warning", "info", "debug")
SEEN: Final = ("log_id", "created_at", "severity", "source", "message")
PAGE_SIZE: Final = 100

error_log = LazyGroup(
    "error-log",
    {
        "list": (f"{_HERE}:list_all", "List error logs."),
        "add": (f"{_HERE}:add", "Tell of an error."),
        "clear": (f"{_HERE}:clear", "List error logs no more."),
    },
    help="""What went wrong in front of a user, as their program told it.

    Users have their own, domain admins those of the domain, superadmins all.

    \b
    Examples:
      backendai error-log list
      backendai error-log add --source nightly "The data set is gone"
      backendai error-log clear 0f9c8a4e-5a1b-4c3d-8e2f-6a7b8c9d0e1f
    """,
)


@click.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--mark-read", "is_marking", is_flag=True, help="They count as read afterwards.")
@output_option
def list_all(limit: int, is_marking: bool, output: Output) -> None:
    """List error logs that were not cleared, the newest first.

    Example: backendai error-log list --limit 5 --output json
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.error_logs import ErrorLog

    async def work(client: "Client") -> "list[ErrorLog]":
        logs: list[ErrorLog] = []
        size, number = min(PAGE_SIZE, limit), 1
        while len(logs) < limit:
            page = await client.error_logs.list(page=number, page_size=size, is_marking=is_marking)
            logs += page.logs
            number += 1
            if not page.logs or len(logs) >= page.count:
                break
        return logs[:limit]

    logs = with_client(work)
    if not logs and output == "table":
        click.echo("No error logs.", err=True)
        return
    columns = SEEN if output == "table" else ErrorLog.__struct_fields__
    show_rows([_row(log) for log in logs], columns, output)


@click.command()
@click.argument("message")
@click.option("--source", default="backendai", show_default=True, help="Which program tells it.")
@click.option(
    "--severity", type=click.Choice(SEVERITIES), default="error", show_default=True, help="How bad."
)
@click.option("--traceback", type=click.File(), help="File with the trace; - is stdin.")
def add(message: str, source: str, severity: str, traceback: Any) -> None:
    """Tell of an error by MESSAGE.

    Example: backendai error-log add --source nightly "The data set is gone"
    """
    from backendai.client.cli.connect import with_client

    more = {"traceback": traceback.read()} if traceback else {}
    with_client(
        lambda client: client.error_logs.add(message, source=source, severity=severity, **more)
    )


@click.command()
@click.argument("log_ids", metavar="IDS", nargs=-1, required=True)
def clear(log_ids: tuple[str, ...]) -> None:
    """List the error logs IDS no more.

    Example: backendai error-log clear 0f9c8a4e-5a1b-4c3d-8e2f-6a7b8c9d0e1f
    """
    do_to_each(log_ids, lambda client, log_id: client.error_logs.clear(log_id))


def _row(log: "ErrorLog") -> dict[str, Any]:
    """With the time as everywhere else."""
    from msgspec import structs

    at = datetime.fromtimestamp(log.created_at, UTC).isoformat(timespec="seconds")
    return {**structs.asdict(log), "created_at": at}
