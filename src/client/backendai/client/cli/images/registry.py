"""`admin registry`: where images come from. A password is typed, or in a variable or stdin."""

from typing import Any

import click

from backendai.client.cli.consent import ask_consent, yes_option
from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, show_rows

COLUMNS = ("hostname", "url", "type", "project", "username", "password", "ssl_verify")
TYPES = click.Choice(["docker", "harbor2"])
_password_env = click.option(
    "--password-env", metavar="NAME", help="Environment variable with the password."
)


@click.command("list")
@output_option
def list_registries(output: Output) -> None:
    """List registries; of a password only whether there is one.

    Example: backendai admin registry list --output json
    """
    from msgspec import structs

    from backendai.client.cli.connect import with_client

    rows = [
        {"hostname": each.hostname, **structs.asdict(each.config)}
        for each in with_client(lambda client: client.registries.list())
    ]
    show_rows(rows, COLUMNS, output)


@click.command()
@click.argument("hostname")
@click.argument("url")
@click.option("--type", "kind", type=TYPES, default="docker", show_default=True)
@click.option("--project", "projects", multiple=True, help="Only this project; repeat it.")
@click.option("--username", help="Who logs in; the password is asked for, or read from stdin.")
@_password_env
@click.option("--no-ssl-verify", "is_lax", is_flag=True, help="Trust any certificate.")
def add(
    hostname: str,
    url: str,
    kind: str,
    projects: tuple[str, ...],
    username: str | None,
    password_env: str | None,
    is_lax: bool,
) -> None:
    """Add a registry whose images are named HOSTNAME/….

    \b
    Examples:
      backendai admin registry add cr.example.com https://cr.example.com
      backendai admin registry add cr.example.com https://cr.example.com --username robot < secret
      backendai admin registry add cr.example.com https://cr.example.com --username robot \
        --password-env ROBOT_PASSWORD
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.secrecy import read_password

    if password_env and not username:
        raise click.UsageError("--password-env needs --username.")
    password = read_password(password_env, "Password") if username else ""
    with_client(
        lambda client: client.registries.add(
            hostname,
            url,
            type=kind,
            project=projects,
            username=username or "",
            password=password,
            ssl_verify=not is_lax,
        )
    )


@click.command()
@click.argument("hostname")
@click.option("--url")
@click.option("--type", "kind", type=TYPES)
@click.option("--project", "projects", multiple=True, help="Only this project; repeat it.")
@click.option("--all-projects", "is_all", is_flag=True, help="All projects again.")
@click.option("--username", help="Empty: nobody logs in any more, and the password is gone.")
@click.option("--password", "is_asked", is_flag=True, help="Ask for a new one, or read stdin.")
@_password_env
@click.option(
    "--ssl-verify/--no-ssl-verify", default=None, help="Check certificates, or trust any."
)
def update(
    hostname: str,
    url: str | None,
    kind: str | None,
    projects: tuple[str, ...],
    is_all: bool,
    username: str | None,
    is_asked: bool,
    password_env: str | None,
    ssl_verify: bool | None,
) -> None:
    """Change a registry; what is not named stays.

    Example: backendai admin registry update cr.example.com --password < secret
    """
    from backendai.client.cli.connect import with_client

    if username == "" and (is_asked or password_env):
        raise click.UsageError("Without a username there is no password.")
    given: dict[str, Any] = {
        "url": url,
        "type": kind,
        "project": list(projects) if projects or is_all else None,
        "username": username,
        "password": "" if username == "" else _read_new(password_env, is_asked=is_asked),
        "ssl_verify": ssl_verify,
    }
    props = {name: value for name, value in given.items() if value is not None}
    if not props:
        raise click.UsageError("Say what shall change; see --help.")
    with_client(lambda client: client.registries.modify(hostname, props))


@click.command()
@click.argument("hostname")
@yes_option
def delete(hostname: str, is_sure: bool) -> None:
    """Delete a registry. Its images stay known until they are forgotten.

    Example: backendai admin registry delete cr.example.com
    """
    from backendai.client.cli.connect import with_client

    ask_consent(f"Delete the registry {hostname} and its password?", is_sure=is_sure)
    with_client(lambda client: client.registries.delete(hostname))


def _read_new(variable: str | None, *, is_asked: bool) -> str | None:
    """A new password where one is told of. Raises UsageError when it is empty."""
    from backendai.client.cli.secrecy import read_password

    if not (is_asked or variable):
        return None
    return read_password(variable, "New password", is_new=True)
