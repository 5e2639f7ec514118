"""`backendai mgr image …`: images straight in the stores, also while no manager runs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from backendai.manager.console import (
    config_option,
    output_option,
    read_settings,
    with_change,
    with_database,
)

if TYPE_CHECKING:
    from backendai.manager.db.engine import Database

_CLEAR_LINE: Final = "\r\x1b[K"
_architecture_option = click.option(
    "--arch", "architecture", default="x86_64", show_default=True, help="CPU of the image."
)


@click.group()
def image() -> None:
    """Images that sessions may use.

    \b
    Examples:
      backendai mgr image list
      backendai mgr image rescan cr.example.com
      backendai mgr image alias py cr.example.com/stable/python:3.11
    """


@image.command("list")
@output_option
@config_option
@click.pass_context
def image_list(ctx: click.Context, output: str, config_path: Path | None) -> None:
    """Every image that is not forgotten, those of users too, and which nodes have it."""
    import json

    from .render import image_object, images_table
    from .store import load_images

    rows = with_database(
        read_settings(ctx, config_path),
        lambda database: database.read(lambda conn: load_images(conn, count_max=None)),
    )
    if output == "json":
        click.echo(json.dumps([image_object(row) for row in rows], indent=2))
    else:
        click.echo("\n".join(images_table(rows)))


@image.command("rescan")
@click.argument("registry", required=False)
@click.option("--project", help="Only this project of it.")
@config_option
@click.pass_context
def image_rescan(
    ctx: click.Context, registry: str | None, project: str | None, config_path: Path | None
) -> None:
    """Look for images in REGISTRY, on the nodes (`local`) or, by default, everywhere.

    This command does it itself and shows how far it is; what was found before Ctrl-C stays known.
    """
    from backendai.common.clock import SystemClock
    from backendai.common.ids import SystemIds
    from backendai.common.secretfile import load_secret_key
    from backendai.manager.accounts.secretbox import SecretBox

    from . import actions
    from .changes import note_rescan
    from .registries import Registries
    from .rescan import Rescan

    settings = read_settings(ctx, config_path)
    registries = Registries(SecretBox(load_secret_key(settings.manager.secret_key_file)))
    with_change(settings, actions.RESCAN, lambda change: note_rescan(change, registry, project))

    async def work(database: Database) -> str:
        rescan = Rescan(database, registries, SystemIds(), SystemClock())
        with _Line() as line:
            return await rescan({"registry": registry, "project": project}, line)

    click.echo(with_database(settings, work))


@image.command("alias")
@click.argument("name")
@click.argument("target")
@_architecture_option
@config_option
@click.pass_context
def image_alias(
    ctx: click.Context, name: str, target: str, architecture: str, config_path: Path | None
) -> None:
    """Let NAME mean the image TARGET too."""
    from . import actions
    from .changes import alias

    settings = read_settings(ctx, config_path)
    with_change(settings, actions.ALIAS, lambda change: alias(change, name, target, architecture))


@image.command("dealias")
@click.argument("name")
@config_option
@click.pass_context
def image_dealias(ctx: click.Context, name: str, config_path: Path | None) -> None:
    """Take the other name NAME back."""
    from . import actions
    from .changes import dealias

    with_change(
        read_settings(ctx, config_path), actions.DEALIAS, lambda change: dealias(change, name)
    )


class _Line:
    """Progress as one line of a terminal that is written over, and nothing where nobody looks."""

    def __init__(self) -> None:
        self._done = self._total = 0
        self._message = ""

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_: object) -> None:
        self._write("")

    async def tell(self, *, done: int = 0, more: int = 0, message: str | None = None) -> None:
        self._done += done
        self._total += more
        self._message = self._message if message is None else message
        steps = f"{self._done}/{self._total} " if self._total else ""
        self._write(steps + "".join(c for c in self._message if c.isprintable()))

    def _write(self, text: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(_CLEAR_LINE + text[: shutil.get_terminal_size().columns - 1])
            sys.stderr.flush()
