"""Every mistake of an input is told at once, by field, with what is allowed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.common.faults import InvalidParams
from backendai.manager.accounts import fields
from backendai.manager.accounts.users import _FIELDS as USER_FIELDS

ANYTHING = st.text(max_size=80)


def test_null_says_nothing() -> None:
    assert fields.read_fields({"a": None, "b": "x"}, {"a": fields.slug, "b": fields.slug}) == {
        "b": "x"
    }


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InvalidParams) as told:
        fields.read_fields(
            {"a": "-", "b": "x", "c": 0},
            {"a": fields.slug, "b": fields.email, "c": fields.rate_limit},
        )
    assert set(told.value.facts) == {"a", "b", "c"}


@given(st.sampled_from(sorted(USER_FIELDS.keys() - {"allowed_client_ip"})), ANYTHING)
def test_any_text_is_read_or_refused(name: str, value: str) -> None:
    assert is_read_or_refused(name, value, USER_FIELDS[name])


@given(st.one_of(ANYTHING, st.lists(ANYTHING), st.dictionaries(ANYTHING, ANYTHING)))
def test_any_json_is_read_or_refused(value: Any) -> None:
    for read in (fields.slots, fields.hosts):
        assert is_read_or_refused("it", value, read)


def is_read_or_refused(name: str, value: Any, read: fields.Read) -> bool:
    """Whether the only exception is the one that names the field."""
    try:
        return name in fields.read_fields({name: value}, {name: read})
    except InvalidParams as fault:
        return bool(fault.facts[name])


@pytest.mark.parametrize("value", ["10.0.0.1", "10.0.0.0/8", "10.1.2.3/8", "2001:db8::/32"])
def test_addresses_and_networks_are_kept_as_written(value: str) -> None:
    assert fields.networks([value]) == [value]


def test_permissions_of_hosts_are_in_one_order() -> None:
    given_twice = '{"h": ["download-file", "create-vfolder", "download-file"]}'
    assert fields.hosts(given_twice) == {"h": ["create-vfolder", "download-file"]}
