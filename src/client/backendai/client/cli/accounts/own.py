"""`account`: what everybody may do with the own account."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from backendai.client.cli.consent import ask_consent, yes_option
from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, show_object

if TYPE_CHECKING:
    from backendai.client.client import Client


@click.command()
@output_option
def whoami(output: Output) -> None:
    """Show who you are, and the keypair that signs.

    Example: backendai account whoami --output json
    """
    from backendai.client.cli.accounts.options import facts_of
    from backendai.client.cli.connect import with_client

    identity = with_client(lambda client: client.account.whoami())
    user, keypair = facts_of(identity.user), facts_of(identity.keypair)
    if output == "json":
        show_object({"user": user, "keypair": keypair}, output)
        return
    seen = ("email", "full_name", "role", "domain", "projects")
    shown: dict[str, Any] = {name: user[name] for name in seen}
    shown["projects"] = ", ".join(user["projects"]) or None
    for name in ("access_key", "resource_policy", "concurrency_used", "rate_limit"):
        shown[name] = keypair[name]
    show_object(shown, output)


@click.command()
def password() -> None:
    """Change your password. Both are asked for, or read as two lines of stdin.

    Example: backendai account password
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.secrecy import read_password

    old = read_password(None, "Present password")
    new = read_password(None, "New password", is_new=True)
    with_client(lambda client: client.account.change_password(old, new))
    click.echo("The password is changed.", err=True)


@click.command()
@click.argument("name")
def full_name(name: str) -> None:
    """Change your full name to NAME.

    Example: backendai account full-name "Ann Example"
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.account.set_full_name(name))


@click.command()
@click.option("--renew", "is_renewed", is_flag=True, help="Make a fresh one; print both halves.")
@click.option("--public", type=click.File(), help="File with your own public half.")
@click.option("--private", type=click.File(), help="File with its private half.")
@output_option
def ssh_keypair(is_renewed: bool, public: Any, private: Any, output: Output) -> None:
    """Show the public half of your SSH key pair, or replace the pair.

    \b
    Examples:
      backendai account ssh-keypair
      backendai account ssh-keypair --renew
      backendai account ssh-keypair --public id_ed25519.pub --private id_ed25519
    """
    from backendai.client.cli.connect import with_client

    if bool(public) != bool(private) or (is_renewed and public):
        raise click.UsageError("Give --renew, or both --public and --private, or none of them.")
    if public:
        halves = public.read().strip(), private.read()
        with_client(lambda client: client.account.set_ssh_keypair(*halves))
        return
    if not is_renewed:
        found = with_client(lambda client: client.account.ssh_public_key())
        _show_keys({"ssh_public_key": found}, output)
        return
    made = with_client(lambda client: client.account.renew_ssh_keypair())
    keys = {"ssh_public_key": made.ssh_public_key, "ssh_private_key": made.ssh_private_key}
    _show_keys(keys, output)


def _show_keys(keys: Mapping[str, str | None], output: Output) -> None:
    """Plain texts for files; a private half has many lines, which a table would break."""
    if output != "table":
        show_object(keys, output)
    elif not keys["ssh_public_key"]:
        click.echo("There is none; --renew makes one.", err=True)
    else:
        for text in keys.values():
            click.echo((text or "").strip())


@click.command()
@yes_option
def sign_out(is_sure: bool) -> None:
    """Switch your account and its keypairs off. The password is asked for, or read from stdin.

    Example: backendai account sign-out
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.secrecy import read_password

    async def work(client: "Client") -> None:
        await client.account.sign_out(secret)

    ask_consent("Switch your account off?", is_sure=is_sure)
    secret = read_password(None, "Password")
    with_client(work)
