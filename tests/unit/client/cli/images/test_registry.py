"""Passwords of registries: none is ever removed by mistake."""

from typing import Any

import pytest

from tests.unit.client.cli.conftest import Commands

SHOWN = {"container_registry": {"hostname": "cr", "config": {"url": "http://cr", "type": "docker"}}}


@pytest.fixture(autouse=True)
def _registry(commands: Commands) -> None:
    for verb in ("create", "modify", "delete"):
        commands.transport.replies[f"{verb}_container_registry"] = SHOWN


def props(commands: Commands) -> Any:
    ((_, variables),) = commands.transport.asked
    return variables["props"]


@pytest.mark.parametrize("typed", ["", "\n"])
def test_an_empty_password_is_wrong_usage_and_changes_nothing(
    commands: Commands, typed: str
) -> None:
    words = ("admin", "registry", "update", "cr", "--password")
    done = commands.run(*words, typed=typed)
    assert done.exit_code == 2
    assert "line of stdin" in done.output
    added = commands.run("admin", "registry", "add", "cr", "http://cr", "--username", "robot")
    assert added.exit_code == 2
    assert commands.transport.asked == []


def test_a_password_comes_from_stdin_or_a_variable(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("admin", "registry", "update", "cr")
    assert commands.run(*words, "--password", typed="swordfish\n").exit_code == 0
    assert props(commands) == {"password": "swordfish"}
    commands.transport.asked.clear()
    monkeypatch.setenv("ROBOT", "from there")
    assert commands.run(*words, "--password-env", "ROBOT").exit_code == 0
    assert props(commands) == {"password": "from there"}
    assert commands.run(*words, "--password-env", "NOBODY").exit_code == 2


def test_who_logs_in_no_more_needs_no_password(commands: Commands) -> None:
    words = ("admin", "registry", "update", "cr", "--username", "")
    assert commands.run(*words, "--password", typed="x\n").exit_code == 2
    assert commands.run(*words).exit_code == 0
    assert props(commands) == {"username": "", "password": ""}
