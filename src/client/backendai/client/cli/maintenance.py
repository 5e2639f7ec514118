"""`admin manager` and `admin announcement`."""

import sys
from typing import TYPE_CHECKING, Final

import click

from backendai.client.cli.options import output_option, read_duration
from backendai.client.cli.render import Output, show_object

if TYPE_CHECKING:
    from backendai.client.client import Client

LOOK_SECONDS: Final = 1.0


@click.command()
@output_option
def status(output: Output) -> None:
    """Show whether the cluster runs or is frozen, how many sessions hold room, and which managers
    live.

    Example: backendai admin manager status --output json
    """
    from backendai.client.cli.connect import with_client

    standing = with_client(lambda client: client.cluster.standing())
    facts = {"status": standing.status, "active_sessions": standing.active_sessions}
    managers = ", ".join(f"{each['id']} ({each['version']})" for each in standing.nodes)
    more = {"nodes": list(standing.nodes)} if output == "json" else {"managers": managers}
    show_object({**facts, **more}, output)


@click.command()
@click.option("--wait", "is_waiting", is_flag=True, help="Until no session holds room any more.")
@click.option(
    "--max-wait",
    type=read_duration,
    metavar="TIME",
    help="Give up waiting after this time, such as 30s or 5m.",
)
@click.option("--force-kill", is_flag=True, help="End all sessions but those that wait.")
def freeze(is_waiting: bool, max_wait: int | None, force_kill: bool) -> None:
    """Let nothing new begin. What runs goes on; what waits keeps its place.

    Example: backendai admin manager freeze --wait --max-wait 10m
    """
    import asyncio

    from backendai.client.cli.connect import with_client
    from backendai.client.faults import WaitedTooLong

    async def work(client: "Client") -> None:
        await client.cluster.freeze(force_kill=force_kill)
        click.echo("The cluster is frozen.", err=True)
        try:
            async with asyncio.timeout(max_wait):
                # There is nothing to be told by: the manager is asked again and again.
                while is_waiting and await _is_busy(client):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise WaitedTooLong("Sessions still hold room; the cluster stays frozen.") from None

    with_client(work)


async def _is_busy(client: "Client") -> bool:
    return (await client.cluster.standing()).active_sessions > 0


@click.command()
def unfreeze() -> None:
    """Let sessions begin again; those that wait are placed at once.

    Example: backendai admin manager unfreeze
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.cluster.thaw())


@click.command()
def announcement() -> None:
    """Print what is announced, in Markdown; nothing when nothing is.

    Example: backendai admin announcement get
    """
    from backendai.client.cli.connect import with_client

    found = with_client(lambda client: client.cluster.announcement())
    click.echo(found.message if found.enabled else "Nothing is announced.", err=not found.enabled)


@click.command()
@click.option("--message", "-m", help="Markdown. Default: what comes from stdin.")
def announce(message: str | None) -> None:
    """Tell every user something.

    Example: backendai admin announcement update -m "**Back** at noon"
    """
    from backendai.client.cli.connect import with_client

    text = sys.stdin.read() if message is None else message
    if not text.strip():
        raise click.UsageError("Write what is announced; `delete` takes an announcement back.")
    with_client(lambda client: client.cluster.announce(text.strip()))


@click.command()
def unannounce() -> None:
    """Take the announcement back.

    Example: backendai admin announcement delete
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.cluster.announce(""))
