"""Names of custom images: what may be written, and whose they are."""

import uuid
from datetime import UTC, datetime

import pytest

from backendai.common.contracts.agent import COMMIT_LABEL
from backendai.common.faults import Conflict
from backendai.common.images import is_custom
from backendai.manager.images.commits import Commit, find_same
from backendai.manager.images.custom import (
    Owner,
    check_custom_name,
    labels_of,
    make_name,
    prefix_of,
)
from backendai.manager.sessions.names import check_image_name

NOW = datetime(2026, 11, 22, 10, 30, 5, tzinfo=UTC)
ALICE = uuid.UUID(int=7)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("tools", "tools:latest"),
        ("my-tools_2.1:V1.0-rc_1", "my-tools_2.1:V1.0-rc_1"),
        ("a" * 64, "a" * 64 + ":latest"),
    ],
)
def test_sound_names_get_a_tag(given: str, name: str) -> None:
    assert check_custom_name(given) == name
    assert check_image_name(prefix_of(ALICE) + name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Tools",
        "a/b",
        "../x",
        "a..b",
        "-a",
        "a-",
        "a:",
        ":1",
        "a:.x",
        "a:b:c",
        "a b",
        "a\n",
        "ü",
        "a@sha256:0",
        "a" * 65,
        "a:" + "b" * 65,
    ],
)
def test_odd_names_are_refused_with_the_rule(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters"):
        check_custom_name(name)


@pytest.mark.parametrize("session", ["Demo", "my.session_1", "_x_", "ü" * 64, "a" * 64, "A--b"])
def test_a_made_name_is_sound(session: str) -> None:
    name = make_name(session, NOW)
    assert check_custom_name(name) == name
    assert name.endswith(":20261122-103005")


def test_the_owner_is_in_the_name_and_in_the_labels() -> None:
    assert is_custom(f"{prefix_of(ALICE)}tools:1")
    assert not is_custom("python:3.11")
    labels = labels_of(Owner(ALICE, "alice@example.com"), "tools:1", "c1")
    assert labels[COMMIT_LABEL] == "c1"
    assert labels["ai.backend.customized-image.owner"] == f"user:{ALICE}"


def test_asking_again_gives_the_same_commit_and_two_do_not_collide() -> None:
    live = [Commit("k1", uuid.UUID(int=1), "custom/a/x:1")]
    assert find_same(live, "k1", "custom/a/x:1", "x:1") is live[0]
    assert find_same(live, "k1", "custom/a/demo:0", None) is live[0]
    assert find_same(live, "k2", "custom/a/y:1", "y:1") is None
    with pytest.raises(Conflict, match="being committed to custom/a/x:1"):
        find_same(live, "k1", "custom/a/y:1", "y:1")
    with pytest.raises(Conflict, match="Another session"):
        find_same(live, "k2", "custom/a/x:1", "x:1")
