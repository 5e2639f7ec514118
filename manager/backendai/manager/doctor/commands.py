"""`backendai mgr doctor`: whether this manager has what it needs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from backendai.manager.console import (
    align,
    config_option,
    find_settings_file,
    output_option,
    read_settings,
)

if TYPE_CHECKING:
    from .model import Finding

_MARKS: Final = {"ok": "✓", "advice": "!", "failed": "✗", "skipped": "-"}


@click.command()
@click.option("--cluster", "is_whole", is_flag=True, help="Also ask every other daemon.")
@click.option(
    "--webserver",
    "webservers",
    multiple=True,
    metavar="URL",
    help="A webserver to ask too: no store knows where they are.",
)
@output_option
@config_option
@click.pass_context
def doctor(
    ctx: click.Context,
    is_whole: bool,
    webservers: tuple[str, ...],
    output: str,
    config_path: Path | None,
) -> None:
    """Check what this manager needs, and say what to do about what is wrong. Changes nothing.

    Exits with 1 when a check fails; advice (!) does not count. Works with parts down, too.

    \b
    Examples:
      backendai mgr doctor
      backendai mgr doctor --cluster --webserver https://cluster.example.com
      backendai mgr doctor --output json
    """
    findings = _examine(ctx, config_path, webservers if is_whole or webservers else None)
    if output == "json":
        from msgspec import to_builtins

        click.echo(json.dumps(to_builtins(findings), indent=2))
    else:
        click.echo("\n".join(_lines(findings)))
    from .model import is_sound

    raise SystemExit(0 if is_sound(findings) else 1)


def _examine(
    ctx: click.Context, config_path: Path | None, webservers: Sequence[str] | None
) -> list[Finding]:
    """None of `webservers` leaves the rest of the cluster alone."""
    from backendai.common.clock import SystemClock
    from backendai.common.settings.load import BadSettings

    from .examine import examine, examine_all
    from .model import fail

    try:
        settings = read_settings(ctx, config_path)
        file = find_settings_file(ctx, config_path)
    except BadSettings as fault:
        fix = "mend it; `backendai mgr show-config` shows every setting"
        return [fail("settings", fault.detail, fix)]
    if webservers is None:
        return asyncio.run(examine(settings, file, SystemClock()))
    return asyncio.run(examine_all(settings, file, webservers, SystemClock()))


def _lines(findings: list[Finding]) -> list[str]:
    rows = [(_MARKS[each.verdict], each.name, each.told) for each in findings]
    lines = []
    for line, each in zip(align(rows), findings, strict=True):
        lines.append(line)
        if each.fix:
            lines.append(f"   fix: {each.fix}")
    return lines
