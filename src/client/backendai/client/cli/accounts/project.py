"""`admin project`. A project is named within a domain."""

from typing import TYPE_CHECKING, Any, Final

import click

from backendai.client.cli.accounts.options import (
    active_option,
    add_options,
    columns_option,
    description_option,
    domain_option,
    hosts_option,
    policy_option,
    resources_option,
    show_listing,
    show_one,
    take_changes,
    take_given,
)
from backendai.client.cli.consent import ask_consent, do_to_each, yes_option
from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output

if TYPE_CHECKING:
    from backendai.client.client import Client

SEEN: Final = ("name", "domain", "is_active", "resource_policy", "total_resource_slots")

_props = add_options(
    description_option,
    active_option,
    policy_option,
    resources_option,
    hosts_option,
    click.option("--integration-id", help="Its id in another system."),
)


@click.command("list")
@click.option("--domain", help="Only those of this domain.")
@click.option("--active/--inactive", "is_active", default=None, help="Only such ones.")
@columns_option
@output_option
def list_all(
    domain: str | None, is_active: bool | None, columns: str | None, output: Output
) -> None:
    """List projects.

    Example: backendai admin project list --domain lab --output csv
    """
    from backendai.client.accounts.rows import Project
    from backendai.client.cli.connect import with_client

    rows = with_client(lambda client: client.projects.list(domain=domain, is_active=is_active))
    show_listing(rows, Project, SEEN, columns, output)


@click.command()
@click.argument("name")
@domain_option
@output_option
def info(name: str, domain: str, output: Output) -> None:
    """Show the project NAME.

    Example: backendai admin project info vision --domain lab
    """
    from backendai.client.cli.connect import with_client

    show_one(with_client(lambda client: client.projects.get(name, domain=domain)), output)


@click.command()
@click.argument("name")
@domain_option
@_props
def add(name: str, domain: str, **options: Any) -> None:
    """Make the project NAME, and print its id.

    Example: backendai admin project add vision --domain lab -r cpu=16
    """
    from backendai.client.cli.connect import with_client

    props = take_given(options)
    click.echo(with_client(lambda client: client.projects.create(name, domain=domain, **props)).id)


@click.command()
@click.argument("name")
@domain_option
@click.option("--name", "new_name", help="Its new name.")
@click.option("--move-to", help="Its new domain; it must have no users and no sessions.")
@click.option("--add-user", "added", multiple=True, metavar="EMAIL", help="Who comes in; repeat.")
@click.option("--remove-user", "removed", multiple=True, metavar="EMAIL", help="Who leaves; repeat")
@_props
def update(
    name: str,
    domain: str,
    new_name: str | None,
    move_to: str | None,
    added: tuple[str, ...],
    removed: tuple[str, ...],
    **options: Any,
) -> None:
    """Change the project NAME, and who is in it.

    Example: backendai admin project update vision --domain lab --add-user ann@example.com
    """
    from backendai.client.cli.connect import with_client

    members = {"added": added, "removed": removed}
    changes = take_changes({"name": new_name, "domain": move_to, **options, **members})

    async def work(client: "Client") -> None:
        project = await client.projects.get(name, domain=domain)
        comes = [(await client.users.get(email)).id for email in changes.pop("added", ())]
        goes = [(await client.users.get(email)).id for email in changes.pop("removed", ())]
        if changes:
            await client.projects.modify(project.id, **changes)
        if comes:
            await client.projects.add_users(project.id, comes)
        if goes:
            await client.projects.remove_users(project.id, goes)

    with_client(work)


@click.command()
@click.argument("names", nargs=-1, required=True)
@domain_option
def delete(names: tuple[str, ...], domain: str) -> None:
    """Let no session begin in the projects NAMES. Everything is kept; `update --active` undoes it.

    Example: backendai admin project delete vision --domain lab
    """

    async def work(client: "Client", name: str) -> None:
        await client.projects.delete((await client.projects.get(name, domain=domain)).id)

    do_to_each(names, work)


@click.command()
@click.argument("names", nargs=-1, required=True)
@domain_option
@yes_option
def purge(names: tuple[str, ...], domain: str, is_sure: bool) -> None:
    """Remove the projects NAMES for good, with the record of their sessions.

    Example: backendai admin project purge vision --domain lab
    """
    ask_consent(f"Remove for good from domain {domain}: {', '.join(names)}?", is_sure=is_sure)

    async def work(client: "Client", name: str) -> None:
        await client.projects.purge((await client.projects.get(name, domain=domain)).id)

    do_to_each(names, work)
