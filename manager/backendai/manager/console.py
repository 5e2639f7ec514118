"""What the commands share: settings to read, lines of a table, a question before something is gone,
a store to work with for a moment, and a log that tells who did it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

if TYPE_CHECKING:
    from backendai.common.etcd import EtcdStore

    from .audit.change import Change, Changes
    from .db.engine import Database
    from .gate.actor import Action
    from .settings import ManagerSettings

T = TypeVar("T")

STATEMENT_SECONDS: Final = 86_400.0

config_option = click.option(
    "-f",
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="manager.toml to use.",
)

yes_option = click.option("--yes", "-y", "is_sure", is_flag=True, help="Do not ask.")

output_option = click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", show_default=True
)


def align(lines: Sequence[Sequence[str]], indent: int = 0) -> list[str]:
    """Cells aligned by blanks, without control characters: they were written by nodes and users.
    PURE."""
    cells = [
        ["".join(c if c.isprintable() else " " for c in cell) for cell in line] for line in lines
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    start = " " * indent
    return [start + "  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]


def ask_consent(question: str, *, is_sure: bool) -> None:
    """Ends the command with 1 on a no. Without a terminal to ask on only `--yes` will do."""
    if is_sure:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody can be asked here: give --yes.")
    if not click.confirm(question, err=True):
        raise click.ClickException("Nothing was changed.")


def read_settings(ctx: click.Context, config_path: Path | None = None) -> ManagerSettings:
    """From the file that this command names, or that `mgr` does, or from where it is looked up."""
    from backendai.common.settings.load import load_settings

    from .settings import ManagerSettings

    return load_settings(ManagerSettings, "manager", config_path or ctx.obj)


def find_settings_file(ctx: click.Context, config_path: Path | None = None) -> Path:
    """The file that `read_settings` reads."""
    from backendai.common.settings.load import find_file

    return config_path or ctx.obj or find_file("manager")


def with_etcd(settings: ManagerSettings, work: Callable[[EtcdStore], Awaitable[T]]) -> T:
    from backendai.common.etcd import EtcdStore
    from backendai.common.faults import StoreUnavailable

    async def run() -> T:
        async with EtcdStore(settings.etcd) as store:
            return await work(store)

    try:
        return asyncio.run(run())
    except StoreUnavailable as fault:
        raise click.ClickException(f"{fault.detail}: start it, or mend [etcd] addr") from fault


def patient(settings: ManagerSettings) -> ManagerSettings:
    """Settings whose statements may take as long as the largest table needs; what waits for a lock
    has limits of its own."""
    return replace(settings, db=replace(settings.db, statement_timeout=STATEMENT_SECONDS))


def with_database(settings: ManagerSettings, work: Callable[[Database], Awaitable[T]]) -> T:
    from backendai.common.faults import StoreUnavailable

    from .db.engine import open_database
    from .refusals import tell_outage

    async def run() -> T:
        database = open_database(settings.db, "mgr-cli")
        try:
            return await work(database)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except StoreUnavailable as fault:
        line = tell_outage(settings.db, fault.__cause__ or fault)
        raise click.ClickException(line) from fault


def with_change(
    settings: ManagerSettings, action: Action, work: Callable[[Change], Awaitable[T]]
) -> T:
    """What `work` gives once it is committed; the audit log names who is at the prompt."""
    from .gate.actor import local_administrator

    log_as_manager(settings)
    actor = local_administrator(find_operator())

    async def run(database: Database) -> T:
        return await open_changes(database).run(actor, action, work)

    return with_database(settings, run)


def open_changes(database: Database) -> Changes:
    """As a manager has them; this process keeps no copies that a change would make stale."""
    from backendai.common.clock import SystemClock

    from .audit.change import Changes

    return Changes(database, SystemClock(), settled=lambda: None)


def log_as_manager(settings: ManagerSettings) -> None:
    """Log where the manager logs; the manager alone rotates it."""
    from dataclasses import replace

    from backendai.common import logs

    try:
        logs.configure(replace(settings.logging, file_bytes_max=0))
    except OSError as error:
        raise click.ClickException(f"the manager's log cannot be written: {error}") from error


def find_operator() -> str:
    """The person at the prompt, also behind sudo; the number of a user who has no name."""
    import getpass
    import os

    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
