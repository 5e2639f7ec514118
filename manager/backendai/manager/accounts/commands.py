"""`backendai mgr fixture …` and `generate-…`: rows of accounts as files, and fresh keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backendai.manager.console import config_option, read_settings, with_database

if TYPE_CHECKING:
    from backendai.manager.db.engine import Database


@click.group()
def fixture() -> None:
    """First rows, as a file: table -> rows.

    \b
    Examples:
      backendai mgr fixture populate first-rows.json
      backendai mgr fixture dump --out rows.json
      backendai mgr fixture dump --with-secrets --out accounts.json
    """


@fixture.command("populate")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@config_option
@click.pass_context
def fixture_populate(ctx: click.Context, file: Path, config_path: Path | None) -> None:
    """Insert the rows of FILE (JSON: table -> rows) that are not there yet."""
    import json

    from backendai.common.secretfile import load_secret_key

    from .fixture import check_fixture, load_fixture
    from .secretbox import SecretBox

    settings = read_settings(ctx, config_path)
    try:
        rows = check_fixture(json.loads(file.read_text("utf-8")))
    except ValueError as error:
        raise click.ClickException(f"{file} is not JSON: {error}") from None
    box = SecretBox(load_secret_key(settings.manager.secret_key_file))

    async def load(database: Database) -> dict[str, int]:
        return await database.transact(lambda connection: load_fixture(connection, rows, box))

    for table, count in with_database(settings, load).items():
        click.echo(f"{table}: {count} added")


@fixture.command("dump")
@click.option("--out", type=click.Path(path_type=Path), help="File to make; else stdout.")
@click.option(
    "--with-secrets", is_flag=True, help="Keypairs with their secret keys and password hashes too."
)
@config_option
@click.pass_context
def fixture_dump(
    ctx: click.Context, out: Path | None, with_secrets: bool, config_path: Path | None
) -> None:
    """Write policies, presets, accounts, resource groups and images as a file for `populate`.

    Sessions and other records, dotfiles, SSH key pairs and registries are not in it. A file with
    secrets may be read by you alone.
    """
    import json

    from backendai.common.secretfile import load_secret_key

    from .dump import dump_rows
    from .secretbox import SecretBox

    if with_secrets and out is None:
        raise click.UsageError("Secrets are written to a file alone: name one with --out.")
    settings = read_settings(ctx, config_path)
    box = SecretBox(load_secret_key(settings.manager.secret_key_file)) if with_secrets else None
    rows = with_database(
        settings,
        lambda database: database.transact(lambda connection: dump_rows(connection, box)),
    )
    text = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        _write_new(out, text)


def _write_new(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.ClickException(f"cannot make {path}: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


@click.command("generate-keypair")
def generate_keypair() -> None:
    """Make an access key and a secret key, for a fixture. Nothing is stored."""
    from backendai.common.ids import SystemIds, new_access_key, new_secret_key

    ids = SystemIds()
    click.echo(f"access key: {new_access_key(ids)}\nsecret key: {new_secret_key(ids)}")


@click.command("generate-secret-key")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write.")
def generate_secret_key(out: Path) -> None:
    """Make the key that seals secret keys in the database. An existing file is kept."""
    from backendai.common.secretfile import load_secret_key, write_secret_key

    if out.exists():
        load_secret_key(out)
        click.echo(f"kept {out}")
    else:
        write_secret_key(out)
        click.echo(f"wrote {out}")
