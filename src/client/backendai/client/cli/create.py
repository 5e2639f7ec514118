"""`session create`, and starting a session for `run`."""

import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import click

from backendai.client.cli.options import creation_options, take_creation

if TYPE_CHECKING:
    from backendai.client.client import Client
    from backendai.client.results import Created, NewSession

ENDED: Final = ("ERROR", "CANCELLED", "TERMINATED")
LAST_LOOK_SECONDS: Final = 3.0


@click.command()
@creation_options
@click.option(
    "--type",
    "session_type",
    type=click.Choice(["interactive", "batch", "inference"]),
    default="interactive",
    show_default=True,
)
@click.option("--startup-command", "-c", help="Command of a batch session.")
@click.option("--starts-at", help="Start of a batch session: ISO time, or relative such as 1h.")
@click.option("--depends", "dependencies", multiple=True, help="Session that must succeed first.")
@click.option("--reuse", is_flag=True, help="Take a running session of this name and image.")
@click.option("--enqueue-only", is_flag=True, help="Do not wait until it runs.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table")
def create(**options: Any) -> None:
    """Start a session and wait until it runs.

    \b
    Examples:
      backendai session create --name demo
      backendai session create --name big --image python:3.11 -r cpu=4 -r mem=8g
      backendai session create --type batch --startup-command 'python train.py' -e SEED=1
      backendai session create --name later --depends demo --enqueue-only
    """
    from backendai.client.cli.connect import with_client

    if options["session_type"] == "batch" and not options["startup_command"]:
        raise click.UsageError("A batch session needs --startup-command.")
    more = {
        "type": options["session_type"],
        "startup_command": options["startup_command"],
        "starts_at": options["starts_at"],
        "dependencies": options["dependencies"],
        "reuse": options["reuse"],
        "enqueue_only": options["enqueue_only"],
        **take_creation(options),
    }

    async def work(client: "Client") -> int:
        name = options["name"] or new_name()
        new = await plan_session(client, options["image"], name, more)
        created = await start(client, new)
        return await tell_created(client, created, options["output"])

    click.get_current_context().exit(with_client(work))


def new_name() -> str:
    return f"session-{secrets.token_hex(4)}"


async def plan_session(
    client: "Client", image: str | None, name: str, more: dict[str, Any]
) -> "NewSession":
    """What to start, with an image chosen where none is given. Raises BadUsage."""
    from backendai.client.faults import BadUsage
    from backendai.client.results import NewSession

    if image is None:
        default = await client.images.find_default()
        if default is None:
            raise BadUsage(
                "The server knows no image: `docker pull` one on a node, or add a registry "
                "(`backendai admin registry add`)."
            )
        image = default.reference
    return NewSession(image=image, name=name, **more)


async def start(client: "Client", new: "NewSession", *, is_kept: bool = True) -> "Created":
    """Creates a session and tells why it waits, and what Ctrl-C does to it: `is_kept` says whether
    the caller leaves it there."""
    return await watch(client, new.name, client.sessions.create(new), is_kept=is_kept)


async def watch(
    client: "Client", name: str, creation: Awaitable["Created"], *, is_kept: bool = True
) -> "Created":
    """What `creation` gives, while people are told what the session called `name` waits for."""
    from asyncio import CancelledError

    from backendai.client.cli.progress import show_waiting

    on_interrupt = "Ctrl-C leaves it in the queue" if is_kept else "Ctrl-C ends it"
    look = look_at(client, name, on_interrupt)
    try:
        async with show_waiting(f"{name} is asked for; the server has not answered yet", look):
            return await creation
    except CancelledError:
        await _tell_interrupted(client, name, is_kept=is_kept)
        raise


def look_at(client: "Client", session: str, on_interrupt: str = "") -> Callable[[], Awaitable[str]]:
    """What a session waits for, asked anew at each call; empty while nothing is known."""
    from backendai.client.cli.summary import waiting_text
    from backendai.common.faults import Fault, Unavailable

    async def look() -> str:
        try:
            answer = await client.sessions.why(session)
        except Unavailable:
            return f"{session}: the API does not answer; it is asked again"
        except Fault:
            return ""  # not there yet; the request itself tells what is wrong
        return waiting_text(session, answer, on_interrupt)

    return look


async def _tell_interrupted(client: "Client", name: str, *, is_kept: bool) -> None:
    """What happens now to a session that nobody waits for any more."""
    from asyncio import timeout

    from backendai.common.faults import Fault

    if not is_kept:
        click.echo(f"interrupted: {name} is being ended", err=True)
        return
    try:
        async with timeout(LAST_LOOK_SECONDS):
            status = (await client.sessions.why(name)).status
    except (Fault, TimeoutError):
        click.echo(f"interrupted: whether {name} was created is unknown", err=True)
    else:
        click.echo(f"interrupted: {name} stays and is {status}", err=True)
    click.echo(f"  See: backendai session why {name}", err=True)
    click.echo(f"  End it: backendai session terminate {name}", err=True)


async def explain_unstarted(client: "Client", created: "Created") -> int:
    """Tells why a session does not run, and gives the exit code for it."""
    from backendai.client.cli.exits import FAILED, WAITED
    from backendai.client.cli.summary import waiting_text
    from backendai.client.results import WAIT_ENDED

    answer = await client.sessions.why(created.session_id)
    if created.status == WAIT_ENDED:
        click.echo(f"error: {waiting_text(created.session_name, answer)}", err=True)
        click.echo(f"  Ask again: backendai session why {created.session_name}", err=True)
        return WAITED
    click.echo(f"error: {created.session_name} is {created.status}: {answer.text}", err=True)
    return FAILED


async def tell_created(client: "Client", created: "Created", output: str) -> int:
    """Prints what was made, and gives the exit code for it."""
    from msgspec import json

    from backendai.client.results import WAIT_ENDED

    if output == "json":
        click.echo(json.encode(created))
    if created.status in (*ENDED, WAIT_ENDED):
        return await explain_unstarted(client, created)
    if output != "json":
        found = "" if created.created else " (it was there already)"
        click.echo(f"{created.session_name} {created.session_id} {created.status}{found}")
    return 0
