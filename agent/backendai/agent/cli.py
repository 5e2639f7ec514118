"""The `backendai ag` commands. Heavy modules are imported when a command runs."""

import sys
from pathlib import Path

import click

CONFIG_OPTION = click.option(
    "-f",
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Settings file; by default agent.toml here, in ~/.config/backend.ai, /etc/backend.ai.",
)


@click.group()
def ag() -> None:
    """The agent: the daemon of one node.

    \b
    Examples:
      backendai ag join https://manager.example.com join-…
      backendai ag start-server -f agent.toml
      backendai ag show-config > agent.toml
    """


@ag.command("start-server")
@CONFIG_OPTION
def start_server(config: Path | None) -> None:
    """Run the agent until SIGTERM; containers go on without it."""
    from backendai.common.failpoints import arm_from_environment
    from backendai.common.faults import Fault
    from backendai.common.logs import configure
    from backendai.common.settings.load import load_settings

    from .app import serve
    from .settings import AgentSettings

    try:
        settings = load_settings(AgentSettings, "agent", config)
        configure(settings.logging)
        arm_from_environment()
        serve(settings)
    except (Fault, ValueError) as error:
        click.echo(f"agent: {error}", err=True)
        sys.exit(1)


@ag.command("join")
@click.argument("manager", metavar="URL")
@click.argument("token", required=False, envvar="BACKEND_JOIN_TOKEN")
@click.option("--id", "agent_id", help="Name of the node; by default `i-` and the host's name.")
@click.option("--host", help="Address of this machine for managers and app proxies.")
@click.option("--rpc-port", type=click.IntRange(1, 65535), help="By default 6001.")
@click.option("--relay-port", type=click.IntRange(1, 65535), help="By default 6002.")
@click.option(
    "--etcd",
    metavar="HOST:PORT",
    multiple=True,
    help="Where this machine reaches etcd; once for each member.",
)
@click.option(
    "-f",
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("/etc/backend.ai/agent.toml"),
    show_default=True,
    help="What is written, with the keys beside it.",
)
@click.option("--start", "is_started", is_flag=True, help="Enable and start the unit at once.")
def join(
    manager: str,
    token: str | None,
    agent_id: str | None,
    host: str | None,
    rpc_port: int | None,
    relay_port: int | None,
    etcd: tuple[str, ...],
    config: Path,
    is_started: bool,
) -> None:
    """Make this machine a node of the cluster whose manager answers at URL.

    TOKEN is from `backendai admin agent join-token`. Other users of this machine can read what
    stands on a command line: put it into BACKEND_JOIN_TOKEN, or say - to have it read from stdin.
    The key of the node is made here and never leaves it. Run it again if it was interrupted, or
    where the managers have moved to, with the agent stopped: sessions go on, and what is not said
    stays as it is.

    \b
    Examples:
      backendai ag join https://manager.example.com join-…
      backendai ag join http://10.0.0.1:8081 - --start < token
    """
    import asyncio

    from backendai.common.faults import Fault

    from .joining.decide import Plan, check_manager, judge_transport, read_place
    from .joining.join import join as join_cluster
    from .joining.join import start_unit
    from .registration import name_node

    if token == "-":  # noqa: S105 - no token
        token = sys.stdin.readline().strip()
    if not token:
        raise click.UsageError("a TOKEN is needed: `backendai admin agent join-token` makes one")
    try:
        plan = Plan(
            manager=manager,
            token=token,
            config=config,
            agent_id=name_node(agent_id),
            host=host,
            rpc_port=rpc_port,
            relay_port=relay_port,
            etcd=tuple(map(read_place, etcd)),
        )
        check_manager(manager)
        if warning := judge_transport(manager):
            click.echo(f"join: {warning}.", err=True)
        written = asyncio.run(join_cluster(plan))
        group = written["agent"]["resource-group"]
        click.echo(f"{plan.agent_id} has joined resource group {group}: {config} is written.")
        click.echo(start_unit(is_wanted=is_started))
    except (Fault, OSError) as error:
        click.echo(f"join: {error}", err=True)
        sys.exit(1)


@ag.command("start-watcher")
@CONFIG_OPTION
def start_watcher(config: Path | None) -> None:
    """Run the watcher until SIGTERM: managers start, stop and restart the agent's unit by it."""
    from backendai.common.faults import Fault
    from backendai.common.logs import configure
    from backendai.common.settings.load import load_settings

    from .settings import AgentSettings
    from .watcher import serve

    try:
        settings = load_settings(AgentSettings, "agent", config)
        configure(settings.logging)
        serve(settings)
    except Fault as fault:
        click.echo(f"watcher: {fault}", err=True)
        sys.exit(1)


@ag.command("purge")
@CONFIG_OPTION
def purge(config: Path | None) -> None:
    """Remove every kernel, network and firewall rule of this agent from the node.

    Stop the agent first: it would make again what managers want.
    """
    from backendai.common.faults import Fault
    from backendai.common.settings.load import load_settings

    from .purge import purge_node
    from .settings import AgentSettings

    try:
        count = purge_node(load_settings(AgentSettings, "agent", config))
    except Fault as fault:
        click.echo(f"agent: {fault}", err=True)
        sys.exit(1)
    click.echo(f"{count} kernels removed, with their networks and rules.")


@ag.command("show-config")
def show_config() -> None:
    """Print a sample agent.toml with every setting and its default."""
    from backendai.common.settings.render import render_sample

    from .settings import AgentSettings

    click.echo(render_sample(AgentSettings, "agent"), nl=False)


@ag.command("check-config")
@CONFIG_OPTION
def check_config(config: Path | None) -> None:
    """Read the settings and tell every mistake in them."""
    from backendai.common.faults import Fault
    from backendai.common.settings.load import load_settings

    from .settings import AgentSettings

    try:
        load_settings(AgentSettings, "agent", config)
    except Fault as fault:
        click.echo(f"agent: {fault}", err=True)
        sys.exit(1)
    click.echo("The settings are sound.")


@ag.command("resources")
@CONFIG_OPTION
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON document.")
def resources(config: Path | None, as_json: bool) -> None:
    """Show what this node offers: slots, devices, how they are and who holds them.

    Asks the drivers and the engine itself, so the agent need not run.
    """
    from backendai.common.faults import Fault
    from backendai.common.settings.load import load_settings

    from .overview import inspect_node, render_json, render_text
    from .settings import AgentSettings

    try:
        overview = inspect_node(load_settings(AgentSettings, "agent", config))
    except Fault as fault:
        click.echo(f"agent: {fault}", err=True)
        sys.exit(1)
    click.echo(render_json(overview) if as_json else render_text(overview))
