"""`backendai mgr audit …`: who changed what."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from backendai.manager.console import config_option, output_option, read_settings, with_database


def _read_time(_ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime | None:
    from .rest import parse_time

    try:
        return parse_time(text) if text is not None else None
    except ValueError:
        raise click.BadParameter("write a time like 2026-01-31T12:00:00+00:00") from None


@click.group()
def audit() -> None:
    """The log of changes: domains, projects, users, keypairs, and what they may.

    A * stands for anything.

    \b
    Examples:
      backendai mgr audit list
      backendai mgr audit list --action 'user.*' --email '*@example.com'
      backendai mgr audit list --target-kind user --target-id someone@example.com
      backendai mgr audit list --since 2026-01-31 --output json
    """


@audit.command("list")
@click.option("--action", help="Such as user.modify.")
@click.option("--target-kind", help="Such as user, keypair, project or domain.")
@click.option("--target-id", help="A user's email, an access key, a project's id, or a name.")
@click.option("--email", help="Who did it.")
@click.option("--access-key", help="With which keypair it was done.")
@click.option("--domain", help="The domain of what was changed.")
@click.option("--request-id", help="The request that did it.")
@click.option("--since", callback=_read_time, help="No earlier than this time (UTC).")
@click.option("--until", callback=_read_time, help="Before this time (UTC).")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0, show_default=True)
@output_option
@config_option
@click.pass_context
def audit_list(
    ctx: click.Context,
    /,
    limit: int,
    offset: int,
    output: str,
    config_path: Path | None,
    **filters: str | datetime | None,
) -> None:
    """The changes, newest first."""
    import json
    from typing import Any, cast

    from .model import Wanted
    from .render import entries_table, entry_object
    from .store import list_entries

    wanted = Wanted(**cast(dict[str, Any], filters))
    settings = read_settings(ctx, config_path)
    entries, count = with_database(
        settings,
        lambda database: database.read(
            lambda connection: list_entries(connection, wanted, limit, offset)
        ),
    )
    if output == "json":
        items = [entry_object(entry) for entry in entries]
        click.echo(json.dumps({"items": items, "total_count": count}, indent=2))
    else:
        click.echo("\n".join(entries_table(entries)))
        if count > offset + len(entries):
            click.echo(f"{offset + len(entries)} of {count}; --offset shows more", err=True)
