"""The `backendai web` commands. Heavy modules are imported when a command runs."""

import sys
from pathlib import Path

import click

CONFIG_OPTION = click.option(
    "-f",
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Settings file; by default webserver.toml here, in ~/.config/backend.ai, /etc/backend.ai.",
)


@click.group()
def web() -> None:
    """Commands of the webserver.

    \b
    Examples:
      backendai web start-server -f webserver.toml
      backendai web show-config > webserver.toml
    """


@web.command("start-server")
@CONFIG_OPTION
def start_server(config: Path | None) -> None:
    """Run the webserver until SIGTERM."""
    from backendai.common.faults import Fault
    from backendai.common.logs import configure
    from backendai.common.settings.load import load_settings

    from .app import serve
    from .settings import WebserverSettings

    try:
        settings = load_settings(WebserverSettings, "webserver", config)
        configure(settings.logging)
        serve(settings)
    except (Fault, ValueError) as error:
        click.echo(f"web: {error}", err=True)
        sys.exit(1)


@web.command("show-config")
def show_config() -> None:
    """Print a sample webserver.toml with every setting and its default."""
    from backendai.common.settings.render import render_sample

    from .settings import WebserverSettings

    click.echo(render_sample(WebserverSettings, "webserver"), nl=False)


@web.command("check-config")
@CONFIG_OPTION
def check_config(config: Path | None) -> None:
    """Read the settings and tell every mistake in them."""
    from backendai.common.faults import Fault
    from backendai.common.settings.load import load_settings

    from .settings import WebserverSettings

    try:
        load_settings(WebserverSettings, "webserver", config)
    except Fault as fault:
        click.echo(f"web: {fault}", err=True)
        sys.exit(1)
    click.echo("The settings are sound.")
