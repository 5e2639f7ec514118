"""`backendai mgr …`: start the manager, prepare its database, look into its stores."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from pathlib import Path

import click

from .accounts.commands import fixture, generate_keypair, generate_secret_key
from .agents.commands import agent
from .apps.commands import rotate_relay_key
from .audit.commands import audit
from .backup.commands import backup, restore
from .config.commands import etcd
from .console import config_option, read_settings
from .db.commands import schema
from .doctor.commands import doctor
from .gate.commands import api
from .images.commands import image
from .retention.commands import clear_history


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
      backendai mgr doctor
      backendai mgr fixture populate first-rows.json
      backendai mgr etcd put config/announcement "Back at noon"
      backendai mgr agent list
      backendai mgr image rescan
      backendai mgr start-server
    """
    ctx.obj = config_path


for command in (
    doctor,
    schema,
    fixture,
    etcd,
    agent,
    image,
    audit,
    backup,
    restore,
    clear_history,
    api,
    generate_keypair,
    generate_secret_key,
    rotate_relay_key,
):
    mgr.add_command(command)


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


@mgr.command("generate-rpc-keypair")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write.")
def generate_rpc_keypair(out: Path) -> None:
    """Make the key pair with which agents know this manager; the public half goes to OUT.pub, and
    to stdout as a line for manager-keys."""
    from backendai.common.rpc.curve import ensure_keypair

    pair = ensure_keypair(out)
    public = out.with_name(out.name + ".pub")
    public.write_text(pair.public + "\n", "ascii")
    click.echo(f"wrote {out}, and its public half, which this prints, to {public}", err=True)
    # Alone, for `>> manager-keys`.
    click.echo(pair.public)


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


@mgr.command("check-config")
@config_option
@click.pass_context
def check_config(ctx: click.Context, config_path: Path | None) -> None:
    """Read the settings and tell every mistake in them."""
    read_settings(ctx, config_path)
    click.echo("The settings are sound.")


@mgr.command("show-config")
def show_config() -> None:
    """Print a sample manager.toml with every setting and its default."""
    from backendai.common.settings.render import render_sample

    from .settings import ManagerSettings

    click.echo(render_sample(ManagerSettings, "manager"), nl=False)
