"""`admin user`. A user is named by the email."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from backendai.client.cli.accounts.options import (
    NONE_LEFT,
    ROLES,
    STATUSES,
    add_options,
    columns_option,
    description_option,
    domain_option,
    page_options,
    policy_option,
    show_listing,
    show_one,
    take_changes,
    take_given,
)
from backendai.client.cli.consent import ask_consent, do_to_each, yes_option
from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, show_object

if TYPE_CHECKING:
    from backendai.client.client import Client

SEEN: Final = ("email", "full_name", "role", "domain", "status", "projects")

_props = add_options(
    click.option("--username", help="Default for a new user: the email."),
    click.option("--full-name", help="The full name."),
    description_option,
    click.option("--role", type=click.Choice(ROLES), help="What the user may do."),
    click.option("--status", type=click.Choice(STATUSES), help="Only active users are let in."),
    click.option(
        "--project",
        "projects",
        multiple=True,
        help=f"All the projects, by name; repeat it. {NONE_LEFT}",
    ),
    policy_option,
    click.option(
        "--allowed-ip",
        "allowed_client_ip",
        multiple=True,
        help=f"Address or network that requests may come from; repeat it. {NONE_LEFT}",
    ),
    click.option("--need-password-change", type=bool, help="Whether the password must be changed."),
    click.option("--sudo-session", "sudo_session_enabled", type=bool, help="Whether sudo works."),
)
_password_options = add_options(
    click.option("--password-env", metavar="NAME", help="Environment variable with the password."),
    click.option("--generate-password", "is_generated", is_flag=True, help="Make one; show it."),
)


@click.command("list")
@click.option("--domain", help="Only those of this domain.")
@click.option(
    "--project", help="Only those in this project of the domain, or of that of BACKEND_DOMAIN."
)
@click.option("--status", type=click.Choice(STATUSES), help="Only those of this status.")
@page_options('role == "admin"')
@columns_option
@output_option
def list_all(
    domain: str | None,
    project: str | None,
    status: str | None,
    condition: str | None,
    order: str,
    limit: int,
    columns: str | None,
    output: Output,
) -> None:
    """List users.

    \b
    Examples:
      backendai admin user list --domain lab --status active --output json
      backendai admin user list --filter 'email like "%@example.com"' --order -created_at
    """
    from backendai.client.accounts.rows import User
    from backendai.client.cli.connect import with_client

    async def work(client: "Client") -> Sequence[User]:
        project_id = None
        if project is not None:
            home = domain or os.environ.get("BACKEND_DOMAIN") or "default"
            project_id = (await client.projects.get(project, domain=home)).id
        return await client.users.list(
            domain=domain,
            project_id=project_id,
            status=status,
            filter=condition,
            order=order,
            limit=limit,
        )

    show_listing(with_client(work), User, SEEN, columns, output, limit)


@click.command()
@click.argument("email")
@output_option
def info(email: str, output: Output) -> None:
    """Show the user EMAIL.

    Example: backendai admin user info ann@example.com
    """
    from backendai.client.cli.connect import with_client

    show_one(with_client(lambda client: client.users.get(email)), output)


@click.command()
@click.argument("email")
@domain_option
@_password_options
@_props
@output_option
def add(
    email: str,
    domain: str,
    password_env: str | None,
    is_generated: bool,
    output: Output,
    **options: Any,
) -> None:
    """Make the user EMAIL with a first keypair.

    Without an option on the password it is asked for, or read as a line of stdin.

    \b
    Examples:
      backendai admin user add ann@example.com --domain lab --project vision
      backendai admin user add bob@example.com --generate-password --role admin
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.secrecy import make_password

    _refuse_several(password_env, is_generated)
    given = None if is_generated else _read_new(password_env)
    secret = given or make_password()
    props = take_given(options)

    async def work(client: "Client") -> dict[str, Any]:
        if (names := props.pop("projects", None)) is not None:
            props["project_ids"] = await find_projects(client, domain, names)
        with _show_if_lost(email, secret if given is None else None, output):
            made = await client.users.create(email, secret, domain=domain, **props)
        return {"email": made.email, "access_key": made.main_access_key}

    facts = with_client(work)
    show_object({**facts, "password": secret} if given is None else facts, output)


@click.command()
@click.argument("email")
@click.option("--move-to", help="The new domain; the projects are left then.")
@click.option("--main-access-key", help="Which of the user's keypairs is the main one.")
@click.option("--password", "is_asked", is_flag=True, help="Ask for a new password, or read stdin.")
@_password_options
@_props
@output_option
def update(
    email: str,
    move_to: str | None,
    main_access_key: str | None,
    is_asked: bool,
    password_env: str | None,
    is_generated: bool,
    output: Output,
    **options: Any,
) -> None:
    """Change the user EMAIL.

    \b
    Examples:
      backendai admin user update ann@example.com --role admin --status active
      backendai admin user update ann@example.com --generate-password
      backendai admin user update ann@example.com --allowed-ip ""
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.secrecy import make_password

    _refuse_several(password_env, is_generated, is_asked)
    is_read = is_asked or password_env is not None
    secret = make_password() if is_generated else _read_new(password_env) if is_read else None
    named = {"domain": move_to, "main_access_key": main_access_key, "password": secret}
    changes = take_changes({**named, **options})

    async def work(client: "Client") -> None:
        if (names := changes.pop("projects", None)) is not None:
            domain = move_to or (await client.users.get(email)).domain or ""
            changes["project_ids"] = await find_projects(client, domain, names)
        with _show_if_lost(email, secret if is_generated else None, output):
            await client.users.modify(email, **changes)

    with_client(work)
    if is_generated:
        show_object({"email": email, "password": secret}, output)


@click.command()
@click.argument("emails", nargs=-1, required=True)
def delete(emails: tuple[str, ...]) -> None:
    """Switch the users EMAILS and their keypairs off. Everything is kept.

    Example: backendai admin user delete ann@example.com
    """
    do_to_each(emails, lambda client, email: client.users.delete(email))


@click.command()
@click.argument("emails", nargs=-1, required=True)
@yes_option
def purge(emails: tuple[str, ...], is_sure: bool) -> None:
    """Remove the users EMAILS for good, with their keypairs and the record of their sessions.

    Example: backendai admin user purge ann@example.com
    """
    ask_consent(f"Remove for good: {', '.join(emails)}?", is_sure=is_sure)
    do_to_each(emails, lambda client, email: client.users.purge(email))


@click.command()
@click.argument("emails", nargs=-1, required=True)
def reset_totp(emails: tuple[str, ...]) -> None:
    """Remove the second factor of the users EMAILS, who lost their device. Their passwords alone
    are enough until they set a device up again.

    Example: backendai admin user reset-totp ann@example.com
    """
    do_to_each(emails, lambda client, email: client.totp.remove_of(email))


async def find_projects(client: "Client", domain: str, names: Sequence[str]) -> list[str]:
    """Their ids. Raises ProjectNotFound."""
    return [(await client.projects.get(name, domain=domain)).id for name in names]


def _refuse_several(password_env: str | None, *flags: bool) -> None:
    if sum([password_env is not None, *flags]) > 1:
        raise click.UsageError("Say in one way where the password comes from.")


@contextmanager
def _show_if_lost(email: str, made: str | None, output: Output) -> Iterator[None]:
    """Shows a password that was made here when nobody knows whether the server took it: it may be
    the only way in."""
    from backendai.client.faults import may_be_done

    try:
        yield
    except BaseException as error:
        if made is not None and may_be_done(error):
            show_object({"email": email, "password": made}, output)
            click.echo(f"Nobody knows whether {email} was written: no answer came.", err=True)
            click.echo(f"  See: backendai admin user info {email}", err=True)
        raise


def _read_new(variable: str | None) -> str:
    from backendai.client.cli.secrecy import read_password

    return read_password(variable, "New password", is_new=True)
