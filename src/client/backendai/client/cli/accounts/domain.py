"""`admin domain`."""

from typing import Any, Final

import click

from backendai.client.cli.accounts.options import (
    NONE_LEFT,
    active_option,
    add_options,
    columns_option,
    description_option,
    hosts_option,
    resources_option,
    show_listing,
    show_one,
    take_changes,
    take_given,
)
from backendai.client.cli.consent import ask_consent, do_to_each, yes_option
from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output

SEEN: Final = ("name", "is_active", "description", "total_resource_slots", "resource_groups")

_props = add_options(
    description_option,
    active_option,
    resources_option,
    hosts_option,
    click.option(
        "--registry",
        "allowed_docker_registries",
        multiple=True,
        help=f"Registry that its images may come from; repeat it. {NONE_LEFT}",
    ),
    click.option("--integration-id", help="Its id in another system."),
)


@click.command("list")
@click.option("--active/--inactive", "is_active", default=None, help="Only such ones.")
@columns_option
@output_option
def list_all(is_active: bool | None, columns: str | None, output: Output) -> None:
    """List domains.

    Example: backendai admin domain list --output json
    """
    from backendai.client.accounts.rows import Domain
    from backendai.client.cli.connect import with_client

    rows = with_client(lambda client: client.domains.list(is_active=is_active))
    show_listing(rows, Domain, SEEN, columns, output)


@click.command()
@click.argument("name")
@output_option
def info(name: str, output: Output) -> None:
    """Show the domain NAME.

    Example: backendai admin domain info lab
    """
    from backendai.client.cli.connect import with_client

    show_one(with_client(lambda client: client.domains.get(name)), output)


@click.command()
@click.argument("name")
@_props
def add(name: str, **options: Any) -> None:
    """Make the domain NAME.

    Example: backendai admin domain add lab --description "The laboratory" -r cpu=64
    """
    from backendai.client.cli.connect import with_client

    click.echo(with_client(lambda client: client.domains.create(name, **take_given(options))).name)


@click.command()
@click.argument("name")
@click.option("--name", "new_name", help="Its new name.")
@_props
def update(name: str, new_name: str | None, **options: Any) -> None:
    """Change the domain NAME.

    Example: backendai admin domain update lab --inactive
    """
    from backendai.client.cli.connect import with_client

    changes = take_changes({"name": new_name, **options})
    with_client(lambda client: client.domains.modify(name, **changes))


@click.command()
@click.argument("names", nargs=-1, required=True)
def delete(names: tuple[str, ...]) -> None:
    """Let no user of the domains NAMES in. Everything is kept; `update --active` undoes it.

    Example: backendai admin domain delete lab
    """
    do_to_each(names, lambda client, name: client.domains.delete(name))


@click.command()
@click.argument("names", nargs=-1, required=True)
@yes_option
def purge(names: tuple[str, ...], is_sure: bool) -> None:
    """Remove the domains NAMES for good. They must have no users and no projects.

    Example: backendai admin domain purge lab
    """
    ask_consent(f"Remove for good: {', '.join(names)}?", is_sure=is_sure)
    do_to_each(names, lambda client, name: client.domains.purge(name))
