"""`backendai up|down|status|doctor|test|check|logs`: options and rendering, nothing else.

Imports are inside the commands: `backendai --help` loads this module and must stay quick.
"""

from __future__ import annotations

import asyncio
import errno
import json
import shlex
import sys
from collections.abc import Callable, Coroutine, Iterator
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from .faults import SetupFault
from .places import find_checkout, find_layout

if TYPE_CHECKING:
    from .config import HalfstackSettings
    from .doctor import Finding
    from .up import Cluster

P = ParamSpec("P")
T = TypeVar("T")
_INTERRUPTED = 130
_ADVICE = {
    errno.ENOSPC: "free some disk space, then run the same command again",
    errno.EDQUOT: "free some of your disk quota, then run the same command again",
    errno.EROFS: "use a state directory that can be written (BAI_HOME)",
    errno.EEXIST: "name a folder, or nothing yet, as the state directory (BAI_HOME)",
    errno.ENOTDIR: "name a folder, or nothing yet, as the state directory (BAI_HOME)",
    errno.EACCES: "run as the user who owns the state directory, or as root",
    errno.EPERM: "run as the user who owns the state directory, or as root",
}


def _explained(command: Callable[P, None]) -> Callable[P, None]:
    """One message with the fix and exit code 1, never a traceback, for what can be foreseen."""

    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (SetupFault, OSError, ExceptionGroup) as error:
            problems = list(_list_problems(error))
            if any(problem is None for problem in problems):
                raise
            click.echo("\n".join(problem for problem in problems if problem), err=True)
            sys.exit(1)
        except KeyboardInterrupt:
            click.echo("interrupted: run the same command again to go on", err=True)
            sys.exit(_INTERRUPTED)

    return wrapper


@click.command()
@click.option("--no-install", is_flag=True, help="Install no Debian packages.")
@_explained
def up(no_install: bool) -> None:
    """Bring up a whole cluster on this machine, or repair what is down.

    \b
    Example:
      ./bai up && . .bai/env-user.sh && backendai ps
    """
    from .display import Display
    from .up import bring_up

    layout, settings = find_layout(), _load_config()
    with Display() as display:
        cluster = _run(bring_up(layout, settings, display, installs=not no_install))
    click.echo(_render_summary(cluster))


@click.command()
@click.option("--purge", is_flag=True, help="Also remove containers, networks and all files.")
@_explained
def down(purge: bool) -> None:
    """Stop the cluster. Its sessions go on, unless --purge removes everything."""
    from .display import Display
    from .down import bring_down
    from .down import purge as purge_all

    layout, settings = find_layout(), _load_config()
    remarks: tuple[str, ...] = ()
    with Display() as display, display.step("down, and nothing left" if purge else "down") as say:
        if purge:
            remarks = _run(purge_all(layout, settings.engine.docker_host, say, settings.external))
        else:
            _run(bring_down(layout, say))
    for remark in remarks:
        click.echo(f"  note:  {remark}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@_explained
def status(as_json: bool) -> None:
    """Show what runs and answers; exit code 0 only when all of it does."""
    from .status import report_status

    report = _run(report_status(find_layout(), _load_config()))
    if as_json:
        click.echo(report.to_json())
    else:
        for one in report.daemons:
            mark = click.style("✓", "green") if one.healthy else click.style("✗", "red")
            watched = f"  metrics: {one.monitoring}" if one.monitoring else ""
            click.echo(f" {mark} {one.name:<12}{one.pid or '-':>9}  {one.address}{watched}")
        click.echo("healthy" if report.healthy else "not healthy: `./bai up` repairs it")
    sys.exit(0 if report.healthy else 1)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.option("--no-install", is_flag=True, help="Only look; install no Debian packages.")
@click.option("--cluster", is_flag=True, help="Check the cluster that runs instead.")
@_explained
def doctor(as_json: bool, no_install: bool, cluster: bool) -> None:
    """Check this machine; as root, install the Debian packages that are missing."""
    if cluster:
        from .status import examine_cluster

        sys.exit(examine_cluster(find_layout(), as_json=as_json))
    from .doctor import (
        Machine,
        can_install,
        examine,
        install_missing,
        is_sound,
        list_missing_packages,
    )

    machine = Machine(find_layout(), _load_config())
    findings = examine(machine)
    missing = list_missing_packages(findings)
    if missing and can_install() and not no_install:
        install_missing(missing, lambda words: click.echo(words, err=True))
        findings = examine(machine)
    click.echo(_render_json(findings) if as_json else _render_findings(findings))
    sys.exit(0 if is_sound(findings) else 1)


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--lanes",
    envvar="BAI_TEST_LANES",
    type=click.IntRange(1),
    help="Parts that run beside each other.  [default: one for each core, at most 4]",
)
@_explained
def test(words: tuple[str, ...], lanes: int | None) -> None:
    """Run the project's tests: all kinds, or those named. Options go to pytest.

    \b
    Examples:
      ./bai test
      ./bai test unit tidy
      ./bai test --lanes 1 integration -- -k stores -x
    """
    from .quality import choose_kinds, count_lanes, render_summary, run_tests
    from .tools import ensure_tools

    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    kinds, extra = words[:first], [word for word in words[first:] if word != "--"]
    chosen = choose_kinds(kinds)
    ensure_tools(chosen, click.echo)
    outcomes = run_tests(find_checkout(), chosen, extra, lanes or count_lanes(), click.echo)
    click.echo(render_summary(outcomes))
    sys.exit(0 if all(outcome.is_ok for outcome in outcomes) else 1)


@click.command()
@_explained
def check() -> None:
    """Format, lint, types, unit and tidy tests: what to run before a commit."""
    from .quality import render_summary, run_checks

    outcomes = run_checks(find_checkout())
    click.echo(render_summary(outcomes))
    sys.exit(0 if all(outcome.is_ok for outcome in outcomes) else 1)


@click.command()
@click.option(
    "--out-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to put them.  [default: dist in the source tree]",
)
@_explained
def dist(out_dir: Path | None) -> None:
    """Build one wheel for each distribution, the same bytes each time.

    \b
    Example:
      ./bai dist && pip install --find-links dist backendai-agent
    """
    from .display import Display
    from .dist import build_wheels
    from .gui import is_built
    from .images import find_cache

    checkout = find_checkout()
    with Display() as display:
        if not is_built(checkout):
            from .gui import build_gui

            with display.step("GUI") as say:
                build_gui(checkout, find_cache(), say)
        with display.step("wheels"):
            wheels = build_wheels(checkout, out_dir or checkout / "dist")
    for wheel in wheels:
        click.echo(f"  {wheel}")


@click.command()
@click.option(
    "--systemd",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write to DIR; the stores are then those of Debian's packages.",
)
@click.option(
    "--compose",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write to DIR; the stores then run by docker compose.",
)
@_explained
def export(systemd: Path | None, compose: Path | None) -> None:
    """Write what runs here, with its data, as files for a machine that runs it by systemd.

    \b
    Examples:
      backendai export --systemd /root/cluster     # then, where it shall run: install.sh in it
      backendai export --compose /root/cluster
    """
    from .display import Display
    from .export import Form
    from .export import export as export_cluster

    named: dict[Form, Path | None] = {"systemd": systemd, "compose": compose}
    wanted = [(form, folder) for form, folder in named.items() if folder is not None]
    if len(wanted) != 1:
        raise click.UsageError("Give one of --systemd and --compose, with the folder to write to.")
    form, folder = wanted[0]
    with Display() as display, display.step("export") as say:
        export_cluster(find_layout(), form, folder.absolute(), find_checkout(), say)
    click.echo(f"  {folder}: who has it has the cluster; install.sh in it puts it in place")


@click.command()
@click.argument("daemons", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option("-n", "--lines", default=50, show_default=True, type=click.IntRange(0))
@_explained
def logs(daemons: tuple[str, ...], follow: bool, lines: int) -> None:
    """Show the logs of all daemons, or of those named."""
    from .logs import find_logs, follow_logs, show_logs

    chosen = find_logs(find_layout(), daemons)
    show_logs(chosen, lines, click.echo)
    if follow:
        for line in follow_logs(chosen):
            click.echo(line)


@click.command("build")
@click.argument("names", nargs=-1)
@_explained
def build_images(names: tuple[str, ...]) -> None:
    """Build sample images in this machine's engine: all, or those named, with their bases.

    \b
    Examples:
      backendai images build
      backendai images build jupyter
    """
    from .dockerfiles import build_all
    from .engine import find_engine

    engine = _run(find_engine(find_layout(), _load_config().engine.docker_host))
    if engine.backend != "docker":
        raise SetupFault(
            f"images are built by a container engine, and there is none: {engine.reason}",
            "run as root with docker.io installed, or name an engine in DOCKER_HOST",
        )
    for recipe, is_new in build_all(names, engine.docker_host, click.echo):
        click.echo(f" ✓ {recipe.tag:<24} {recipe.about}{'' if is_new else '  (was there)'}")


def _load_config() -> HalfstackSettings:
    from .config import load_config

    return load_config(find_checkout())


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _list_problems(error: BaseException) -> Iterator[str | None]:
    """Words for each foreseen error; None for one that is a mistake of ours."""
    match error:
        case SetupFault():
            yield f"error: {error.problem}\n  fix: {error.fix}"
        case OSError() if error.errno in _ADVICE:
            yield f"error: {error}\n  fix: {_ADVICE[error.errno]}"
        case BaseExceptionGroup():
            for inner in error.exceptions:
                yield from _list_problems(inner)
        case _:
            yield None


def _render_findings(findings: list[Finding]) -> str:
    lines = []
    for one in findings:
        mark = "✓" if one.is_ok else ("✗" if one.severity == "required" else "!")
        lines.append(f" {mark} {one.name:<17}{one.told}")
        if not one.is_ok:
            lines.append(f"   {'':<17}fix: {one.fix}")
    return "\n".join(lines)


def _render_json(findings: list[Finding]) -> str:
    rows = [
        {
            "name": one.name,
            "ok": one.is_ok,
            "severity": one.severity,
            "told": one.told,
            "fix": one.fix,
            "packages": list(one.packages),
        }
        for one in findings
    ]
    return json.dumps(rows, indent=1)


def _render_summary(cluster: Cluster) -> str:
    root = cluster.core.layout.root
    lines = [
        "",
        f"  first session  {cluster.output.strip()}",
        f"  GUI            {cluster.gui}",
        f"  API            {cluster.core.endpoint}",
        f"  credentials    {root}/env-admin.sh, {root}/env-user.sh",
        "",
        f"  next:  . {shlex.quote(f'{root}/env-user.sh')}",
        "         backendai run -c 'print(6 * 7)'",
        "         ./bai status",
    ]
    lines += [f"  note:  {warning}" for warning in cluster.warnings]
    return "\n".join(lines)
