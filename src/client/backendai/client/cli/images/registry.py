"""`admin registry`: where images come from. A password is typed, or comes from stdin."""

import sys
from typing import Any

import click

from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, show_rows

COLUMNS = ("hostname", "url", "type", "project", "username", "password", "ssl_verify")
TYPES = click.Choice(["docker", "harbor2"])


@click.command("list")
@output_option
def list_registries(output: Output) -> None:
    """List registries; of a password only whether there is one."""
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
@click.option("--no-ssl-verify", "is_lax", is_flag=True, help="Trust any certificate.")
def add(
    hostname: str,
    url: str,
    kind: str,
    projects: tuple[str, ...],
    username: str | None,
    is_lax: bool,
) -> None:
    """Add a registry whose images are named HOSTNAME/….

    \b
    Examples:
      backendai admin registry add cr.example.com https://cr.example.com
      backendai admin registry add cr.example.com https://cr.example.com --username robot < secret
    """
    from backendai.client.cli.connect import with_client

    password = _read_password() if username else ""
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
@click.option("--username", help="Empty: nobody logs in any more.")
@click.option("--password", "with_password", is_flag=True, help="Ask for it, or read stdin.")
@click.option(
    "--ssl-verify/--no-ssl-verify", default=None, help="Check certificates, or trust any."
)
def modify(
    hostname: str,
    url: str | None,
    kind: str | None,
    projects: tuple[str, ...],
    is_all: bool,
    username: str | None,
    with_password: bool,
    ssl_verify: bool | None,
) -> None:
    """Change a registry; what is not named stays.

    Example: backendai admin registry modify cr.example.com --password < secret
    """
    from backendai.client.cli.connect import with_client

    given: dict[str, Any] = {
        "url": url,
        "type": kind,
        "project": list(projects) if projects or is_all else None,
        "username": username,
        "password": _read_password() if with_password else "" if username == "" else None,
        "ssl_verify": ssl_verify,
    }
    props = {name: value for name, value in given.items() if value is not None}
    if not props:
        raise click.UsageError("Say what shall change; see --help.")
    with_client(lambda client: client.registries.modify(hostname, props))


@click.command()
@click.argument("hostname")
def delete(hostname: str) -> None:
    """Delete a registry. Its images stay known until they are forgotten."""
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.registries.delete(hostname))


def _read_password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, err=True))
    return sys.stdin.readline().rstrip("\n")
