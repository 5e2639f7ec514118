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
from backendai.client.cli.render import Output, show_rows

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
@click.argument("agent_id", metavar="ID")
@click.argument("verb", required=False, type=click.Choice(["start", "stop", "restart"]))
def unit(agent_id: str, verb: str | None) -> None:
    """Show how the daemon of the node ID is, or start, stop or restart it; its kernels go on.

    The watcher of the node does it, so that it works while the daemon is down.

    Example: backendai admin agent unit node-3 restart
    """
    from backendai.client.cli.connect import with_client
    from backendai.common.contracts.watcher import UnitState, Verb

    async def ask(client: "Client") -> UnitState:
        if verb is None:
            return await client.agents.look_at_unit(agent_id)
        return await client.agents.change_unit(agent_id, Verb(verb))

    state = with_client(ask)
    told = f"  {state.status}" if state.status else ""
    click.echo(f"{state.unit}  {state.active} ({state.sub}){told}")


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


@click.command("join-token")
@click.option("--resource-group", default="default", show_default=True, help="Of the new node.")
@click.option(
    "--expires",
    type=read_duration,
    default="1h",
    show_default=True,
    metavar="TIME",
    help="How long it is good for, at most 7d.",
)
def join_token(resource_group: str, expires: int) -> None:
    """Print a token by which one machine may join the cluster, once. It is never shown again.

    Example: backendai admin agent join-token --resource-group gpu --expires 1h
    """
    from backendai.client.cli.connect import with_client

    made = with_client(
        lambda client: client.agents.make_join_token(resource_group, seconds=expires)
    )
    click.echo("On the node: backendai ag join URL-OF-A-MANAGER TOKEN", err=True)
    click.echo(f"Good until {made.expires_at}, for one node. The token:", err=True)
    click.echo(made.token)


@click.command("join-tokens")
@output_option
def join_tokens(output: Output) -> None:
    """List the tokens by which a machine may still join, without their texts.

    Example: backendai admin agent join-tokens
    """
    from backendai.client.cli.connect import with_client
    from backendai.common.contracts.joining import OpenToken

    found = with_client(lambda client: client.agents.list_join_tokens())
    if not found and output == "table":
        click.echo("No token is open.", err=True)
        return
    columns = OpenToken.__struct_fields__
    show_rows([{name: getattr(one, name) for name in columns} for one in found], columns, output)


@click.command("withdraw-token")
@click.argument("token_ids", metavar="IDS", nargs=-1, required=True)
def withdraw_token(token_ids: tuple[str, ...]) -> None:
    """Let no machine join by the tokens IDS any more; those that joined stay.

    Example: backendai admin agent withdraw-token 0199f6a2-3b1c-7e55-8d90-5f2c1a7b9e04
    """
    do_to_each(token_ids, lambda client, token_id: client.agents.withdraw_join_token(token_id))


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
    leaves the nodes paused. While the API is away it is asked again; a node that is lost is not
    waited for, and makes this command end with 7.

    Example: backendai admin agent drain node-3 --max-wait 2h
    """
    import asyncio

    from backendai.client.cli.connect import with_client
    from backendai.client.cli.progress import show_waiting
    from backendai.client.cli.resources.drain import Drain
    from backendai.client.faults import WaitedTooLong

    async def work(client: "Client") -> None:
        for agent_id in agent_ids:
            await client.agents.get(agent_id)
        for agent_id in agent_ids:
            await client.agents.pause(agent_id)
        click.echo(f"Paused: {', '.join(agent_ids)}; Ctrl-C leaves them so.", err=True)
        drain = Drain(client.agents, agent_ids, asyncio.sleep)

        async def look() -> str:
            return drain.told

        try:
            async with (
                asyncio.timeout(max_wait),
                show_waiting("waiting for containers", look),
            ):
                await drain.wait()
        except TimeoutError:
            raise WaitedTooLong(f"The nodes stay paused; {drain.told}") from None

    with_client(work)
    click.echo(f"Drained: {', '.join(agent_ids)}", err=True)
