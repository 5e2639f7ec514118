"""The command line costs nothing but what is called."""

import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from backendai.client.cli.dashes import CommandAfterDashes
from backendai.client.cli.lazy import KNOWN_PLUGINS, OTHER_WORDS, LazyGroup
from backendai.client.cli.root import OWN, root

DEAR = {"aiohttp", "rich", "sqlalchemy", "docker", "numpy", "msgspec", "asyncio", "ssl"}


def imported_by(code: str) -> set[str]:
    """Top-level modules that a new interpreter has after `code`."""
    report = "import sys; sys.stderr.write(' '.join({n.partition('.')[0] for n in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def test_importing_the_command_imports_nothing_dear() -> None:
    assert not imported_by("import backendai.client.cli.root, backendai.client.cli") & DEAR


def test_help_imports_nothing_dear() -> None:
    words = "['--help'], prog_name='backendai', standalone_mode=False"
    code = f"from backendai.client.cli.root import root; root.main({words})"
    assert not imported_by(code) & DEAR


def test_plain_commands_never_import_the_web_client() -> None:
    code = "import backendai.client.cli.listing, backendai.client.cli.connect"
    assert not imported_by(code) & {"aiohttp", "rich", "tarfile", "shutil", "lzma"}


def leaves(group: LazyGroup, path: str) -> Iterator[tuple[str, click.Command]]:
    """Each command of this distribution by its path, those of inner groups too."""
    context = click.Context(group, info_name="backendai")
    for name in group.table:
        command = LazyGroup.get_command(group, context, name)
        assert command is not None
        if isinstance(command, LazyGroup):
            yield from leaves(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


LEAVES = dict(leaves(root, "backendai"))


@pytest.mark.parametrize("path", LEAVES)
def test_help_of_every_command_names_it_in_an_example(path: str) -> None:
    command = LEAVES[path]
    names = [name for name, other in LEAVES.items() if other is command]
    text = command.help or ""
    assert "Example" in text
    assert re.search(rf"({'|'.join(names)})(?![\w-])", text)


def test_modules_of_commands_import_nothing_dear() -> None:
    modules = {
        command.callback.__module__ for command in LEAVES.values() if command.callback is not None
    }
    assert "backendai.client.cli.images.task" in modules
    assert not imported_by(f"import {', '.join(sorted(modules))}") & DEAR


def test_installed_plugins_are_listed_with_short_help() -> None:
    text = root.get_help(click.Context(root, info_name="backendai"))
    for name in ("up", "mgr", "ag", *OWN):
        assert f"\n  {name} " in text
    assert KNOWN_PLUGINS["up"] in text


def test_an_unknown_command_is_no_command() -> None:
    assert root.get_command(click.Context(root), "nosuch") is None


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["sesion"], "backendai session?"),
        (["terminate"], "backendai session terminate?"),
        (["session", "terminat", "a"], "backendai session terminate?"),
        (["session", "destroy", "a"], "Did you mean: backendai session terminate?"),
        (["vfolder", "destroy", "a"], "Did you mean: backendai vfolder delete?"),
        (["destroy", "a"], "Did you mean: backendai session terminate, "),
        (["show-config"], "Did you mean: backendai mgr show-config, backendai ag show-config, "),
        (["admin", "scaling-group"], "Did you mean: backendai admin resource-group?"),
        (["admin", "user", "create"], "Did you mean: backendai admin user add?"),
        (["session", "zzz"], "Choose among create, list, info"),
    ],
)
def test_an_unknown_command_is_told_with_the_near_one(words: list[str], near: str) -> None:
    with pytest.raises(click.UsageError, match="No such command") as caught:
        root.main(words, prog_name="backendai", standalone_mode=False)
    assert near in caught.value.message


def test_words_of_other_programs_are_none_of_ours_where_they_are_told() -> None:
    words = {word for path in LEAVES for word in path.split()}
    assert {ours for told in OTHER_WORDS.values() for ours in told} <= words


def test_what_follows_dashes_is_not_parsed() -> None:
    seen: list[object] = []

    @click.command(cls=CommandAfterDashes)
    @click.argument("files", nargs=-1)
    @click.pass_context
    def take(ctx: click.Context, files: tuple[str, ...]) -> None:
        seen.extend([files, ctx.meta["command"]])

    take.main(["a", "--", "sh", "-c", "--", "x"], standalone_mode=False)
    assert seen == [("a",), ["sh", "-c", "--", "x"]]
