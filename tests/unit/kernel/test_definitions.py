"""What an image says of starting its apps, and what it cannot say."""

import json
import os
from pathlib import Path

import pytest

from backendai.kernel.runner.commands import check_words, list_words
from backendai.kernel.runner.definitions import (
    Definition,
    Values,
    check_given,
    find_definition,
    take_steps,
)
from backendai.kernel.runner.runs import Refusal
from backendai.kernel.wire import StartApp


def read(folder: Path, **fields: object) -> Definition:
    (folder / "app.json").write_text(json.dumps(fields))
    found = find_definition(folder, "app")
    assert found is not None
    return found


def make_values(tmp_path: Path) -> Values:
    return Values((8080, 8081), "/usr/bin/python3", str(tmp_path))


async def echo(argv: list[str]) -> str:
    return " ".join(argv)


def test_an_image_without_a_definition_has_none(tmp_path: Path) -> None:
    assert find_definition(tmp_path, "app") is None
    assert find_definition(tmp_path / "missing", "app") is None


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"command": "x"}', '{"prestart": [{"action": "rm"}]}']
)
def test_a_definition_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "app.json").write_text(text)
    with pytest.raises(Refusal, match=r"app\.json") as caught:
        find_definition(tmp_path, "app")
    assert caught.value.code == "not-started"


def test_places_are_filled_and_other_braces_stay(tmp_path: Path) -> None:
    values = make_values(tmp_path)
    values.references["cfg"] = "/tmp/x"
    filled = values.fill("{ports[0]} {ports[1]} {ports[7]} {runtime_path} {cfg} {other} {} {{")
    assert filled == "8080 8081 {ports[7]} /usr/bin/python3 /tmp/x {other} {} {{"


async def test_steps_are_taken_in_order_and_known_by_their_references(tmp_path: Path) -> None:
    steps: list[tuple[str, dict[str, object], str]] = [
        ("mkdir", {"path": "{work_dir}/made"}, "folder"),
        ("write_file", {"filename": "{folder}/c", "body": ["p={ports[0]}\n", "x"]}, ""),
        ("write_file", {"filename": "{folder}/c", "body": "y", "append": True}, ""),
        ("write_tempfile", {"body": "temporary"}, "cfg"),
        ("run_command", {"command": ["who", "{cfg}"]}, "said"),
        ("log", {"message": "{said}"}, ""),
    ]
    prestart = [{"action": action, "args": args, "ref": ref} for action, args, ref in steps]
    values = make_values(tmp_path)
    await take_steps(read(tmp_path, prestart=prestart), values, echo)
    assert (tmp_path / "made" / "c").read_text() == "p=8080\nxy"
    with open(values.references["cfg"]) as temporary:  # noqa: ASYNC230, PTH123
        assert temporary.read() == "temporary"
    assert values.references["said"] == f"who {temporary.name}"
    os.unlink(temporary.name)  # noqa: PTH108


@pytest.mark.parametrize(
    "step",
    [
        {"action": "write_file", "args": {}},
        {"action": "write_file", "args": {"filename": "/proc/none", "body": "x"}},
        {"action": "write_tempfile", "args": {"body": "x", "mode": "x"}},
        {"action": "mkdir", "args": {"path": 7}},
        {"action": "run_command", "args": {"command": None}},
    ],
)
async def test_a_step_that_fails_is_named(tmp_path: Path, step: dict[str, object]) -> None:
    with pytest.raises(Refusal, match=str(step["action"])):
        await take_steps(read(tmp_path, prestart=[step]), make_values(tmp_path), echo)


def test_only_what_the_definition_lets_through_is_taken(tmp_path: Path) -> None:
    definition = read(tmp_path, allowed_arguments=["--a"], allowed_envs=[])
    check_given(definition, {"--a": "1"}, {})
    with pytest.raises(Refusal, match="no argument '--b'; allowed are: --a"):
        check_given(definition, {"--b": None}, {})
    with pytest.raises(Refusal, match="no environment variable 'X'; allowed are: none"):
        check_given(definition, {}, {"X": "1"})
    check_given(read(tmp_path), {"--b": None}, {"X": "1"})


def test_arguments_become_words() -> None:
    arguments = {"--flag": None, "--one": "1", "--many": ["a", "b"]}
    assert list_words(arguments) == ["--flag", "--one", "1", "--many", "a", "b"]


@pytest.mark.parametrize(
    "ask",
    [
        StartApp(name="x", arguments={"--a": "\0"}),
        StartApp(name="x", arguments={"\0": None}),
        StartApp(name="x", envs={"A": "\0"}),
        StartApp(name="x", envs={"": "1"}),
        StartApp(name="x", envs={"A=B": "1"}),
    ],
)
def test_words_that_nothing_can_hold_are_refused(ask: StartApp) -> None:
    with pytest.raises(Refusal) as caught:
        check_words(ask)
    assert caught.value.code == "bad-request"
