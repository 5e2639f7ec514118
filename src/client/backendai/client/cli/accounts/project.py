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
    from collections.abc import Sequence

    from backendai.client.accounts.rows import Member, Project
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
# What is done to the people of a project: methods of the client, with what each says of them.
PEOPLE: Final = {
    "add_users": "Who comes in; repeat.",
    "remove_users": "Who leaves; repeat.",
    "add_admins": "Who administers it; repeat.",
    "remove_admins": "Who no longer does; repeat.",
}
_people = add_options(
    *(
        click.option(
            f"--{name.replace('_', '-').removesuffix('s')}",
            name,
            multiple=True,
            metavar="EMAIL",
            help=told,
        )
        for name, told in PEOPLE.items()
    )
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
    """Show the project NAME, and to who administers it its admins and members.

    Example: backendai admin project info vision --domain lab
    """
    from backendai.client.cli.connect import with_client

    async def work(client: "Client") -> tuple["Project", "Sequence[Member] | None"]:
        project = await client.projects.get(name, domain=domain)
        return project, await client.projects.members(project.id)

    project, members = with_client(work)
    show_one(project, output, **_shown_members(members))


def _shown_members(members: "Sequence[Member] | None") -> dict[str, Any]:
    """Emails, the admins' apart from those of all."""
    from backendai.common.enums import ProjectRole

    if members is None:
        return {}
    admins = [each.email for each in members if each.role == ProjectRole.ADMIN]
    return {"admins": admins, "members": [each.email for each in members]}


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
@_people
@_props
def update(
    name: str,
    domain: str,
    new_name: str | None,
    move_to: str | None,
    **options: Any,
) -> None:
    """Change the project NAME, who is in it, and who administers it.

    Its admins let users of its domain in and out, and see and end its sessions.

    Example: backendai admin project update vision --domain lab --add-user ann@example.com
    """
    from backendai.client.cli.connect import with_client

    changes = take_changes({"name": new_name, "domain": move_to, **options})
    people = {each: changes.pop(each) for each in PEOPLE if each in changes}

    async def work(client: "Client") -> None:
        project = await client.projects.get(name, domain=domain)
        if changes:
            await client.projects.modify(project.id, **changes)
        for method, emails in people.items():
            await getattr(client.projects, method)(project.id, emails)

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
