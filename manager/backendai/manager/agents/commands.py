"""`backendai mgr agent …`: what an operator sees and does about nodes."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from backendai.manager.console import (
    ask_consent,
    config_option,
    find_operator,
    log_as_manager,
    open_changes,
    output_option,
    read_settings,
    with_database,
    yes_option,
)

if TYPE_CHECKING:
    from backendai.common.ids import AgentId
    from backendai.manager.db.engine import Database
    from backendai.manager.settings import ManagerSettings

    from .service import Agents

T = TypeVar("T")


def _read_id(_ctx: click.Context, _param: click.Parameter, text: str) -> AgentId:
    from backendai.common.ids import AgentId

    return AgentId(text)


_id_argument = click.argument("agent_id", metavar="ID", callback=_read_id)


@click.group()
def agent() -> None:
    """The nodes: which there are, and what to do with one that is lost.

    \b
    Examples:
      backendai mgr agent list
      backendai mgr agent fence node-3
      backendai mgr agent resume node-3
    """


@agent.command("list")
@output_option
@config_option
@click.pass_context
def agent_list(ctx: click.Context, output: str, config_path: Path | None) -> None:
    """Every node: status, slots, kernels, and when it was heard last."""
    from .render import agent_object, agents_table

    views = _with_agents(read_settings(ctx, config_path), lambda agents: agents.list_views())
    if output == "json":
        click.echo(json.dumps([agent_object(view) for view in views], indent=2))
    else:
        click.echo("\n".join(agents_table(views)))


@agent.command("fence")
@_id_argument
@click.option("--force", "is_forced", is_flag=True, help="Also a node that has just been heard.")
@yes_option
@output_option
@config_option
@click.pass_context
def agent_fence(
    ctx: click.Context,
    agent_id: AgentId,
    is_forced: bool,
    is_sure: bool,
    output: str,
    config_path: Path | None,
) -> None:
    """Promise that node ID is dead: end what it runs, and free its room.

    If it comes back, it is told to remove what was written off, and gets no new sessions before
    `backendai mgr agent resume`.
    """
    from .render import fence_lines, fence_object

    settings = read_settings(ctx, config_path)
    if not is_sure:
        foreseen = _with_agents(
            settings, lambda agents: agents.preview_fence(agent_id, is_forced=is_forced)
        )
        click.echo("\n".join(fence_lines(foreseen, "would end")), err=True)
    ask_consent(f"Is {agent_id} dead for sure?", is_sure=is_sure)
    done = _with_agents(settings, lambda agents: agents.fence(agent_id, is_forced=is_forced))
    if output == "json":
        click.echo(json.dumps(fence_object(done), indent=2))
    else:
        click.echo("\n".join([*fence_lines(done, "ended"), f"{agent_id} is fenced"]))


@agent.command("pause")
@_id_argument
@config_option
@click.pass_context
def agent_pause(ctx: click.Context, agent_id: AgentId, config_path: Path | None) -> None:
    """Place no new sessions on node ID; those it has run on."""
    was = _with_agents(read_settings(ctx, config_path), lambda agents: agents.pause(agent_id))
    click.echo(f"{agent_id} {'gets no new sessions' if was.schedulable else 'was paused already'}")


@agent.command("resume")
@_id_argument
@config_option
@click.pass_context
def agent_resume(ctx: click.Context, agent_id: AgentId, config_path: Path | None) -> None:
    """Take node ID into use again that was paused or fenced, or distrusted for its silences."""
    from backendai.common.enums import AgentStatus

    was = _with_agents(read_settings(ctx, config_path), lambda agents: agents.resume(agent_id))
    click.echo(f"{agent_id} may get new sessions")
    if was.status is not AgentStatus.ALIVE:
        click.echo("  once it has been heard for a while: `backendai mgr agent list` shows ALIVE")
    if was.halted:
        click.echo(f"  it holds back stops until managers order each again: {was.halted}")


def _with_agents(settings: ManagerSettings, work: Callable[[Agents], Awaitable[T]]) -> T:
    """Whoever acts is named in the logs."""
    from backendai.common.clock import SystemClock
    from backendai.manager.gate.actor import local_administrator

    from .model import Patience
    from .service import Agents

    log_as_manager(settings)
    own = settings.manager
    patience = Patience.of_timeouts(own.heartbeat_timeout, own.agent_lost_after)
    actor = local_administrator(find_operator())

    async def run(database: Database) -> T:
        changes = open_changes(database)
        return await work(Agents(database, changes, SystemClock(), patience, actor))

    return with_database(settings, run)
