"""Groups whose sub-commands are imported when called: help costs nothing but its text."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import click

# name -> (module:attribute, short help)
Table = Mapping[str, tuple[str, str]]

PLUGINS: Final = "backendai.commands"
# Short helps of what other distributions bring, so that help need not import them.
KNOWN_PLUGINS: Final[Mapping[str, str]] = {
    "up": "Start everything on this machine.",
    "down": "Stop what `up` started.",
    "status": "Show what runs on this machine.",
    "doctor": "Check this machine; print a fix for each fault.",
    "test": "Run the tests.",
    "check": "Check format, lint, types and unit tests.",
    "logs": "Show the logs of the daemons.",
    "mgr": "Commands of the manager.",
    "ag": "Commands of the agent.",
}


class LazyGroup(click.Group):
    """Commands of a table."""

    def __init__(self, name: str, table: Table, **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.table]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        return _load(self.table[cmd_name][0])

    def help_of(self, name: str) -> str:
        return self.table[name][1]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        lines = [(name, self.help_of(name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(lines)


class PluggedGroup(LazyGroup):
    """Commands of a table, then those of the other distributions that are installed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.table, *_plugins()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        target = _plugins().get(cmd_name)
        return None if target is None else _load(target)

    def help_of(self, name: str) -> str:
        return self.table[name][1] if name in self.table else KNOWN_PLUGINS.get(name, "")


def _plugins() -> dict[str, str]:
    """Name -> module:attribute of each, the known ones first and in their order."""
    from importlib.metadata import entry_points

    found = {point.name: point.value for point in entry_points(group=PLUGINS)}
    known = {name: found[name] for name in KNOWN_PLUGINS if name in found}
    return known | {name: found[name] for name in sorted(found.keys() - known.keys())}


def _load(target: str) -> click.Command:
    module, _, attribute = target.partition(":")
    command = getattr(import_module(module), attribute)
    if not isinstance(command, click.Command):
        raise click.ClickException(f"{target} is no command")
    return command
