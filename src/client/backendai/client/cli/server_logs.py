"""`admin logs`: what a manager logged lately."""

from typing import Any, Final

import click

from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, show_rows

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
COLUMNS: Final = ("time", "level", "event", "fields")


@click.command()
@click.option(
    "--level",
    type=click.Choice(LEVELS, case_sensitive=False),
    default="INFO",
    show_default=True,
    help="The least severe that is shown.",
)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@output_option
def logs(level: str, limit: int, output: Output) -> None:
    """Show the latest log records of the manager that answers, the newest last.

    They are kept in its memory, without secrets, since its start. Answered requests are not among
    them.

    \b
    Examples:
      backendai admin logs --level WARNING
      backendai admin logs --limit 500 --output json
    """
    from msgspec import structs

    from backendai.client.cli.connect import with_client

    log = with_client(lambda client: client.cluster.log(level=level.upper(), limit=limit))
    rows = [structs.asdict(record) for record in log.items]
    if output == "table":
        rows = [{**row, "fields": _told(row["fields"])} for row in rows]
        click.echo(f"of {log.manager}", err=True)
    show_rows(rows, COLUMNS if output == "table" else (*COLUMNS, "logger"), output)


def _told(fields: dict[str, Any]) -> str:
    """Without the trace, which no line holds."""
    return " ".join(f"{name}={value}" for name, value in fields.items() if name != "traceback")
