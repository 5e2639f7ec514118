"""`login` and `logout`: commands by the login of a person, in place of keys."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from backendai.client.config import Config


@click.command()
@click.argument("user", required=False)
@click.option("--otp", metavar="CODE", help="One-time code of your second factor.")
def login(user: str | None, otp: str | None) -> None:
    """Log in at a webserver; commands work through it from then on.

    The password is asked for, or read as a line of stdin.

    \b
    Example:
      export BACKEND_ENDPOINT=http://127.0.0.1:8090 BACKEND_ENDPOINT_TYPE=session
      backendai login ann@example.com
    """
    import asyncio

    from backendai.client.cli.secrecy import read_password
    from backendai.client.config import Config
    from backendai.client.login_file import LoginFile
    from backendai.client.logins import OtpWanted

    config = Config.of_webserver()
    name = user or click.prompt("User ID", err=True)
    password = read_password(None, "Password")
    try:
        logged_in = asyncio.run(_log_in(config, name, password, otp or ""))
    except OtpWanted:
        code = read_password(None, "One-time code")
        logged_in = asyncio.run(_log_in(config, name, password, code))
    LoginFile.find().keep(config.endpoints, logged_in.token)
    click.echo("Logged in. End it with: backendai logout", err=True)


@click.command()
def logout() -> None:
    """Log out; the token is of no use from then on.

    Example: backendai logout
    """
    import asyncio

    from backendai.client.config import Config
    from backendai.client.login_file import LoginFile
    from backendai.client.logins import log_out
    from backendai.client.plain import PlainTransport

    config = Config.of_webserver()
    if config.token:
        asyncio.run(log_out(config, transport=PlainTransport(config)))
    LoginFile.find().drop(config.endpoints)
    click.echo("Logged out.", err=True)


async def _log_in(config: "Config", user: str, password: str, otp: str) -> "Config":
    from backendai.client.logins import log_in
    from backendai.client.plain import PlainTransport

    return await log_in(config, user, password, otp=otp, transport=PlainTransport(config))
