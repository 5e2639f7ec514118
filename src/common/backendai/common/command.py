"""The `backendai` command of a machine: the client's where that is installed, else the commands of
the daemons that are. So a node needs no client, and no two distributions own one program.
"""

import sys
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Final

CLIENT: Final = "backendai.client"
PLUGINS: Final = "backendai.commands"


def main() -> None:
    """Run the command line and exit with its code."""
    if find_spec(CLIENT) is not None:
        import_module(f"{CLIENT}.cli").main()
        return
    sys.exit(run(sys.argv[1:], {point.name: point for point in entry_points(group=PLUGINS)}))


def run(words: list[str], points: dict[str, EntryPoint]) -> int:  # noqa: RET503 - click exits
    """The exit code, or SystemExit with that of the command. Only what is named is imported."""
    import click

    name = words[0] if words else ""
    if name in ("", "-h", "--help", "--version"):
        click.echo(_introduce(points))
        return 0
    if name not in points:
        click.echo(f"No such command {name!r}: {_list_names(points)}.", err=True)
        return 2
    command: click.Command = points[name].load()
    command.main(words[1:], prog_name=f"backendai {name}")


def _introduce(points: dict[str, EntryPoint]) -> str:
    lines = ["Usage: backendai COMMAND [ARGS]...", "", f"  {_list_names(points)}."]
    lines += ["  `pip install backendai-client` adds those of users and administrators."]
    return "\n".join(lines)


def _list_names(points: dict[str, EntryPoint]) -> str:
    found = ", ".join(sorted(points)) or "none"
    return f"the daemons that are installed here bring: {found}"
