"""`apply`: passwords that are made here are never lost."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from backendai.client.faults import ConnectionLost
from backendai.common.faults import Fault, Forbidden
from tests.unit.client.cli.conftest import Commands

TWO = """
[[user]]
email = "ann@x.org"
generate-password = true
[[user]]
email = "bob@x.org"
generate-password = true
"""
APPLY = ("apply", "-f", "-", "--yes")


@pytest.fixture(autouse=True)
def _server(commands: Commands) -> None:
    commands.transport.replies |= {
        "domains": [{"name": "default"}],
        "groups": [],
        "users": [],
        "user": lambda _: None,
        "keypairs": [],
    }


def refuse_second(commands: Commands, fault: Fault) -> None:
    def create(variables: Mapping[str, Any]) -> Any:
        email = variables["email"]
        row = {"id": "1", "email": email, "domain_name": "default", "main_access_key": "AK"}
        return fault if email == "bob@x.org" else {"ok": True, "msg": "", "user": row}

    commands.transport.replies["create_user"] = create


def sent(commands: Commands) -> dict[str, str]:
    return {
        variables["email"]: variables["props"]["password"]
        for root, variables in commands.transport.asked
        if root == "create_user"
    }


def test_a_password_is_shown_when_the_answer_is_lost(commands: Commands) -> None:
    refuse_second(commands, ConnectionLost("cut"))
    done = commands.run(*APPLY, "--output", "json", typed=TWO)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert {name: row["password"] for name, row in rows.items()} == sent(commands)
    assert [row["is_done"] for row in rows.values()] == [True, None]
    assert "Nobody knows whether user bob@x.org was written" in done.stderr
    assert "1 of 2 steps are done. Apply the file again" in done.stderr


def test_people_see_both_passwords(commands: Commands) -> None:
    refuse_second(commands, ConnectionLost("cut"))
    done = commands.run(*APPLY, typed=TWO)
    for email, password in sent(commands).items():
        assert f"password of {email}: {password}\n" in done.stdout


def test_a_refused_user_has_no_password(commands: Commands) -> None:
    refuse_second(commands, Forbidden("no"))
    done = commands.run(*APPLY, "--output", "json", typed=TWO)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert (rows["bob@x.org"]["is_done"], rows["bob@x.org"]["password"]) == (False, None)
    assert rows["ann@x.org"]["password"] == sent(commands)["ann@x.org"]
    assert "Nobody" not in done.stderr
