"""The `backendai wsproxy` commands. Heavy modules are imported when a command runs."""

import sys
from pathlib import Path

import click

CONFIG_OPTION = click.option(
    "-f",
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Settings file; by default wsproxy.toml here, in ~/.config/backend.ai, /etc/backend.ai.",
)


@click.group()
def wsproxy() -> None:
    """Commands of the app proxy.

    \b
    Examples:
      backendai wsproxy start-server -f wsproxy.toml
      backendai wsproxy show-config > wsproxy.toml
    """


@wsproxy.command("start-server")
@CONFIG_OPTION
def start_server(config: Path | None) -> None:
    """Run the app proxy until SIGTERM."""
    from backendai.common.failpoints import arm_from_environment
    from backendai.common.faults import Fault
    from backendai.common.logs import configure
    from backendai.common.settings.load import load_settings

    from .app import serve
    from .settings import WsproxySettings

    try:
        settings = load_settings(WsproxySettings, "wsproxy", config)
        configure(settings.logging)
        arm_from_environment()
        serve(settings)
    except (Fault, ValueError) as error:
        click.echo(f"wsproxy: {error}", err=True)
        sys.exit(1)


@wsproxy.command("show-config")
def show_config() -> None:
    """Print a sample wsproxy.toml with every setting and its default."""
    from backendai.common.settings.render import render_sample

    from .settings import WsproxySettings

    click.echo(render_sample(WsproxySettings, "app proxy"), nl=False)


@wsproxy.command("check-config")
@CONFIG_OPTION
def check_config(config: Path | None) -> None:
    """Read the settings and tell every mistake in them."""
    from backendai.common.faults import Fault
    from backendai.common.settings.load import load_settings

    from .settings import WsproxySettings

    try:
        load_settings(WsproxySettings, "wsproxy", config)
    except Fault as fault:
        click.echo(f"wsproxy: {fault}", err=True)
        sys.exit(1)
    click.echo("The settings are sound.")
