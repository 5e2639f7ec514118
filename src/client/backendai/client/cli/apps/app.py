"""`app`: a local port, or standard input and output, that lead to an app of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from backendai.client.apps.apps import Apps
    from backendai.client.apps.rows import App, AppOptions
    from backendai.client.client import Client

_WEB = "http"


def read_bind(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[str, int]:
    """Host and port of `PORT`, `HOST:PORT` or `[ADDRESS]:PORT`. Raises BadParameter."""
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter("write a port such as 8888, or 127.0.0.1:8888")
    return host.strip("[]") or "127.0.0.1", int(port)


def _options(port: int | None, arguments: tuple[str, ...], envs: tuple[str, ...]) -> AppOptions:
    """Of `NAME=VALUE`; an argument may be a `NAME` alone. Raises BadParameter."""
    from backendai.client.apps.rows import AppOptions

    if any("=" not in word for word in envs):
        raise click.BadParameter("write NAME=VALUE", param_hint="--env")
    split = [word.partition("=") for word in arguments]
    return AppOptions(
        port=port,
        arguments={name: value if equals else None for name, equals, value in split},
        envs={name: value for name, _, value in (word.partition("=") for word in envs)},
    )


@click.command()
@click.argument("session")
@click.argument("name", required=False, metavar="[APP]")
@click.option(
    "--bind",
    "-b",
    callback=read_bind,
    metavar="[HOST:]PORT",
    default="127.0.0.1:0",
    help="Where to listen; else a free port.",
)
@click.option("--stdio", is_flag=True, help="Carry standard input and output in place of a port.")
@click.option("--port", type=click.IntRange(1, 65535), help="Which one of the app's ports.")
@click.option(
    "--arg",
    "-a",
    "arguments",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="An option of the app's command line, where this starts it.",
)
@click.option(
    "--env",
    "-e",
    "envs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable of the app, where this starts it.",
)
def app(
    session: str,
    name: str | None,
    bind: tuple[str, int],
    stdio: bool,
    port: int | None,
    arguments: tuple[str, ...],
    envs: tuple[str, ...],
) -> None:
    """Lead a local port to APP of SESSION until interrupted; without APP, list what there is.

    \b
    Examples:
      backendai app demo
      backendai app demo jupyterlab -b 8888
      ssh -o ProxyCommand='backendai app --stdio demo sshd' work@demo
    """
    from backendai.client.cli.connect import with_client

    if name is None:
        for one in with_client(lambda client: client.apps.list(session)):
            click.echo(f"{one.name}\t{one.protocol}\t{','.join(map(str, one.ports))}")
        return
    options = _options(port, arguments, envs)
    if stdio:
        with_client(lambda client: _carry_stdio(client, session, name, options))
    else:
        with_client(lambda client: _listen(client, session, name, bind, options))


async def _listen(
    client: Client, session: str, name: str, bind: tuple[str, int], options: AppOptions
) -> None:
    import asyncio

    found = await find_app(client.apps, session, name)
    tunnel = await client.apps.open_tunnel(
        session,
        name,
        options,
        host=bind[0],
        local_port=bind[1],
        on_fault=lambda fault: click.echo(str(fault), err=True),
    )
    async with tunnel:
        host, port = tunnel.address
        scheme = "http" if found.protocol == _WEB else "tcp"
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        click.echo(f"{name} of {session} is at {scheme}://{address} until Ctrl+C")
        await asyncio.Event().wait()


async def _carry_stdio(client: Client, session: str, name: str, options: AppOptions) -> None:
    """What ssh starts as its ProxyCommand."""
    from backendai.client.apps.tunnel import carry
    from backendai.client.cli.apps.streams import open_stdio

    async with client.apps.pipe(session, name, options) as pipe:
        await carry(pipe, *await open_stdio(), ends_with_app=True)


async def find_app(apps: Apps, session: str, name: str) -> App:
    """Raises AppNotFound with the names that there are."""
    from backendai.common.faults import AppNotFound

    found = await apps.list(session)
    for one in found:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in found) or "none"
    raise AppNotFound(f"{name!r}; the session has {known}")
