"""What files may say, and that all that is wrong is told at once, by its place."""

from typing import Any

import pytest

from backendai.client.apply.document import Password, Ref, Wanted, read_document
from backendai.client.apply.fields import FIELDS, Kind, canonical
from backendai.client.faults import BadDocument


def problems_of(data: Any) -> dict[str, str]:
    with pytest.raises(BadDocument) as caught:
        read_document(data)
    return dict(caught.value.facts)


def test_objects_come_in_the_order_in_which_they_can_be_made() -> None:
    data = {
        "keypair": [{"user": "a@b.c"}, {"access-key": "AK"}],
        "user": [{"email": "a@b.c", "password-env": "X"}],
        "project": [{"name": "p", "domain": "d"}, {"name": "p"}],
        "domain": [{"name": "d"}],
    }
    assert read_document(data) == (
        Wanted(Ref(Kind.DOMAIN, "d"), "domain[1]"),
        Wanted(Ref(Kind.PROJECT, "p", "d"), "project[1]"),
        Wanted(Ref(Kind.PROJECT, "p", "default"), "project[2]"),
        Wanted(Ref(Kind.USER, "a@b.c"), "user[1]", {}, Password("X")),
        Wanted(Ref(Kind.KEYPAIR, "a@b.c", "user"), "keypair[1]"),
        Wanted(Ref(Kind.KEYPAIR, "AK"), "keypair[2]"),
    )
    assert read_document({}) == ()


def test_values_of_one_meaning_are_equal() -> None:
    slots = {"mem": "1g", "cpu": 2}
    hosts = {"local": ["upload-file", "create-vfolder", "upload-file"]}
    row = {"name": "d", "total-resource-slots": slots, "allowed-vfolder-hosts": hosts}
    [wanted] = read_document({"domain": [row]})
    assert wanted.values == {
        "total-resource-slots": {"cpu": "2", "mem": str(1 << 30)},
        "allowed-vfolder-hosts": {"local": ["create-vfolder", "upload-file"]},
    }
    [user] = read_document({"user": [{"email": "a@b.c", "projects": ["q", "p", "q"]}]})
    assert user.values == {"projects": ["p", "q"]}
    assert (user.password, Password()) == (None, Password(None))


def test_limits_of_one_meaning_are_equal() -> None:
    data: dict[str, Any] = {
        "resource-group": [{"name": "g", "projects": ["lab/b", "a"], "scheduler-opts": {}}],
        "preset": [{"name": "s", "resource-slots": {"mem": "1g"}, "shared-memory": "64m"}],
        "project-policy": [{"name": "p", "max-quota-scope-size": "1g", "max-vfolder-count": 0}],
        "keypair-policy": [{"name": "p", "max-pending-session-count": -1}],
    }
    values = {str(each.ref.kind): each.values for each in read_document(data)}
    assert list(values) == ["keypair-policy", "project-policy", "preset", "resource-group"]
    assert values["resource-group"]["projects"] == ["default/a", "lab/b"]
    assert values["preset"]["shared-memory"] == 64 << 20
    assert values["project-policy"] == {"max-quota-scope-size": 1 << 30, "max-vfolder-count": 0}
    nothing = canonical(Kind.KEYPAIR_POLICY, {"max_pending_session_count": None})
    assert nothing["max-pending-session-count"] == -1
    assert nothing["max-pending-session-resource-slots"] == {}


def test_limits_that_are_none_are_refused() -> None:
    problems = problems_of(
        {
            "keypair-policy": [
                {
                    "name": "p",
                    "max-concurrent-sessions": -1,
                    "max-pending-session-count": -2,
                    "idle-timeout": True,
                    "default-for-unspecified": "SOME",
                }
            ],
            "user-policy": [{"name": "p", "max-quota-scope-size": "much"}],
            "preset": [{"name": "p", "shared-memory": "inf", "resource-slots": "cpu"}],
            "resource-group": [
                {"name": "g", "projects": ["a/b/c"], "scheduler-opts": "x", "wsproxy-api-token": ""}
            ],
        }
    )
    assert (
        problems["keypair-policy[1].max-concurrent-sessions"] == "write a whole number, 0 or more"
    )
    assert problems["resource-group[1].projects"].endswith("each by its domain/name")
    assert problems["resource-group[1].wsproxy-api-token"].startswith("is not known")
    assert len(problems) == 10


def test_everything_wrong_is_told_at_once_with_what_is_allowed() -> None:
    problems = problems_of(
        {
            "users": [],
            "domain": [{"name": "d", "color": "red"}, {"name": "e", "is-active": "yes"}, {}],
            "user": [
                {"email": "a@b.c", "role": "king", "projects": "p"},
                {"email": " "},
                {"email": "x@y.z"},
                {"email": "x@y.z"},
            ],
            "project": [{"name": "p", "total-resource-slots": {"CPU": 1}}],
            "keypair": [{"user": "a", "access-key": "b"}, {"user": "a", "rate-limit": 0}],
        }
    )
    assert problems["users"] == f"is no kind: there are {', '.join(Kind)}"
    assert problems["domain[1].color"].startswith("is not known: there are name, description")
    assert problems["domain[2].is-active"] == "write true or false"
    assert problems["domain[3]"] == "name it by name"
    assert problems["user[1].role"] == "'king' is none of superadmin, admin, user, monitor"
    assert problems["user[1].projects"] == "write a list of texts"
    assert problems["user[2].email"] == "write a text that is not empty"
    assert problems["user[4]"] == "x@y.z is named already by user[3]"
    assert "no slot name" in problems["project[1].total-resource-slots"]
    assert problems["keypair[1]"] == "name it by access-key or user"
    assert problems["keypair[2].rate-limit"] == "write a whole number of one or more"
    assert len(problems) == 11


@pytest.mark.parametrize(
    "data", [[], "text", None, {"user": {}}, {"user": ["a"]}, {1: []}], ids=str
)
def test_what_has_no_tables_is_refused(data: Any) -> None:
    with pytest.raises(BadDocument):
        read_document(data)


def test_a_password_itself_cannot_be_written() -> None:
    problems = problems_of({"user": [{"email": "a@b.c", "password": "secret"}]})
    assert "password-env, generate-password" in problems["user[1].password"]
    assert "secret" not in str(problems)


@pytest.mark.parametrize("kind", Kind)
def test_present_properties_have_all_names_of_a_file(kind: Kind) -> None:
    assert canonical(kind, {}).keys() == FIELDS[kind].keys()


def test_present_properties_are_in_the_form_of_files() -> None:
    facts = {"total_resource_slots": {"mem": "1024"}, "description": None, "is_active": True}
    found = canonical(Kind.DOMAIN, facts)
    assert found["total-resource-slots"] == {"mem": "1024"}
    assert (found["description"], found["is-active"]) == ("", True)
    odd = canonical(Kind.DOMAIN, {"allowed_vfolder_hosts": {"local": ["of the future"]}})
    assert odd["allowed-vfolder-hosts"] == {"local": ["of the future"]}


def test_a_password_comes_from_one_place() -> None:
    row = {"email": "a@b.c", "password-env": "X", "generate-password": True}
    assert "not both" in problems_of({"user": [row]})["user[1]"]
    [user] = read_document({"user": [{**row, "generate-password": False}]})
    assert user.password == Password("X")
