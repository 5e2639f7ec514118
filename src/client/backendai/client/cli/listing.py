"""`ps`: what sessions there are."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, show_rows

if TYPE_CHECKING:
    from backendai.client.client import Client

COLUMNS: Final = ("name", "id", "image", "type", "status", "status_info", "created_at")
# What people see, in 80 letters for names and images of usual length.
SEEN_COLUMNS: Final = ("name", "image", "type", "status", "age", "slots")
WHY_COLUMNS: Final = ("name", "image", "status", "age", "why")
PAGE_SIZE: Final = 100


@click.command()
@click.option("--all", "-a", "is_all", is_flag=True, help="Also those that ended.")
@click.option("--dead", "is_dead", is_flag=True, help="Only those that ended.")
@click.option("--format", "-f", "columns", help="Columns, such as name,status,result.")
@click.option("--why", "with_why", is_flag=True, help="Also why each that waits does so.")
@click.option("--filter", "condition", help="Condition, such as 'name == \"demo\"'.")
@click.option("--order", default="-created_at", show_default=True, help="Column to sort by.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, help="Show at most so many.")
@output_option
def ps(
    is_all: bool,
    is_dead: bool,
    columns: str | None,
    with_why: bool,
    condition: str | None,
    order: str,
    limit: int,
    output: Output,
) -> None:
    """List sessions.

    JSON and CSV have whole ids and times; a table has them when asked for by --format.

    \b
    Examples:
      backendai ps
      backendai ps --why
      backendai ps --all --format name,status,result
      backendai ps --output json
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.results import DEAD, LIVE

    statuses = (*LIVE, *DEAD) if is_all else DEAD if is_dead else LIVE
    chosen = _read_columns(columns, output, with_why)

    async def work(client: "Client") -> list[dict[str, Any]]:
        return await _load_rows(client, statuses, condition, order, limit)

    rows = with_client(work)
    if not rows and output == "table":
        click.echo("No sessions.", err=True)
        return
    show_rows([_with_short_forms(row) for row in rows], chosen, output)


def _read_columns(text: str | None, output: Output, with_why: bool) -> Sequence[str]:
    from backendai.client.results import SessionRow

    if text is None:
        if output == "table":
            return WHY_COLUMNS if with_why else SEEN_COLUMNS
        return (*COLUMNS, "why") if with_why else COLUMNS
    known = (*SessionRow.__struct_fields__, "age", "slots", "why")
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen:
        allowed = ", ".join(known)
        raise click.BadParameter(
            f"{', '.join(unknown) or 'nothing'}: choose among {allowed}.", param_hint="'--format'"
        )
    return (*chosen, "why") if with_why and "why" not in chosen else chosen


def _with_short_forms(row: dict[str, Any]) -> dict[str, Any]:
    """With `age`, `slots` and `why`, which are made here out of what the server tells."""
    from backendai.client.cli.summary import read_mapping, short_reason
    from backendai.client.cli.units import read_moment, show_duration, show_slots

    begun, ended = read_moment(row["created_at"]), read_moment(row["terminated_at"])
    lasted = (ended or datetime.now(UTC)) - begun if begun else None
    return row | {
        "age": show_duration(lasted, units_max=1) if lasted else None,
        "slots": show_slots(read_mapping(row["requested_slots"] or row["occupying_slots"])) or None,
        "why": short_reason(read_mapping(row["status_data"])) or row["status_info"],
    }


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
