"""`backendai mgr api …`: what the API has."""

import click

from backendai.manager.console import output_option


@click.group()
def api() -> None:
    """The API's routes and GraphQL fields."""


@api.command("inventory")
@output_option
def inventory(output: str) -> None:
    """List every route and every field of Query and Mutation, each with its action and who may.

    Nothing needs to run.

    \b
    Examples:
      backendai mgr api inventory
      backendai mgr api inventory --output json
    """
    import json

    from backendai.manager.inventory import inventory_rows

    rows = inventory_rows()
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        marks = [name for name in ("writes", "begins") if row[name]]
        click.echo(
            f"{row['kind']:<8}  {row['name']:<60}  {row['action']:<28}  {row['access']:<10}"
            f"  {' '.join(marks)}".rstrip()
        )
