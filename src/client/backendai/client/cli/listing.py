"""`ps`: what sessions there are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, show_rows

if TYPE_CHECKING:
    from backendai.client.client import Client

COLUMNS: Final = ("name", "id", "image", "type", "status", "status_info", "created_at")
PAGE_SIZE: Final = 100


@click.command()
@click.option("--all", "-a", "is_all", is_flag=True, help="Also those that ended.")
@click.option("--dead", "is_dead", is_flag=True, help="Only those that ended.")
@click.option("--format", "-f", "columns", help="Columns, such as name,status,result.")
@click.option("--filter", "condition", help="Condition, such as 'name == \"demo\"'.")
@click.option("--order", default="-created_at", show_default=True, help="Column to sort by.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, help="Show at most so many.")
@output_option
def ps(
    is_all: bool,
    is_dead: bool,
    columns: str | None,
    condition: str | None,
    order: str,
    limit: int,
    output: Output,
) -> None:
    """List sessions.

    \b
    Examples:
      backendai ps
      backendai ps --all --format name,status,result
      backendai ps --output json
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.results import DEAD, LIVE

    statuses = (*LIVE, *DEAD) if is_all else DEAD if is_dead else LIVE
    chosen = _read_columns(columns)

    async def work(client: "Client") -> list[dict[str, Any]]:
        return await _load_rows(client, statuses, condition, order, limit)

    rows = with_client(work)
    if not rows and output == "table":
        click.echo("No sessions.", err=True)
        return
    show_rows(rows, chosen, output)


def _read_columns(text: str | None) -> Sequence[str]:
    from backendai.client.sessions import ROW_FIELDS

    if text is None:
        return COLUMNS
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in ROW_FIELDS.split()]
    if unknown or not chosen:
        allowed = ", ".join(ROW_FIELDS.split())
        raise click.BadParameter(f"{', '.join(unknown) or 'nothing'}: choose among {allowed}.")
    return chosen


async def _load_rows(
    client: "Client", statuses: Sequence[str], condition: str | None, order: str, limit: int
) -> list[dict[str, Any]]:
    from msgspec import structs

    rows: list[dict[str, Any]] = []
    while len(rows) < limit:
        page = await client.sessions.list(
            statuses,
            limit=min(PAGE_SIZE, limit - len(rows)),
            offset=len(rows),
            filter=condition,
            order=order,
        )
        rows += map(structs.asdict, page.items)
        if not page.items or len(rows) >= page.total_count:
            break
    return rows
