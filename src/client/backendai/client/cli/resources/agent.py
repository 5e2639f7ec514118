"""`admin agent`."""

from typing import TYPE_CHECKING, Final

import click

from backendai.client.cli.accounts.options import (
    columns_option,
    page_options,
    show_listing,
    show_one,
)
from backendai.client.cli.consent import do_to_each
from backendai.client.cli.options import output_option, read_duration
from backendai.client.cli.render import Output

if TYPE_CHECKING:
    from backendai.client.client import Client

SEEN: Final = (
    "id",
    "status",
    "schedulable",
    "resource_group",
    "container_count",
    "occupied_slots",
    "available_slots",
)
LOOK_SECONDS: Final = 1.0

_ids = click.argument("agent_ids", metavar="IDS", nargs=-1, required=True)


@click.command("list")
@click.option("--status", help="Only such ones: ALIVE, LOST or TERMINATED, or several with commas.")
@click.option("--resource-group", help="Only those of this resource group.")
@page_options("schedulable == true", "id")
@columns_option
@output_option
def list_all(
    status: str | None,
    resource_group: str | None,
    condition: str | None,
    order: str,
    limit: int,
    columns: str | None,
    output: Output,
) -> None:
    """List nodes.

    Example: backendai admin agent list --status LOST
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.resources.rows import Agent

    rows = with_client(
        lambda client: client.agents.list(
            status=status,
            resource_group=resource_group,
            condition=condition,
            order=order,
            rows_max=limit,
        )
    )
    show_listing(rows, Agent, SEEN, columns, output, limit)


@click.command()
@click.argument("agent_id", metavar="ID")
@output_option
def info(agent_id: str, output: Output) -> None:
    """Show the node ID: what it has, and what is used of it.

    Example: backendai admin agent info node-3 --output json
    """
    from backendai.client.cli.connect import with_client

    show_one(with_client(lambda client: client.agents.get(agent_id)), output)


@click.command()
@_ids
def pause(agent_ids: tuple[str, ...]) -> None:
    """Place no new sessions on the nodes IDS; those they have run on.

    Example: backendai admin agent pause node-3
    """
    do_to_each(agent_ids, lambda client, agent_id: client.agents.pause(agent_id))


@click.command()
@_ids
def resume(agent_ids: tuple[str, ...]) -> None:
    """Place sessions on the nodes IDS again, also on such as were fenced.

    Example: backendai admin agent resume node-3
    """
    do_to_each(agent_ids, lambda client, agent_id: client.agents.resume(agent_id))


@click.command()
@_ids
@click.option(
    "--max-wait",
    type=read_duration,
    metavar="TIME",
    help="Give up waiting after this time, such as 30m or 2h; the nodes stay paused.",
)
def drain(agent_ids: tuple[str, ...], max_wait: int | None) -> None:
    """Pause the nodes IDS, and wait until no container holds room on them.

    Nothing is ended: batch sessions come to their end, others are ended by their owners. Ctrl-C
    leaves the nodes paused.

    Example: backendai admin agent drain node-3 --max-wait 2h
    """
    import asyncio

    from backendai.client.cli.connect import with_client
    from backendai.client.cli.progress import show_waiting
    from backendai.client.faults import WaitedTooLong

    async def what_is_left(client: "Client") -> str:
        left = {each: (await client.agents.get(each)).container_count for each in agent_ids}
        told = ", ".join(f"{count} on {each}" for each, count in left.items() if count)
        return told and f"containers that hold room: {told}"

    async def work(client: "Client") -> None:
        for agent_id in agent_ids:
            await client.agents.get(agent_id)
        for agent_id in agent_ids:
            await client.agents.pause(agent_id)
        click.echo(f"Paused: {', '.join(agent_ids)}; Ctrl-C leaves them so.", err=True)
        try:
            async with (
                asyncio.timeout(max_wait),
                show_waiting("waiting for containers", lambda: what_is_left(client)),
            ):
                # There is nothing to be told by: the manager is asked again and again.
                while await what_is_left(client):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            if left := await what_is_left(client):
                raise WaitedTooLong(f"The nodes stay paused; {left}") from None

    with_client(work)
    click.echo(f"Drained: {', '.join(agent_ids)}", err=True)
