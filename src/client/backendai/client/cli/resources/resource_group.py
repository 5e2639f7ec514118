"""`admin resource-group`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from backendai.client.cli.accounts.options import (
    active_option,
    add_options,
    columns_option,
    description_option,
    show_listing,
    show_one,
    take_changes,
    take_given,
)
from backendai.client.cli.consent import ask_consent, do_to_each, yes_option
from backendai.client.cli.options import output_option, read_time_limit
from backendai.client.cli.render import Output

if TYPE_CHECKING:
    from backendai.client.client import Client

SEEN: Final = ("name", "is_active", "is_public", "description", "scheduler_opts")
# Our words for options of the scheduler, each with the other one that the API knows.
SYNONYMS: Final = {
    "placement": "agent_selection_strategy",
    "pending_timeout_seconds": "pending_timeout",
    "allowed_session_types": None,
}

_props = add_options(
    description_option,
    active_option,
    click.option(
        "--public/--private", "is_public", default=None, help="Private: for administrators alone."
    ),
    click.option(
        "--placement",
        type=click.Choice(["concentrated", "dispersed"]),
        help="Fill used nodes first, or spread over the emptiest.",
    ),
    click.option(
        "--pending-timeout",
        "pending_timeout_seconds",
        type=read_time_limit,
        metavar="TIME",
        help="Cancel what waits longer, such as 2h, or none.",
    ),
    click.option(
        "--session-type",
        "allowed_session_types",
        type=click.Choice(["interactive", "batch", "inference", ""]),
        metavar="TYPE",
        multiple=True,
        help="Only interactive, batch or inference sessions; repeat it. One empty value lets all"
        " in.",
    ),
    click.option("--wsproxy-addr", help="Address of its app proxy; empty: none."),
    click.option(
        "--wsproxy-token-env", metavar="NAME", help="Environment variable with the proxy's token."
    ),
)
_whom = add_options(
    click.option("--domain", "domains", multiple=True, help="Everybody in this domain; repeat it."),
    click.option(
        "--project",
        "projects",
        metavar="[DOMAIN/]NAME",
        multiple=True,
        help="This project, by itself one of the domain default; repeat it.",
    ),
    click.option("--keypair", "keypairs", metavar="ACCESS_KEY", multiple=True, help="Repeat it."),
)


@click.command("list")
@click.option("--active/--inactive", "is_active", default=None, help="Only such ones.")
@columns_option
@output_option
def list_all(is_active: bool | None, columns: str | None, output: Output) -> None:
    """List resource groups.

    Example: backendai admin resource-group list --active
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.resources.rows import ResourceGroup

    rows = with_client(lambda client: client.resource_groups.list(is_active=is_active))
    show_listing(rows, ResourceGroup, SEEN, columns, output)


@click.command()
@click.argument("name")
@output_option
def info(name: str, output: Output) -> None:
    """Show the resource group NAME, and which domains and projects it is open to.

    Example: backendai admin resource-group info gpu
    """
    from backendai.client.cli.connect import with_client

    async def work(client: "Client") -> tuple[Any, list[str], list[str]]:
        group = await client.resource_groups.get(name)
        domains = [each.name for each in await client.domains.list() if name in _groups(each)]
        found = [each for each in await client.projects.list() if name in _groups(each)]
        return group, domains, sorted(f"{each.domain}/{each.name}" for each in found)

    group, domains, projects = with_client(work)
    show_one(group, output, domains=domains, projects=projects)


@click.command()
@click.argument("name")
@_props
def add(name: str, **options: Any) -> None:
    """Make the resource group NAME. It is open to nobody until you `allow` somebody.

    Example: backendai admin resource-group add gpu --placement dispersed --private
    """
    from backendai.client.cli.connect import with_client

    props = _take_token(take_given(options))
    if scheduling := take_scheduling(props):
        props["scheduler_opts"] = join_scheduling({}, scheduling)
    click.echo(with_client(lambda client: client.resource_groups.create(name, **props)).name)


@click.command()
@click.argument("name")
@_props
def update(name: str, **options: Any) -> None:
    """Change the resource group NAME.

    Example: backendai admin resource-group update gpu --pending-timeout 2h
    """
    from backendai.client.cli.connect import with_client

    changes = _take_token(take_changes(options))
    scheduling = take_scheduling(changes)

    async def work(client: "Client") -> None:
        if scheduling:
            now = (await client.resource_groups.get(name)).scheduler_opts
            changes["scheduler_opts"] = join_scheduling(now, scheduling)
        await client.resource_groups.modify(name, **changes)

    with_client(work)


@click.command()
@click.argument("names", nargs=-1, required=True)
@yes_option
def delete(names: tuple[str, ...], is_sure: bool) -> None:
    """Remove the resource groups NAMES for good. They must have no nodes and no past sessions.

    Example: backendai admin resource-group delete gpu
    """
    ask_consent(f"Remove for good: {', '.join(names)}?", is_sure=is_sure)
    do_to_each(names, lambda client, name: client.resource_groups.delete(name))


@click.command()
@click.argument("name")
@_whom
def allow(name: str, **whom: tuple[str, ...]) -> None:
    """Open the resource group NAME to domains, projects and keypairs.

    \b
    Examples:
      backendai admin resource-group allow gpu --domain lab
      backendai admin resource-group allow gpu --project lab/vision --keypair AKIAEXAMPLE
    """
    _open("allow", name, whom)


@click.command()
@click.argument("name")
@_whom
def disallow(name: str, **whom: tuple[str, ...]) -> None:
    """Close the resource group NAME to domains, projects and keypairs. Their sessions stay in it.

    Example: backendai admin resource-group disallow gpu --domain lab
    """
    _open("disallow", name, whom)


def take_scheduling(props: dict[str, Any]) -> dict[str, Any]:
    """What is the scheduler's, taken out of `props`."""
    return {word: props.pop(word) for word in SYNONYMS if word in props}


def join_scheduling(now: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """All options as they shall be, without empty ones; of two words for one thing only ours
    stays. Pure."""
    others = {SYNONYMS[word] for word in changes}
    joined = {**{word: value for word, value in now.items() if word not in others}, **changes}
    return {word: value for word, value in joined.items() if value != []}


def _take_token(props: dict[str, Any]) -> dict[str, Any]:
    """A token comes from the environment: every process could read an argument."""
    from backendai.client.cli.secrecy import read_password

    if variable := props.pop("wsproxy_token_env", None):
        props["wsproxy_api_token"] = read_password(variable, "Token")
    return props


def _groups(row: Any) -> tuple[str, ...]:
    return tuple(row.resource_groups or ())


def _open(verb: str, name: str, whom: Mapping[str, tuple[str, ...]]) -> None:
    """`whom` are names by their kind, in the plural."""
    labels = [f"{kind[:-1]} {each}" for kind, names in whom.items() for each in names]
    if not labels:
        raise click.UsageError("Say to whom: give one of --domain, --project, --keypair.")

    async def work(client: "Client", label: str) -> None:
        kind, _, each = label.partition(" ")
        target = await _project_id(client, each) if kind == "project" else each
        await getattr(client.resource_groups, f"{verb}_{kind}")(name, target)

    do_to_each(labels, work)


async def _project_id(client: "Client", place: str) -> str:
    domain, slash, name = place.rpartition("/")
    return (await client.projects.get(name, domain=domain if slash else "default")).id
