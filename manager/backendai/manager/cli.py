"""`backendai mgr …`: start the manager, prepare its database, look into its stores."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .agents.commands import agent
from .audit.commands import audit
from .console import config_option, read_settings, with_database, with_etcd
from .retention.commands import clear_history

if TYPE_CHECKING:
    from backendai.common.etcd import EtcdStore

    from .db.engine import Database
    from .settings import ManagerSettings


class _Group(click.Group):
    """Shows what people can mend as one line and exits with 1; the trace only when asked for."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except Exception as error:
            from .refusals import explain

            line = explain(error)
            if line is None:
                raise
            if ctx.params["verbose"]:
                traceback.print_exception(error)
            raise click.ClickException(line) from None


@click.group(cls=_Group)
@click.option(
    "-f",
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="manager.toml; by default the one here, in ~/.config/backend.ai or /etc/backend.ai.",
)
@click.option("--verbose", is_flag=True, help="Show the trace of a failure too.")
@click.pass_context
def mgr(ctx: click.Context, config_path: Path | None, verbose: bool) -> None:
    """Run and prepare the manager.

    \b
    Examples:
      backendai mgr schema upgrade
      backendai mgr fixture populate first-rows.json
      backendai mgr etcd put config/announcement "Back at noon"
      backendai mgr agent list
      backendai mgr start-server
    """
    ctx.obj = config_path


mgr.add_command(agent)
mgr.add_command(audit)
mgr.add_command(clear_history)


@mgr.command("start-server")
@config_option
@click.pass_context
def start_server(ctx: click.Context, config_path: Path | None) -> None:
    """Serve the API and run the cluster until SIGTERM."""
    settings = read_settings(ctx, config_path)
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
@config_option
@click.pass_context
def schema_upgrade(ctx: click.Context, config_path: Path | None) -> None:
    """Bring the database to this release."""
    from .db.schema import upgrade

    done = with_database(read_settings(ctx, config_path), upgrade)
    click.echo(f"ran {', '.join(done)}" if done else "up to date")


@schema.command("show")
@config_option
@click.pass_context
def schema_show(ctx: click.Context, config_path: Path | None) -> None:
    """The database's revision, and this release's."""
    from .db.revision import REVISION, current_revision

    current = with_database(read_settings(ctx, config_path), current_revision)
    click.echo(f"database: {current or 'empty'}\nrelease: {REVISION}")


@mgr.group()
def fixture() -> None:
    """First rows."""


@fixture.command("populate")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@config_option
@click.pass_context
def fixture_populate(ctx: click.Context, file: Path, config_path: Path | None) -> None:
    """Insert the rows of FILE (JSON: table -> rows) that are not there yet."""
    import json

    from .accounts.fixture import check_fixture, load_fixture
    from .accounts.secretbox import SecretBox, load_secret_key

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
@config_option
@click.pass_context
def dbshell(ctx: click.Context, arguments: tuple[str, ...], config_path: Path | None) -> None:
    """Open psql on the manager's database."""
    import shutil

    db = read_settings(ctx, config_path).db
    psql = shutil.which("psql")
    if psql is None:
        raise click.ClickException("psql is not installed: apt-get install postgresql-client")
    environ = {**os.environ, "PGPASSWORD": db.password}
    where = ["-h", db.addr.host, "-p", str(db.addr.port), "-U", db.user, db.name]
    os.execve(psql, [psql, *where, *arguments], environ)  # noqa: S606 - arguments, no shell


@mgr.group()
def etcd() -> None:
    """The cluster's configuration in etcd. Keys are relative to the namespace of [etcd].

    \b
    Examples:
      backendai mgr etcd ls config/
      backendai mgr etcd put config/announcement "Back at noon"
      backendai mgr etcd delete config/announcement
    """


def _read_key(_ctx: click.Context, _param: click.Parameter, key: str) -> str:
    if not key or key.startswith("/"):
        raise click.BadParameter("name a key below the namespace, like config/announcement")
    return key


_key_argument = click.argument("key", callback=_read_key)


@etcd.command("get")
@_key_argument
@config_option
@click.pass_context
def etcd_get(ctx: click.Context, key: str, config_path: Path | None) -> None:
    """Print the value of KEY."""
    settings = read_settings(ctx, config_path)
    value = with_etcd(settings, lambda store: store.get(key))
    if value is None:
        raise _missing(settings, key)
    click.echo(value)


@etcd.command("put")
@_key_argument
@click.argument("value")
@config_option
@click.pass_context
def etcd_put(ctx: click.Context, key: str, value: str, config_path: Path | None) -> None:
    """Set KEY to VALUE; managers and agents learn it at once."""
    with_etcd(read_settings(ctx, config_path), lambda store: store.put(key, value))


@etcd.command("delete")
@_key_argument
@click.option("--prefix", is_flag=True, help="Delete every key that begins with KEY.")
@config_option
@click.pass_context
def etcd_delete(ctx: click.Context, key: str, prefix: bool, config_path: Path | None) -> None:
    """Delete KEY, and say how many keys that were."""
    settings = read_settings(ctx, config_path)

    async def delete(store: EtcdStore) -> int:
        return await store.delete_prefix(key) if prefix else int(await store.delete(key))

    count = with_etcd(settings, delete)
    if not count:
        raise _missing(settings, key)
    click.echo(f"{count} deleted")


@etcd.command("ls")
@click.argument("prefix", default="")
@click.option("--values", is_flag=True, help="Print key = value.")
@config_option
@click.pass_context
def etcd_ls(ctx: click.Context, prefix: str, values: bool, config_path: Path | None) -> None:
    """List the keys that begin with PREFIX, by default all."""
    pairs = with_etcd(read_settings(ctx, config_path), lambda store: store.get_prefix(prefix))
    for key, value in pairs.items():
        click.echo(f"{key} = {value}" if values else key)


def _missing(settings: ManagerSettings, key: str) -> click.ClickException:
    return click.ClickException(
        f"there is no {key} in namespace {settings.etcd.namespace} of etcd at {settings.etcd.addr};"
        " `backendai mgr etcd ls` lists the keys"
    )


@mgr.group()
def config() -> None:
    """manager.toml."""


@config.command("sample")
def config_sample() -> None:
    """Print a manager.toml with every setting and its default."""
    from backendai.common.settings.render import render_sample

    from .settings import ManagerSettings

    click.echo(render_sample(ManagerSettings, "manager"), nl=False)
