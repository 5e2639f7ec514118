"""`presets`: named amounts of resources, and whether a session of each could start now."""

from typing import TYPE_CHECKING, Any

import click

from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, show_rows

if TYPE_CHECKING:
    from backendai.client.cluster import Preset


@click.command()
@click.option("--project", help="Project to run in. Default: default.")
@click.option("--resource-group", help="Only in this resource group.")
@output_option
def presets(project: str | None, resource_group: str | None, output: Output) -> None:
    """List presets, and why a session of each would wait.

    \b
    Examples:
      backendai presets
      backendai presets --resource-group gpu --output json
    """
    from backendai.client.cli.connect import with_client

    room = with_client(lambda client: client.cluster.check_presets(project, resource_group))
    rows = [_row(preset, output) for preset in room.presets]
    if not rows and output == "table":
        click.echo("No presets.", err=True)
        return
    show_rows(rows, ("name", "resources", "shared_memory", "starts_now", "why"), output)


def _row(preset: "Preset", output: Output) -> dict[str, Any]:
    from backendai.client.cli.units import show_slots

    amounts = dict(preset.resource_slots)
    return {
        "name": preset.name,
        "resources": show_slots(amounts) if output == "table" else amounts,
        "shared_memory": preset.shared_memory,
        "starts_now": preset.allocatable,
        "why": preset.reason or None,
    }
