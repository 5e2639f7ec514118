"""Keys and values of the configuration: paths, leaves, what nobody writes by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.common.faults import BadRequest, Conflict, Forbidden, InvalidParams
from backendai.manager.config.keys import (
    LEAVES_MAX,
    check_key,
    is_secret,
    moved_pairs,
    nest,
    pairs_of,
    refuse_protected,
)

_WORDS = st.text("abc", min_size=1, max_size=2)
_TREES = st.recursive(
    st.text("xyz", max_size=3),
    lambda inner: st.dictionaries(_WORDS, inner, min_size=1, max_size=3),
    max_leaves=LEAVES_MAX,
)


@pytest.mark.parametrize("key", ["", "/", "/a", "a//b", "a\x00", "a\x7fb", "a\nb", "x" * 513])
def test_odd_keys_are_refused(key: str) -> None:
    with pytest.raises(InvalidParams):
        check_key(key)


@pytest.mark.parametrize(("key", "path"), [("a", "a"), ("a/b/", "a/b"), ("ä ö/b", "ä ö/b")])
def test_sound_keys_lose_the_slash_at_their_end(key: str, path: str) -> None:
    assert check_key(key) == path


@pytest.mark.parametrize("key", ["nodes", "nodes/agents", "nodes/agents/i-1"])
def test_what_the_platform_writes_is_protected(key: str) -> None:
    with pytest.raises(Forbidden, match="cannot be changed by hand"):
        refuse_protected(key)


@pytest.mark.parametrize("key", ["node", "nodesx/agents", "config/nodes"])
def test_what_only_looks_like_it_is_not_protected(key: str) -> None:
    refuse_protected(key)


@given(_TREES.filter(lambda tree: isinstance(tree, dict)))
def test_what_is_stored_is_read_again(tree: dict[str, Any]) -> None:
    pairs = pairs_of("config/x", tree)
    assert nest({**pairs, "config/xy": "other", "config": "above"}, "config/x") == tree


def test_a_path_may_have_a_value_of_its_own_and_others_below() -> None:
    assert pairs_of("a", {"": "1", "b": {"": "2", "c": "3"}}) == {
        "a": "1",
        "a/b": "2",
        "a/b/c": "3",
    }
    for order in ({"a/b": "2", "a/b/c": "3"}, {"a/b/c": "3", "a/b": "2"}):
        assert nest(order, "a") == {"b": {"": "2", "c": "3"}}


@pytest.mark.parametrize("value", [{}, {str(number): "" for number in range(LEAVES_MAX + 1)}])
def test_objects_have_one_to_sixteen_values(value: dict[str, str]) -> None:
    with pytest.raises(InvalidParams, match="validation") as refused:
        pairs_of("a", value)
    assert str(LEAVES_MAX) in refused.value.facts["value"]


def test_a_subtree_moves_with_what_is_at_its_root_and_nothing_beside() -> None:
    pairs = {"a": "1", "a/b/c": "2", "ab": "3"}
    assert moved_pairs(pairs, {}, "a", "x/y") == {"x/y": ("a", "1"), "x/y/b/c": ("a/b/c", "2")}
    # As after a move that was interrupted.
    assert len(moved_pairs(pairs, {"x/y": "1"}, "a", "x/y")) == 2
    with pytest.raises(Conflict, match="x/y/b/c"):
        moved_pairs(pairs, {"x/y/b/c": "other"}, "a", "x/y")
    for target in ("a", "a/b"):
        with pytest.raises(BadRequest, match="parts of each other"):
            moved_pairs(pairs, {}, "a", target)
    with pytest.raises(BadRequest):
        moved_pairs(pairs, {}, "a/b", "a")
    assert moved_pairs(pairs, {}, "b", "ba") == {}


def test_the_secrets_of_storage_proxies_are_known_by_their_keys() -> None:
    assert is_secret("volumes/proxies/local/secret")
    for key in ("volumes/proxies/local/manager_api", "volumes/default_host", "config/secret"):
        assert not is_secret(key)
