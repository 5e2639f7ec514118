"""`backendai mgr schema …`: the database's tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from backendai.manager.console import config_option, patient, read_settings, with_database

if TYPE_CHECKING:
    from .engine import Database
    from .revision import Schema


@click.group()
def schema() -> None:
    """The database's tables."""


@schema.command("upgrade")
@config_option
@click.pass_context
def schema_upgrade(ctx: click.Context, config_path: Path | None) -> None:
    """Bring the database to this release."""
    from .schema import upgrade

    done = with_database(patient(read_settings(ctx, config_path)), upgrade)
    click.echo(f"ran {', '.join(done)}" if done else "up to date")


@schema.command("show")
@config_option
@click.pass_context
def schema_show(ctx: click.Context, config_path: Path | None) -> None:
    """The database's revision, and this release's."""
    from .revision import REVISION, current_schema

    current = with_database(read_settings(ctx, config_path), current_schema)
    at = f"{current.revision}, for releases from {current.oldest} on" if current else "empty"
    click.echo(f"database: {at}\nrelease: {REVISION}")


@schema.command("oneshot")
@config_option
@click.pass_context
def schema_oneshot(ctx: click.Context, config_path: Path | None) -> None:
    """Make all tables of this release in an empty database.

    A database that has them, or later ones that serve this release, is left as it is; an older
    one is not upgraded, which `upgrade` does.
    """
    from .revision import REVISION, current_schema, find_misfit
    from .schema import upgrade

    async def make(database: Database) -> Schema | None:
        before = await current_schema(database)
        if before is None:
            await upgrade(database)
        return before

    before = with_database(read_settings(ctx, config_path), make)
    if before and (misfit := find_misfit(before, REVISION)):
        raise click.ClickException(f"{misfit.told}: {misfit.fix}")
    click.echo("up to date" if before else f"made {REVISION}")
