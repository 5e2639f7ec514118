"""`backendai mgr clear-history`: forget sessions that ended long ago."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from backendai.manager.console import (
    ask_consent,
    config_option,
    read_settings,
    with_database,
    yes_option,
)

if TYPE_CHECKING:
    from .model import Retention


def _read_retention(_ctx: click.Context, _param: click.Parameter, text: str) -> Retention:
    from .model import parse_retention

    try:
        return parse_retention(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("clear-history")
@click.option(
    "--retention",
    "-r",
    default="1yr",
    show_default=True,
    callback=_read_retention,
    help="How long ended sessions are kept, such as 30d, 2mo or 1yr.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@yes_option
@config_option
@click.pass_context
def clear_history(
    ctx: click.Context,
    retention: Retention,
    dry_run: bool,
    is_sure: bool,
    config_path: Path | None,
) -> None:
    """Delete sessions that ended long ago, with their kernels, moves and events.

    What they used stays on record and on bills. Managers may go on running meanwhile.

    \b
    Examples:
      backendai mgr clear-history --retention 2mo --dry-run
      backendai mgr clear-history --retention 1yr --yes
    """
    from datetime import UTC, datetime

    from .store import clear, measure

    settings = read_settings(ctx, config_path)
    try:
        before = retention.cutoff(datetime.now(UTC))
    except (ValueError, OverflowError):
        raise click.ClickException("--retention reaches back before the calendar begins") from None
    old = with_database(
        settings, lambda database: database.read(lambda connection: measure(connection, before))
    )
    when = f"{before:%Y-%m-%d %H:%M} UTC"
    if not old.sessions:
        click.echo(f"no session ended before {when}")
        return
    told = f"{old.sessions} sessions with {old.kernels} kernels that ended before {when}"
    click.echo(f"{told}; the first one ended {old.oldest:%Y-%m-%d %H:%M}", err=True)
    if dry_run:
        return
    ask_consent("Delete them?", is_sure=is_sure)
    counts = with_database(settings, lambda database: clear(database, before))
    for table, count in sorted(counts.items()):
        click.echo(f"{table}: {count} deleted")
