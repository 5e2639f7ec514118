"""`admin user`: passwords that are made here are never lost."""

import json
from typing import Any

import pytest

from backendai.client.faults import ConnectionLost, Unreachable
from backendai.common.faults import Fault, Forbidden
from tests.unit.client.cli.conftest import Commands

ADD = ("admin", "user", "add", "ann@x.org", "--generate-password", "--output", "json")
CHANGE = ("admin", "user", "update", "ann@x.org", "--generate-password", "--output", "json")


@pytest.mark.parametrize(("words", "root"), [(ADD, "create_user"), (CHANGE, "modify_user")])
def test_a_password_is_shown_when_the_answer_is_lost(
    commands: Commands, words: tuple[str, ...], root: str
) -> None:
    commands.transport.replies[root] = ConnectionLost("cut")
    done = commands.run(*words)
    ((_, variables),) = commands.transport.asked
    assert json.loads(done.stdout) == {
        "email": "ann@x.org",
        "password": variables["props"]["password"],
    }
    assert "Nobody knows whether ann@x.org was written" in done.stderr
    assert isinstance(done.exception, ConnectionLost)


@pytest.mark.parametrize("fault", [Forbidden("no"), Unreachable("refused")])
def test_a_password_of_nobody_is_not_shown(commands: Commands, fault: Fault) -> None:
    commands.transport.replies["create_user"] = fault
    done = commands.run(*ADD)
    assert done.stdout == ""
    assert isinstance(done.exception, type(fault))


def test_a_password_from_elsewhere_is_not_shown(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANN", "secret of ann")
    commands.transport.replies["create_user"] = ConnectionLost("cut")
    done = commands.run("admin", "user", "add", "ann@x.org", "--password-env", "ANN")
    assert "secret of ann" not in done.output


def test_a_project_is_of_the_domain_of_the_environment(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = {"id": "7", "name": "vision", "domain_name": "lab"}
    page = {"items": [{"id": "1", "email": "ann@x.org", "domain_name": "lab"}], "total_count": 1}
    commands.transport.replies |= {"groups_by_name": [project], "user_list": page}
    monkeypatch.setenv("BACKEND_DOMAIN", "lab")
    words = ("--project", "vision", "--filter", 'role == "user"', "--limit", "1")
    done = commands.run("admin", "user", "list", *words)
    assert done.exit_code == 0, done.output
    (_, named), (_, listed) = commands.transport.asked
    assert named == {"name": "vision", "domain_name": "lab"}
    wanted = {"group_id": "7", "filter": 'role == "user"', "order": "created_at"}
    assert listed == {"limit": 1, "offset": 0, **wanted}
    assert "These are the first 1; there may be more." in done.stderr


@pytest.mark.parametrize(
    ("words", "props"),
    [
        (("--allowed-ip", ""), {"allowed_client_ip": []}),
        (("--allowed-ip", "10.0.0.0/8"), {"allowed_client_ip": ["10.0.0.0/8"]}),
        (("--description", ""), {"description": ""}),
        (("--project", ""), {"group_ids": []}),
    ],
)
def test_lists_of_users_are_emptied(
    commands: Commands, words: tuple[str, ...], props: dict[str, Any]
) -> None:
    row = {"id": "1", "email": "ann@x.org", "domain_name": "lab"}
    commands.transport.replies |= {"modify_user": {"ok": True, "user": row}, "user": row}
    done = commands.run("admin", "user", "update", "ann@x.org", *words)
    assert done.exit_code == 0, done.output
    assert commands.transport.asked[-1][1] == {"email": "ann@x.org", "props": props}


@pytest.mark.parametrize(
    ("words", "props"),
    [
        (("-r", ""), {"total_resource_slots": "{}"}),
        (("-r", "cpu=1"), {"total_resource_slots": '{"cpu":"1"}'}),
        (("--vfolder-host", ""), {"allowed_vfolder_hosts": "{}"}),
        (("--registry", ""), {"allowed_docker_registries": []}),
    ],
)
def test_limits_of_domains_are_emptied(
    commands: Commands, words: tuple[str, ...], props: dict[str, Any]
) -> None:
    commands.transport.replies["modify_domain"] = {"ok": True, "domain": {"name": "lab"}}
    done = commands.run("admin", "domain", "update", "lab", *words)
    assert done.exit_code == 0, done.output
    assert commands.transport.asked == [("modify_domain", {"name": "lab", "props": props})]


@pytest.mark.parametrize(
    "words",
    [
        ("domain", "update", "lab", "-r", "", "-r", "cpu=1"),
        ("user", "update", "a@x.org", "--allowed-ip", "", "--allowed-ip", "::1"),
        ("project", "update", "p", "--add-user", ""),
    ],
)
def test_an_empty_value_among_others_is_wrong_usage(
    commands: Commands, words: tuple[str, ...]
) -> None:
    assert commands.run("admin", *words).exit_code == 2
    assert commands.transport.asked == []


@pytest.mark.parametrize(
    "words",
    [
        ("add", "a@x.org", "--password-env", "ANN", "--generate-password"),
        ("update", "a@x.org", "--password-env", "ANN", "--generate-password"),
        ("update", "a@x.org", "--password", "--generate-password"),
        ("update", "a@x.org", "--password", "--password-env", "ANN"),
    ],
)
def test_a_password_comes_from_one_place(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("ANN", "secret of ann")
    done = commands.run("admin", "user", *words, typed="other\n")
    assert done.exit_code == 2
    assert "in one way" in done.output
    assert commands.transport.asked == []
