"""`admin policy`. `--of` says whose limits a policy has; names are its own only among those."""

from typing import TYPE_CHECKING, Any, Final

import click

from backendai.client.cli.accounts.options import (
    NONE_LEFT,
    add_options,
    columns_option,
    hosts_option,
    or_empty,
    resources_option,
    show_listing,
    show_one,
    take_changes,
    take_given,
)
from backendai.client.cli.consent import ask_consent, do_to_each, yes_option
from backendai.client.cli.options import (
    output_option,
    read_amount,
    read_limit,
    read_size_limit,
    read_time_limit,
)
from backendai.client.cli.render import Output

if TYPE_CHECKING:
    from backendai.client.client import Client

SEEN: Final = {
    "keypair": (
        "name",
        "total_resource_slots",
        "max_concurrent_sessions",
        "max_containers_per_session",
        "idle_timeout",
    ),
    "user": ("name", "max_vfolder_count", "max_quota_scope_size"),
    "project": ("name", "max_vfolder_count", "max_quota_scope_size"),
}

_of_option = click.option(
    "--of", type=click.Choice([*SEEN]), required=True, help="Whose limits they are."
)
_count = click.IntRange(min=0)
_props = add_options(
    resources_option,
    click.option(
        "--default-for-unspecified",
        type=click.Choice(["LIMITED", "UNLIMITED"], case_sensitive=False),
        help="Whether slots that are not named may be used. (keypair)",
    ),
    click.option("--max-concurrent-sessions", type=_count, help="Sessions at once. (keypair)"),
    click.option(
        "--max-containers-per-session", type=click.IntRange(min=1), help="Containers. (keypair)"
    ),
    click.option(
        "--max-concurrent-sftp-sessions", type=_count, help="Such sessions at once. (keypair)"
    ),
    click.option(
        "--max-session-lifetime",
        type=read_time_limit,
        metavar="TIME",
        help="Longest life of a session, such as 2d, or none. (keypair)",
    ),
    click.option(
        "--idle-timeout",
        type=read_time_limit,
        metavar="TIME",
        help="End sessions that nobody uses for so long, such as 1h, or none. (keypair)",
    ),
    click.option(
        "--max-pending-sessions",
        "max_pending_session_count",
        type=read_limit,
        metavar="COUNT",
        help="Sessions that wait, or none for no limit. (keypair)",
    ),
    click.option(
        "--pending-resource",
        "max_pending_session_resource_slots",
        type=or_empty(read_amount),
        metavar="SLOT=AMOUNT",
        multiple=True,
        help=f"Limit of all that wait together; repeat it. Those before are gone. {NONE_LEFT}"
        " (keypair)",
    ),
    hosts_option,
    click.option("--max-vfolder-count", type=_count, help="Folders. (user, project)"),
    click.option(
        "--max-quota-scope-size",
        type=read_size_limit,
        metavar="SIZE",
        help="All folders together, such as 100g, or none. (user, project)",
    ),
    click.option(
        "--max-session-count-per-model-session", type=_count, help="Such sessions. (user)"
    ),
)


@click.command("list")
@_of_option
@columns_option
@output_option
def list_all(of: str, columns: str | None, output: Output) -> None:
    """List policies.

    Example: backendai admin policy list --of user
    """
    from backendai.client.cli.connect import with_client

    rows = with_client(lambda client: _noun(client, of).list())
    show_listing(rows, _kind(of), SEEN[of], columns, output)


@click.command()
@click.argument("name")
@_of_option
@output_option
def info(name: str, of: str, output: Output) -> None:
    """Show the policy NAME.

    Example: backendai admin policy info default --of keypair
    """
    from backendai.client.cli.connect import with_client

    show_one(with_client(lambda client: _noun(client, of).get(name)), output)


@click.command()
@click.argument("name")
@_of_option
@_props
def add(name: str, of: str, **options: Any) -> None:
    """Make the policy NAME. One of keypairs that says nothing else allows 100 sessions at once.

    Example: backendai admin policy add students --of keypair -r cpu=8 -r mem=32g
    """
    from backendai.client.cli.connect import with_client

    props = _check(of, take_given(options))
    click.echo(with_client(lambda client: _noun(client, of).create(name, **props)).name)


@click.command()
@click.argument("name")
@_of_option
@_props
def update(name: str, of: str, **options: Any) -> None:
    """Change the policy NAME. It holds for what is scheduled from now on.

    Example: backendai admin policy update students --of keypair --idle-timeout 1h
    """
    from backendai.client.cli.connect import with_client

    changes = _check(of, take_changes(options))
    with_client(lambda client: _noun(client, of).modify(name, **changes))


@click.command()
@click.argument("names", nargs=-1, required=True)
@_of_option
@yes_option
def delete(names: tuple[str, ...], of: str, is_sure: bool) -> None:
    """Remove the policies NAMES for good. Nobody may have them any more.

    Example: backendai admin policy delete students --of keypair
    """
    ask_consent(f"Remove for good of {of}s: {', '.join(names)}?", is_sure=is_sure)
    do_to_each(names, lambda client, name: _noun(client, of).delete(name))


def _noun(client: "Client", of: str) -> Any:
    return getattr(client, f"{of}_policies")


def _kind(of: str) -> Any:
    from backendai.client.resources import rows

    return {"keypair": rows.KeypairPolicy, "user": rows.UserPolicy, "project": rows.ProjectPolicy}[
        of
    ]


def _check(of: str, props: dict[str, Any]) -> dict[str, Any]:
    """Raises UsageError for limits that a policy of another kind has."""
    known = [name for name in _kind(of).__struct_fields__ if name not in ("name", "created_at")]
    if strange := [name for name in props if name not in known]:
        told = ", ".join(name.replace("_", "-") for name in strange)
        has = ", ".join(name.replace("_", "-") for name in known)
        raise click.UsageError(f"A policy of {of}s has no {told}. It has {has}.")
    return props
