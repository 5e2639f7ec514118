"""`run`: a session for one purpose, given back afterwards."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backendai.client.cli.create import explain_unstarted, new_name, plan_session, start
from backendai.client.cli.dashes import CommandAfterDashes
from backendai.client.cli.execute import run_parts
from backendai.client.cli.options import creation_options, read_script, take_creation

if TYPE_CHECKING:
    from backendai.client.client import Client
    from backendai.client.results import Batch


@click.command(cls=CommandAfterDashes)
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False))
@click.option("-c", "--code", "snippets", multiple=True, help="Code to run; repeat it for more.")
@click.option("--build", help="Command that builds the files.")
@click.option("--exec", "execute", help="Command that runs the files.")
@click.option("--clean", help="Command that cleans up before building.")
@click.option("--rm/--keep", "is_removed", default=True, help="End the session afterwards.")
@creation_options
@click.pass_context
def run(ctx: click.Context, /, **options: Any) -> None:
    """Run code, FILES or a command in a new session, and exit with its exit code.

    FILES are copied to /home/work. A lone Python file is run when nothing else says what to run.
    Ctrl-C interrupts the code.

    \b
    Examples:
      backendai run -c 'print(6 * 7)'
      backendai run --image gcc:12 main.c --build 'gcc main.c' --exec ./a.out
      backendai run --image busybox -- sh -c 'echo hi'
      backendai run --keep --name demo train.py
    """
    from backendai.client.cli.connect import with_client

    _check(options, ctx.meta["command"])

    async def work(client: "Client") -> int:
        return await _run(client, options, ctx.meta["command"])

    ctx.exit(with_client(work))


def _check(options: dict[str, Any], command: list[str]) -> None:
    steps = any(options[name] for name in ("build", "execute", "clean"))
    ways = [bool(options["snippets"]), steps, bool(command)]
    if sum(ways) > 1:
        raise click.UsageError(
            "Give one of: code by -c, --build/--exec/--clean, a command after --."
        )
    if not any(ways) and not _lone_script(options):
        raise click.UsageError("Say what to run: -c CODE, a Python file, --exec, or -- COMMAND.")


def _lone_script(options: dict[str, Any]) -> bool:
    files = options["files"]
    return len(files) == 1 and files[0].endswith(".py")


async def _run(client: "Client", options: dict[str, Any], command: list[str]) -> int:
    # A name that we made is surely ours to end, even when the answer to the create was lost.
    given: str | None = options["name"]
    name = given or new_name()
    ending = None if given else name
    new = await plan_session(client, options["image"], name, take_creation(options))
    try:
        created = await start(client, new, is_kept=not (ending and options["is_removed"]))
        ending = created.session_id
        if created.status != "RUNNING":
            return await explain_unstarted(client, created)
        return await _use(client, created.session_id, options, command)
    finally:
        if ending and options["is_removed"]:
            await _end(client, ending)
        elif ending:
            click.echo(f"{name} is kept: backendai session terminate {name}", err=True)


async def _use(client: "Client", session: str, options: dict[str, Any], command: list[str]) -> int:
    from backendai.client.cli.console import run_shown
    from backendai.client.cli.terminal import Terminal

    if options["files"]:
        await client.sessions.upload(session, options["files"])
    if batch := _batch_of(options):
        return await run_shown(client, session, Terminal(), batch=batch)
    snippets = options["snippets"]
    if not snippets and not command:
        snippets = (_read_file(options["files"][0]),)
    return await run_parts(client, session, snippets, command)


def _read_file(name: str) -> str:
    return read_script(name, Path(name).read_bytes())


def _batch_of(options: dict[str, Any]) -> "Batch | None":
    from backendai.client.results import Batch

    batch = Batch(clean=options["clean"], build=options["build"], exec=options["execute"])
    return None if batch == Batch() else batch


async def _end(client: "Client", session: str) -> None:
    """Gives the session back, if there is one: a refused create leaves none."""
    from backendai.common.faults import SessionNotFound

    try:
        await client.sessions.destroy(session, forced=True)
    except SessionNotFound:
        return
