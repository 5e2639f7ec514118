"""Limits, use and what is left, as texts; what is free on nodes; what presets ask."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.common.enums import AgentStatus
from backendai.common.ids import AgentId
from backendai.manager.resources.model import (
    WANTED,
    Account,
    Facts,
    Preset,
    Verdict,
    Wanted,
    account_of,
    asks_of,
    judge,
    left_of,
    offer_of,
    reason_of,
    room_of_all,
    rooms_of,
    view_of,
)
from backendai.manager.sched.plan import explain_each
from backendai.manager.sched.reasons import no_group
from backendai.manager.sched.shares import Shares
from backendai.manager.sched.view import UNITS_MAX, Group, Node, Quota, Swarm, units_of, units_text

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCOPES = (("keypair", "k"), ("project", "p"), ("domain", "d"))
SLOTS = ("cpu", "mem", "cuda.device")


def make_quota(used: dict[str, str], most: dict[str, str], **more: Any) -> Quota:
    return Quota(scope="keypair", name="k", slots_max=units_of(most), slots=units_of(used), **more)


def make_node(name: str, group: str, cpu: str, taken: str = "0", **more: Any) -> Node:
    return Node(
        id=AgentId(name),
        group=group,
        architecture=more.pop("architecture", "x86_64"),
        capacity=units_of({"cpu": cpu, "mem": "1073741824"}),
        occupied=units_of({"cpu": taken}),
        swarm=Swarm("n0", "swarm", frozenset({"n0"})),
        **more,
    )


def make_facts(**changes: Any) -> Facts:
    values: dict[str, Any] = {
        "quotas": [Quota(scope=scope, name=key) for scope, key in SCOPES],
        "scopes": SCOPES,
        "slots": SLOTS,
        "groups": [Group("default")],
        "nodes": [make_node("a", "default", "4", "1.5")],
        "own_use": {},
        "presets": [Preset("small", {"cpu": "1", "mem": "1g"}, None)],
    }
    return Facts(**{**values, **changes})


@pytest.mark.parametrize(
    ("slot", "units", "text"),
    [
        ("cpu", 1_500_000, "1.5"),
        ("cpu", 1, "0.000001"),
        ("cpu", 0, "0"),
        ("mem", 1 << 40, str(1 << 40)),
        ("mem", UNITS_MAX, "Infinity"),
        ("cuda.device", 2_000_000, "2"),
    ],
)
def test_units_are_told_exactly(slot: str, units: int, text: str) -> None:
    assert units_text(slot, units) == text


def test_what_nobody_limits_is_infinite() -> None:
    told = account_of([make_quota({"cpu": "2"}, {"mem": "1024"})], SLOTS)
    assert told == Account(
        limits={"cpu": "Infinity", "mem": "1024", "cuda.device": "Infinity"},
        using={"cpu": "2", "mem": "0", "cuda.device": "0"},
        remaining={"cpu": "Infinity", "mem": "1024", "cuda.device": "Infinity"},
    )


def test_what_a_closed_policy_does_not_name_is_nothing() -> None:
    told = account_of([make_quota({}, {"cpu": "1", "mem": "Infinity"}, is_closed=True)], SLOTS)
    assert told.limits == {"cpu": "1", "mem": "Infinity", "cuda.device": "0"}
    assert told.remaining == told.limits


def test_what_is_left_is_what_all_leave_and_never_less_than_nothing() -> None:
    keypair = make_quota({"cpu": "3"}, {"cpu": "2"})
    project = make_quota({"mem": "1000"}, {"mem": "1024"})
    told = account_of([keypair, project], ("cpu", "mem"))
    assert told.remaining == {"cpu": "0", "mem": "24"}
    assert told.limits == {"cpu": "2", "mem": "Infinity"}


def test_what_is_not_told_is_no_number() -> None:
    told = account_of([make_quota({}, {})], ("cpu",), is_told=False)
    assert told == Account({"cpu": "NaN"}, {"cpu": "NaN"}, {"cpu": "NaN"})


@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 6))
def test_what_is_left_is_what_the_planner_allows(used: int, most: int, asked: int) -> None:
    quota = make_quota({"cpu": str(used)}, {"cpu": str(most)})
    shares = Shares({SCOPES[0]: quota})
    need = units_of({"cpu": str(asked)})
    allows = shares.room(shares.of(SCOPES[:1]), need, 1) == 1
    assert allows == (need["cpu"] <= left_of(quota, "cpu"))


def test_only_nodes_that_take_sessions_have_room() -> None:
    nodes = [
        make_node("a", "default", "4", "1.5"),
        make_node("b", "default", "4", is_schedulable=False),
        make_node("c", "default", "4", status=AgentStatus.SUSPECT),
        make_node("d", "default", "1", "3"),
        make_node("e", "gpu", "2"),
        make_node("f", "of others", "64"),
    ]
    facts = make_facts(
        nodes=nodes,
        groups=[Group("default"), Group("gpu")],
        own_use={"gpu": units_of({"cpu": "0.5"})},
    )
    rooms = rooms_of(facts)
    gib = 1 << 30
    assert rooms["default"].remaining == {"cpu": "2.5", "mem": str(2 * gib), "cuda.device": "0"}
    assert rooms["gpu"].using == {"cpu": "0.5", "mem": "0", "cuda.device": "0"}
    assert room_of_all(facts) == {"cpu": "4.5", "mem": str(3 * gib), "cuda.device": "0"}


def test_presets_are_asked_for_in_each_usable_place() -> None:
    nodes = [
        make_node("a", "default", "4"),
        make_node("b", "default", "4"),
        make_node("c", "default", "4", architecture="aarch64"),
        make_node("d", "of others", "4"),
    ]
    presets = [Preset("broken", {"cpu": "many"}, None), Preset("empty", {}, None)]
    asks = asks_of(make_facts(nodes=nodes, presets=presets), NOW)
    assert {name: len(found) for name, found in asks.items()} == {"empty": 2}
    assert [ask.kernels[0].architecture for ask in asks["empty"]] == ["aarch64", "x86_64"]


def test_the_order_of_asks_survives_the_view() -> None:
    presets = [Preset(f"p{number:02}", {"cpu": f"{number + 1}"}, None) for number in range(20)]
    facts = make_facts(presets=presets)
    asks = [ask for found in asks_of(facts, NOW).values() for ask in found]
    view = view_of(facts, asks)
    assert list(view.asks) == asks
    fits = [reason is None for reason in explain_each(view, NOW)]
    assert fits == [True, True] + [False] * 18


def test_one_place_is_enough_for_an_offer() -> None:
    preset = Preset("p", {}, None)
    closed = no_group("default")
    assert offer_of(preset, [closed, None]).reason is None
    assert offer_of(preset, [closed, closed]).reason == closed.detail
    assert "no such nodes" in str(offer_of(preset, []).reason)
    assert "administrator" in str(offer_of(preset, None).reason)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Wanted(slots={"cpu": "2"}, cluster_size=2), False),
        (Wanted(slots={"cpu": "2"}, cluster_size=2, is_single_node=False), True),
        (Wanted(slots={"cpu": "1"}, cluster_size=2), True),
        (Wanted(slots={"cpu": "1"}, architecture="aarch64"), False),
    ],
)
def test_what_is_wanted_is_asked_for_as_it_would_be_made(wanted: Wanted, fits: bool) -> None:
    nodes = [make_node("a", "default", "3"), make_node("b", "default", "3")]
    facts = make_facts(nodes=nodes, presets=[], wanted=wanted)
    asks = asks_of(facts, NOW)[WANTED]
    reasons = explain_each(view_of(facts, asks), NOW)
    assert (reason_of(reasons) is None) is fits


@pytest.mark.parametrize(
    ("cpu", "is_possible", "words"),
    [
        ("2", True, None),
        ("2.5", False, "2.5 of cpu is too much: the project may use 2 at most."),
    ],
)
def test_what_a_limit_never_lets_start_is_told_apart_from_what_waits(
    cpu: str, is_possible: bool, words: str | None
) -> None:
    quotas = [make_quota({}, {}), replace(make_quota({}, {"cpu": "2"}), scope="project")]
    facts = make_facts(quotas=quotas, presets=[], wanted=Wanted(slots={"cpu": cpu}))
    assert judge(facts, [None]) == Verdict(words, is_possible)
    facts = make_facts(quotas=quotas, presets=[], wanted=Wanted(slots={"cpu": "1"}, cluster_size=3))
    assert not judge(facts, [None]).is_possible


def test_limits_that_cannot_be_read_leave_nothing() -> None:
    bad = make_quota({"cpu": "1"}, {}, problem="cpu: 'lots' is no amount")
    account = account_of([bad, make_quota({}, {"cpu": "4"})], SLOTS)
    assert account.remaining == dict.fromkeys(SLOTS, "0")
    assert account.using["cpu"] == "1"
