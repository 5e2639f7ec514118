"""`session rename`, `restart`, `extend`, `terminate`."""

from typing import TYPE_CHECKING

import click

from backendai.client.cli.consent import do_to_each

if TYPE_CHECKING:
    from backendai.client.client import Client


@click.command()
@click.argument("session")
@click.argument("name")
def rename(session: str, name: str) -> None:
    """Give SESSION the new NAME.

    Example: backendai session rename demo trial
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.sessions.rename(session, name))


@click.command()
@click.argument("session")
def restart(session: str) -> None:
    """Start the containers of SESSION again; its files in /home/work stay.

    Example: backendai session restart demo
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.create import look_at
    from backendai.client.cli.progress import show_waiting

    async def work(client: "Client") -> None:
        look = look_at(client, session)
        async with show_waiting(f"{session} is being restarted", look):
            await client.sessions.restart(session)

    with_client(work)


@click.command()
@click.argument("session")
def extend(session: str) -> None:
    """Count SESSION as used now, so that it is not ended for being idle, and show what remains.

    How long a session may live at most is its policy's and not extended.

    Example: backendai session extend demo
    """
    from msgspec import structs

    from backendai.client.cli.connect import with_client
    from backendai.client.cli.render import show_lines
    from backendai.client.cli.summary import idle_lines

    found = with_client(lambda client: client.sessions.extend(session))
    show_lines(idle_lines({name: structs.asdict(check) for name, check in found.items()}))


@click.command()
@click.argument("sessions", nargs=-1, required=True)
@click.option("--forced", "-f", is_flag=True, help="Also when it is stuck.")
@click.option("--recursive", "-r", is_flag=True, help="Also the sessions that depend on it.")
def terminate(sessions: tuple[str, ...], forced: bool, recursive: bool) -> None:
    """End SESSIONS. All are tried; the exit code is that of the first that failed.

    Example: backendai session terminate demo trial
    """
    do_to_each(
        sessions,
        lambda client, session: client.sessions.destroy(
            session, forced=forced, recursive=recursive
        ),
    )
