"""What may be written of a resource group, of policies and of presets: sound, or one refusal."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backendai.common.enums import PlacementStrategy
from backendai.common.faults import InvalidParams
from backendai.manager.accounts.fields import INT8_MAX, Read, read_fields
from backendai.manager.policies.service import KEYPAIR, PROJECT, USER
from backendai.manager.resource_groups.options import FIELDS, read_scheduler_options
from backendai.manager.resources import presets
from backendai.manager.sched.load import pending_timeout_of, strategy_of
from backendai.manager.sched.view import read_limits

READS: Mapping[str, Read] = {
    **FIELDS,
    **KEYPAIR.reads,
    **USER.reads,
    **PROJECT.reads,
    **presets.FIELDS,
}
TEXT_FIELDS = sorted(
    name
    for name in READS
    if name.endswith(("_slots", "_opts", "_hosts", "_addr", "_size", "_memory", "timeout"))
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = st.sampled_from(["cpu", "mem", "placement", "pending_timeout", "allowed_session_types", ""])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)


@given(text=st.text(max_size=20) | VALUES.map(json.dumps))
@settings(max_examples=100)
def test_what_is_stored_can_always_be_read(text: str) -> None:
    for name in TEXT_FIELDS:
        try:
            value = read_fields({name: text}, READS).get(name)
        except InvalidParams:
            continue
        json.dumps(value, allow_nan=False)
        if name.endswith("_slots") and value is not None:
            assert read_limits(value)[1] == ""
        if isinstance(value, int):
            assert -1 <= value <= INT8_MAX
        if name == "scheduler_opts":
            strategy_of(value)
            pending_timeout_of(value)


def test_the_words_of_official_clients_mean_the_same() -> None:
    told = read_scheduler_options(
        '{"agent_selection_strategy": "concentrated", "pending_timeout": 60, "config": {"x": 1}}'
    )
    assert strategy_of(told) is PlacementStrategy.CONCENTRATED
    assert pending_timeout_of(told) == 60.0
    both = {"placement": "dispersed", **told, "pending_timeout_seconds": 5.0}
    assert strategy_of(both) is PlacementStrategy.DISPERSED
    assert pending_timeout_of(both) == 5.0


@pytest.mark.parametrize("address", ["", "http://x", "https://proxy.example.com:10200/path"])
def test_addresses_of_proxies(address: str) -> None:
    assert FIELDS["wsproxy_addr"](address) == address


@pytest.mark.parametrize("address", ["x", "ftp://x", "http://", "http://x\n", "http://[", " "])
def test_what_is_no_address_of_a_proxy(address: str) -> None:
    with pytest.raises(ValueError, match=r"address|IPv6|URL"):
        FIELDS["wsproxy_addr"](address)
