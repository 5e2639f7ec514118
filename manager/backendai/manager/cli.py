"""`backendai mgr …`: start the manager, prepare its database, look into its stores."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from .db.engine import Database
    from .settings import ManagerSettings

T = TypeVar("T")


class _Group(click.Group):
    """Shows a fault as one message and exits with 1, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        from sqlalchemy.exc import SQLAlchemyError

        from backendai.common.faults import Fault

        try:
            return super().invoke(ctx)
        except SQLAlchemyError as error:
            # The statement and the trace behind it help nobody at a prompt.
            first = str(getattr(error, "orig", None) or error).partition("\n")[0]
            raise click.ClickException(f"the database refused: {first}") from None
        except Fault as fault:
            facts = "".join(f"\n  {key}: {value}" for key, value in fault.facts.items())
            mistakes = "mistakes" in fault.facts
            raise click.ClickException(str(fault) + ("" if mistakes else facts)) from None


@click.group(cls=_Group)
@click.option(
    "-f",
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="manager.toml; by default the one here, in ~/.config/backend.ai or /etc/backend.ai.",
)
@click.pass_context
def mgr(ctx: click.Context, config_path: Path | None) -> None:
    """Run and prepare the manager.

    \b
    Examples:
      backendai mgr schema upgrade
      backendai mgr fixture populate first-rows.json
      backendai mgr start-server
    """
    ctx.obj = config_path


def _settings(ctx: click.Context, config_path: Path | None = None) -> ManagerSettings:
    from backendai.common.settings.load import load_settings

    from .settings import ManagerSettings

    return load_settings(ManagerSettings, "manager", config_path or ctx.obj)


_config_option = click.option(
    "-f",
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="manager.toml to use.",
)


@mgr.command("start-server")
@_config_option
@click.pass_context
def start_server(ctx: click.Context, config_path: Path | None) -> None:
    """Serve the API and run the cluster until SIGTERM."""
    settings = _settings(ctx, config_path)
    # What is imported stays for ever: looking through it for garbage costs time now and later.
    gc.disable()
    from .app import run

    gc.freeze()
    gc.enable()
    sys.exit(run(settings))


@mgr.group()
def schema() -> None:
    """The database's tables."""


@schema.command("upgrade")
@_config_option
@click.pass_context
def schema_upgrade(ctx: click.Context, config_path: Path | None) -> None:
    """Bring the database to this release."""
    from .db.schema import upgrade

    done = _with_database(_settings(ctx, config_path), upgrade)
    click.echo(f"ran {', '.join(done)}" if done else "up to date")


@schema.command("show")
@_config_option
@click.pass_context
def schema_show(ctx: click.Context, config_path: Path | None) -> None:
    """The database's revision, and this release's."""
    from .db.revision import REVISION, current_revision

    current = _with_database(_settings(ctx, config_path), current_revision)
    click.echo(f"database: {current or 'empty'}\nrelease: {REVISION}")


@mgr.group()
def fixture() -> None:
    """First rows."""


@fixture.command("populate")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_config_option
@click.pass_context
def fixture_populate(ctx: click.Context, file: Path, config_path: Path | None) -> None:
    """Insert the rows of FILE (JSON: table -> rows) that are not there yet."""
    import json

    from .accounts.fixture import check_fixture, load_fixture
    from .accounts.secretbox import SecretBox, load_secret_key

    settings = _settings(ctx, config_path)
    try:
        rows = check_fixture(json.loads(file.read_text("utf-8")))
    except ValueError as error:
        raise click.ClickException(f"{file} is not JSON: {error}") from None
    box = SecretBox(load_secret_key(settings.manager.secret_key_file))

    async def load(database: Database) -> dict[str, int]:
        return await database.transact(lambda connection: load_fixture(connection, rows, box))

    for table, count in _with_database(settings, load).items():
        click.echo(f"{table}: {count} added")


@mgr.command("generate-rpc-keypair")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write.")
def generate_rpc_keypair(out: Path) -> None:
    """Make the key pair with which agents know this manager; the public half goes to OUT.pub."""
    from backendai.common.rpc.curve import ensure_keypair

    pair = ensure_keypair(out)
    public = out.with_name(out.name + ".pub")
    public.write_text(pair.public + "\n", "ascii")
    click.echo(pair.public)


@mgr.command("generate-secret-key")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write.")
def generate_secret_key(out: Path) -> None:
    """Make the key that seals secret keys in the database. An existing file is kept."""
    from .accounts.secretbox import load_secret_key, write_secret_key

    if out.exists():
        load_secret_key(out)
        click.echo(f"kept {out}")
    else:
        write_secret_key(out)
        click.echo(f"wrote {out}")


@mgr.command("dbshell")
@click.argument("arguments", nargs=-1)
@_config_option
@click.pass_context
def dbshell(ctx: click.Context, arguments: tuple[str, ...], config_path: Path | None) -> None:
    """Open psql on the manager's database."""
    import shutil

    db = _settings(ctx, config_path).db
    psql = shutil.which("psql")
    if psql is None:
        raise click.ClickException("psql is not installed: apt-get install postgresql-client")
    environ = {**os.environ, "PGPASSWORD": db.password}
    where = ["-h", db.addr.host, "-p", str(db.addr.port), "-U", db.user, db.name]
    os.execve(psql, [psql, *where, *arguments], environ)  # noqa: S606 - arguments, no shell


@mgr.group()
def config() -> None:
    """manager.toml."""


@config.command("sample")
def config_sample() -> None:
    """Print a manager.toml with every setting and its default."""
    from backendai.common.settings.render import render_sample

    from .settings import ManagerSettings

    click.echo(render_sample(ManagerSettings, "manager"), nl=False)


def _with_database(settings: ManagerSettings, work: Callable[[Database], Awaitable[T]]) -> T:
    from .db.engine import open_database

    async def run() -> T:
        database = open_database(settings.db, "mgr-cli")
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
