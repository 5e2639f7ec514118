"""How a change reads in a line, and that no secret is in it."""

import uuid
from datetime import UTC, datetime
from typing import Any

from backendai.manager.audit.model import Entry, Target
from backendai.manager.audit.render import entries_table, entry_object
from backendai.manager.audit.rows import target_of
from backendai.manager.audit.store import HIDDEN, is_secret, shown
from backendai.manager.db import tables as t


def entry(**more: Any) -> Entry:
    values: dict[str, Any] = {
        "id": 1,
        "at": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "request_id": "r",
        "user_id": uuid.UUID(int=1),
        "email": "root@example.com",
        "access_key": "AKROOT",
        "as_email": None,
        "as_access_key": None,
        "action": "user.modify",
        "target": Target("user", "a@example.com", "default"),
        "before": {"full_name": "Old"},
        "after": {"full_name": "New\nName"},
    }
    return Entry(**{**values, **more})


def test_a_line_tells_what_was_and_what_is() -> None:
    head, line = entries_table([entry()])
    assert head.split() == ["AT", "WHO", "ACTION", "TARGET", "CHANGED"]
    assert line.split("  ") == [
        "2026-01-31T12:00:00+00:00",
        "root@example.com",
        "user.modify",
        "user a@example.com",
        "full_name: Old -> New Name",
    ]


def test_who_acts_as_somebody_else_is_told_with_both_names() -> None:
    _, line = entries_table([entry(as_email="alice@example.com")])
    assert "root@example.com as alice@example.com" in line


def test_members_are_told_by_sign() -> None:
    _, line = entries_table([entry(before={}, after={"members": ["a@b", "c@d"]})])
    assert line.endswith("+a@b, +c@d")
    _, line = entries_table([entry(before={"members": ["a@b"]}, after={})])
    assert line.endswith("-a@b")


def test_an_object_has_every_field() -> None:
    made = entry_object(entry())
    assert (made["target_kind"], made["target_id"], made["domain"]) == (
        "user",
        "a@example.com",
        "default",
    )
    assert made["at"] == "2026-01-31T12:00:00+00:00"


def test_secrets_show_only_that_they_are_there() -> None:
    assert shown(t.users, {"password_hash": "$argon2id$", "full_name": "x"}) == {
        "password_hash": HIDDEN,
        "full_name": "x",
    }
    assert shown(t.users, {"password_hash": None}) == {"password_hash": None}
    hidden = {
        f"{table.name}.{column.name}"
        for table in t.metadata.sorted_tables
        for column in table.c
        if is_secret(column)
    }
    assert {
        "users.password_hash",
        "keypairs.secret_key_encrypted",
        "resource_groups.wsproxy_api_token",
    } <= hidden
    assert not {"users.need_password_change", "users.password_changed_at"} & hidden


def test_kinds_are_the_glossarys_words() -> None:
    policy = target_of(t.keypair_policies, {"name": "p"})
    assert (policy.kind, policy.id, policy.domain) == ("keypair_policy", "p", None)
    assert target_of(t.image_aliases, {"alias": "py"}).kind == "image_alias"
    domain = target_of(t.domains, {"name": "d"})
    assert (domain.kind, domain.domain) == ("domain", "d")
