"""Every command of the official client that has no sub-commands, by each way to type it."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

# Run by the Python of the client itself. An alias of a command is a way to type it.
_WALK: Final = """
import click, json
from ai.backend.cli.loader import load_entry_points

def walk(command, typed, name):
    if not isinstance(command, click.Group):
        found[" ".join(typed)] = " ".join(name)
        return
    context = click.Context(command)
    names = {each: each for each in command.list_commands(context)}
    for word, meant in (names | getattr(command, "_aliases", {})).items():
        walk(command.get_command(context, meant), (*typed, word), (*name, meant))

found = {}
walk(load_entry_points(), (), ())
print(json.dumps(found))
"""
# What these are followed by is no word of the command.
_VALUED: Final = ("--output",)


def load_tree(python: Path) -> dict[str, str]:
    """What may be typed -> the name of the command that it is."""
    argv = [python, "-c", _WALK]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def name_command(tree: Mapping[str, str], words: Sequence[str]) -> str:
    """The command that these words of a command line run. Raises LookupError."""
    left = list(words)
    while left and left[0] in _VALUED:
        left = left[2:]
    for count in range(1, len(left) + 1):
        if name := tree.get(" ".join(left[:count])):
            return name
    raise LookupError(f"the client has no command {' '.join(words)!r}")
