"""`admin keypair`. A keypair is named by its access key."""

from typing import Any, Final

import click

from backendai.client.cli.accounts.options import (
    active_option,
    add_options,
    columns_option,
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

SEEN: Final = ("access_key", "email", "is_active", "is_admin", "resource_policy", "last_used")

_props = add_options(
    active_option,
    click.option("--admin/--no-admin", "is_admin", default=None, help="An administrator's."),
    policy_option,
    click.option("--rate-limit", type=click.IntRange(min=1), help="Requests per 15 minutes."),
)


@click.command("list")
@click.option("--user", "email", metavar="EMAIL", help="Only those of this user.")
@click.option("--domain", help="Only those of this domain.")
@click.option("--active/--inactive", "is_active", default=None, help="Only such ones.")
@page_options("is_admin == true")
@columns_option
@output_option
def list_all(
    email: str | None,
    domain: str | None,
    is_active: bool | None,
    condition: str | None,
    order: str,
    limit: int,
    columns: str | None,
    output: Output,
) -> None:
    """List keypairs, without their secret keys.

    \b
    Examples:
      backendai admin keypair list --user ann@example.com
      backendai admin keypair list --order -last_used --limit 20
    """
    from backendai.client.accounts.rows import Keypair
    from backendai.client.cli.connect import with_client

    rows = with_client(
        lambda client: client.keypairs.list(
            email=email,
            domain=domain,
            is_active=is_active,
            filter=condition,
            order=order,
            limit=limit,
        )
    )
    show_listing(rows, Keypair, SEEN, columns, output, limit)


@click.command()
@click.argument("access_key")
@output_option
def info(access_key: str, output: Output) -> None:
    """Show the keypair ACCESS_KEY, without its secret key.

    Example: backendai admin keypair info AKIAEXAMPLE
    """
    from backendai.client.cli.connect import with_client

    show_one(with_client(lambda client: client.keypairs.get(access_key)), output)


@click.command()
@click.argument("email")
@_props
@output_option
def add(email: str, output: Output, **options: Any) -> None:
    """Make one more keypair for the user EMAIL. Its secret key is shown this once.

    Example: backendai admin keypair add ann@example.com --rate-limit 5000
    """
    from backendai.client.cli.connect import with_client

    made = with_client(lambda client: client.keypairs.create(email, **take_given(options)))
    show_object({"access_key": made.access_key, "secret_key": made.secret_key}, output)


@click.command()
@click.argument("access_key")
@_props
def update(access_key: str, **options: Any) -> None:
    """Change the keypair ACCESS_KEY.

    Example: backendai admin keypair update AKIAEXAMPLE --inactive
    """
    from backendai.client.cli.connect import with_client

    changes = take_changes(options)
    with_client(lambda client: client.keypairs.modify(access_key, **changes))


@click.command()
@click.argument("access_keys", nargs=-1, required=True)
@yes_option
def delete(access_keys: tuple[str, ...], is_sure: bool) -> None:
    """Remove the keypairs ACCESS_KEYS for good. To keep one, take `update --inactive`.

    The record of its sessions goes over to another keypair of the user.

    Example: backendai admin keypair delete AKIAEXAMPLE
    """
    ask_consent(f"Remove for good: {', '.join(access_keys)}?", is_sure=is_sure)
    do_to_each(access_keys, lambda client, access_key: client.keypairs.delete(access_key))
