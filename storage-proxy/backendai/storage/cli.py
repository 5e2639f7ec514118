"""The `backendai storage` commands. Heavy modules are imported when a command runs."""

import sys
from pathlib import Path

import click

CONFIG_OPTION = click.option(
    "-f",
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Settings file; by default storage-proxy.toml here, in ~/.config/backend.ai, "
    "/etc/backend.ai.",
)


@click.group()
def storage() -> None:
    """Commands of the storage proxy.

    \b
    Examples:
      backendai storage start-server -f storage-proxy.toml
      backendai storage show-config > storage-proxy.toml
    """


@storage.command("start-server")
@CONFIG_OPTION
def start_server(config: Path | None) -> None:
    """Run the storage proxy until SIGTERM."""
    from backendai.common.failpoints import arm_from_environment
    from backendai.common.faults import Fault
    from backendai.common.logs import configure
    from backendai.common.settings.load import load_settings

    from .app import serve
    from .settings import StorageSettings

    try:
        settings = load_settings(StorageSettings, "storage-proxy", config)
        configure(settings.logging)
        arm_from_environment()
        serve(settings)
    except (Fault, ValueError) as error:
        click.echo(f"storage: {error}", err=True)
        sys.exit(1)


@storage.command("show-config")
def show_config() -> None:
    """Print a sample storage-proxy.toml with every setting and its default."""
    from backendai.common.settings.render import render_sample

    from .settings import StorageSettings

    click.echo(render_sample(StorageSettings, "storage proxy"), nl=False)


@storage.command("check-config")
@CONFIG_OPTION
def check_config(config: Path | None) -> None:
    """Read the settings and tell every mistake in them."""
    from backendai.common.faults import Fault
    from backendai.common.settings.load import load_settings

    from .settings import StorageSettings

    try:
        load_settings(StorageSettings, "storage-proxy", config)
    except Fault as fault:
        click.echo(f"storage: {fault}", err=True)
        sys.exit(1)
    click.echo("The settings are sound.")
