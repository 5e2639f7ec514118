"""Groups whose sub-commands are imported when called: help costs nothing but its text."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

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
    "dist": "Build the wheels of all distributions.",
    "export": "Write what runs here as systemd units or for compose.",
    "mgr": "Commands of the manager.",
    "ag": "Commands of the agent.",
    "storage": "Commands of the storage proxy.",
    "web": "Commands of the webserver.",
    "wsproxy": "Commands of the app proxy.",
    "build": "Build sample images on this machine.",
}

# What people type who know other programs, such as the official client, and our words for it. They
# are told and not taken: a thing has one name here.
OTHER_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "destroy": ("terminate", "delete"),
    "kill": ("terminate", "cancel"),
    "stop": ("terminate", "cancel"),
    "remove": ("delete", "terminate", "forget"),
    "rm": ("delete", "terminate", "forget"),
    "start": ("create",),
    "new": ("create", "add"),
    "add": ("create",),
    "create": ("add",),
    "show": ("info",),
    "get": ("info", "list"),
    "inspect": ("info",),
    "status": ("info",),
    "ls": ("list",),
    "ps": ("list",),
    "modify": ("update",),
    "edit": ("update",),
    "set": ("update",),
    "execute": ("exec",),
    "run": ("exec",),
    "shell": ("terminal",),
    "status-history": ("history",),
    "apps": ("app",),
    "server-logs": ("error-log",),
    "group": ("project",),
    "scaling-group": ("resource-group",),
    "resource-preset": ("preset",),
    "keypair-resource-policy": ("policy",),
    "user-resource-policy": ("policy",),
    "project-resource-policy": ("policy",),
}
_NEAR_MAX: Final = 3


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Raises UsageError with the nearest command, or with all of them when none is near; a
        shell that completes is told nothing."""
        name = args[0]
        is_told = not (ctx.resilient_parsing or name.startswith("-"))
        if is_told and self.get_command(ctx, name) is None:
            ctx.fail(f"No such command {name!r}. {self._advice(ctx, name)}")
        return super().resolve_command(ctx, args)

    def help_of(self, name: str) -> str:
        return self.table[name][1]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem[Any]]":
        """Commands by the table, none of them imported, and this group's options."""
        from click.shell_completion import CompletionItem

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=self.help_of(name)) for name in names), *options]

    def suggest(self, ctx: click.Context, name: str) -> list[str]:
        """Names of commands that `name` may mean, as they follow this group's own."""
        from difflib import get_close_matches

        names = self.list_commands(ctx)
        same = [word for word in OTHER_WORDS.get(name, ()) if word in names]
        return same[:1] or get_close_matches(name, names, n=_NEAR_MAX)

    def _advice(self, ctx: click.Context, name: str) -> str:
        if near := self.suggest(ctx, name):
            return f"Did you mean: {', '.join(f'{ctx.command_path} {one}' for one in near)}?"
        return f"Choose among {', '.join(self.list_commands(ctx))}."

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        lines = [(name, self.help_of(name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(lines)


class PluggedGroup(LazyGroup):
    """Commands of a table, then those of the other distributions that are installed: the entry
    points of `plugins`."""

    def __init__(
        self, name: str, table: Table, *, plugins: str = PLUGINS, **attributes: Any
    ) -> None:
        super().__init__(name, table, **attributes)
        self.plugins = plugins

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.table, *_plugins(self.plugins)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        target = _plugins(self.plugins).get(cmd_name)
        return None if target is None else _load(target)

    def suggest(self, ctx: click.Context, name: str) -> list[str]:
        """Also commands of groups: `terminate` is one of `session`, `doctor` of `mgr`."""
        groups = [self.get_command(ctx, one) for one in self.list_commands(ctx)]
        named = [group for group in groups if isinstance(group, click.Group)]
        if exact := [f"{one.name} {name}" for one in named if name in one.list_commands(ctx)]:
            return exact[:_NEAR_MAX]
        inner = [group for group in named if isinstance(group, LazyGroup)]
        near = [f"{group.name} {one}" for group in inner for one in group.suggest(ctx, name)]
        return [*super().suggest(ctx, name), *near][:_NEAR_MAX]

    def help_of(self, name: str) -> str:
        return self.table[name][1] if name in self.table else KNOWN_PLUGINS.get(name, "")


def _plugins(group: str) -> dict[str, str]:
    """Name -> module:attribute of each, the known ones first and in their order."""
    from importlib.metadata import entry_points

    found = {point.name: point.value for point in entry_points(group=group)}
    known = {name: found[name] for name in KNOWN_PLUGINS if name in found}
    return known | {name: found[name] for name in sorted(found.keys() - known.keys())}


def _load(target: str) -> click.Command:
    module, _, attribute = target.partition(":")
    command = getattr(import_module(module), attribute)
    if not isinstance(command, click.Command):
        raise click.ClickException(f"{target} is no command")
    return command
