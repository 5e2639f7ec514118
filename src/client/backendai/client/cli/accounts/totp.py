"""`totp`: the second factor of the own account."""

from typing import TYPE_CHECKING

import click

from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, show_object

if TYPE_CHECKING:
    from backendai.client.client import Client


@click.command()
@output_option
def status(output: Output) -> None:
    """Show whether your logins ask for a code.

    Example: backendai totp status
    """
    from backendai.client.cli.connect import with_client

    found = with_client(lambda client: client.totp.status())
    show_object({"active": found.is_active, "activated_at": found.activated_at}, output)


@click.command()
def enable() -> None:
    """Let your logins ask for a code of your device.

    Prints a key for your authenticator app; the code that it shows then is asked for, or read as a
    line of stdin.

    \b
    Examples:
      backendai totp enable
      backendai totp enable | head -1 | qrencode -t utf8
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.secrecy import read_password

    async def work(client: "Client") -> None:
        made = await client.totp.enrol()
        click.echo(f"{made.uri}\n{made.key}")
        click.echo("Put this key into your authenticator app. It is not shown again.", err=True)
        await client.totp.activate(read_password(None, "One-time code"))

    with_client(work)
    click.echo("Your logins ask for a code from now on.", err=True)


@click.command()
@click.option("--otp", metavar="CODE", help="The code that your device shows now.")
def disable(otp: str | None) -> None:
    """Let your password alone be enough to log in. Asks for a code, or reads a line of stdin.

    \b
    Examples:
      backendai totp disable
      backendai totp disable --otp 123456
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.secrecy import read_password

    code = otp or read_password(None, "One-time code")
    with_client(lambda client: client.totp.remove(code))
    click.echo("Your password alone is enough to log in from now on.", err=True)
