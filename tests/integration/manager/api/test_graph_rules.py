"""What clients rely on in the answers of lists: a test for each rule."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from graphql import (
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
)

from backendai.common.contracts import agent as c
from backendai.manager.graph.execute import SCHEMA_FILE
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.scripted import ScriptedAgent

Create = Callable[..., Awaitable[dict[str, Any]]]
AsUser = Callable[[str], Caller]
PAGE = "limit: 100, offset: 0"
USE = c.ResourceUse(cpu_percent=50.0, memory_bytes=1024, memory_bytes_max=2048)


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(SCHEMA_FILE.read_text("utf-8"))


@pytest.fixture
async def session(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> AsyncIterator[dict[str, Any]]:
    """A running session of two containers that was measured, and one that waits for its end."""
    agent.use = USE
    made = await create(alice, name, clusterSize=2)
    await create(alice, f"{name}-after", dependencies=[name], enqueueOnly=True)
    yield made
    await alice.ask("DELETE", f"/session/{name}-after")
    await alice.ask("DELETE", f"/session/{name}")


def everything(schema: GraphQLSchema, type_name: str, depth: int = 3) -> str:
    """A selection of all fields of a type, and of those of the types in it."""
    owner = schema.type_map[type_name]
    assert isinstance(owner, GraphQLObjectType)
    parts = []
    for field, made in owner.fields.items():
        kind = get_named_type(made.type)
        if not isinstance(kind, GraphQLObjectType):
            parts.append(field)
        elif depth:
            parts.append(f"{field} {everything(schema, kind.name, depth - 1)}")
    return "{ " + " ".join(parts) + " }"


def walk(schema: GraphQLSchema, kind: Any, value: Any) -> Any:
    """Each scalar of an answer with its type: (owner.field, type, value)."""
    owner = get_named_type(kind)
    if value is None or not isinstance(owner, GraphQLObjectType):
        return
    for item in value if isinstance(value, list) else [value]:
        for name, inner in item.items():
            made = owner.fields[name].type
            yield f"{owner.name}.{name}", made, inner
            yield from walk(schema, made, inner)


ROOTS = {
    "user_list": ("User", PAGE),
    "keypair_list": ("KeyPair", PAGE),
    "agent_list": ("Agent", PAGE),
    "agent_summary_list": ("AgentSummary", PAGE),
    "compute_session_list": ("ComputeSession", PAGE),
    "legacy_compute_session_list": ("LegacyComputeSession", PAGE),
    "compute_container_list": ("ComputeContainer", f'{PAGE}, session_id: "ID"'),
    "scaling_groups": ("ScalingGroup", ""),
}


def query_of(schema: GraphQLSchema, root: str, session_id: str) -> str:
    kind, args = ROOTS[root]
    inner = everything(schema, kind, depth=1)
    if root == "scaling_groups":
        return f"{{ {root} {inner} }}"
    return f"{{ {root}({args.replace('ID', session_id)}) {{ items {inner} total_count }} }}"


async def test_no_credential_a_wrong_one_and_an_old_one(nobody: Caller, alice: Caller) -> None:
    body = {"query": f"{{ user_list({PAGE}) {{ total_count }} }}"}
    for caller, status in (
        (nobody, 401),
        (alice.but(secret_key="x"), 401),
        (alice.but(shift=timedelta(hours=1)), 400),
    ):
        assert (await caller.ask("POST", "/admin/gql", body)).status == status


async def test_every_field_of_every_list_can_be_selected(
    schema: GraphQLSchema, as_user: AsUser, session: dict[str, Any]
) -> None:
    """And JSON fields are JSON text inside of the answer's JSON."""
    assert schema.query_type is not None
    for root in ROOTS:
        found = await as_user("root").graph(query_of(schema, root, session["sessionId"]))
        assert "errors" not in found, (root, found["errors"])
        seen = list(walk(schema, schema.query_type.fields[root].type, found["data"][root]))
        assert seen
        for name, kind, value in seen:
            check_scalar(name, kind, value)


def check_scalar(name: str, kind: Any, value: Any) -> None:
    word = get_named_type(kind).name
    if value is None:
        assert not isinstance(kind, GraphQLNonNull), name
    elif isinstance(value, list) or isinstance(getattr(kind, "of_type", kind), GraphQLList):
        assert isinstance(value, list), name
    elif word == "JSONString":
        assert isinstance(json.loads(value), dict | list), name
    elif word in ("String", "ID", "UUID", "DateTime"):
        assert isinstance(value, str), name
    elif word in ("Int", "BigInt"):
        assert isinstance(value, int), name


@pytest.mark.parametrize(
    "root", ["user_list", "keypair_list", "agent_list", "compute_session_list"]
)
async def test_keys_come_in_the_order_of_the_selection(
    schema: GraphQLSchema, as_user: AsUser, session: dict[str, Any], root: str
) -> None:
    assert session
    owner = schema.type_map[ROOTS[root][0]]
    assert isinstance(owner, GraphQLObjectType)
    plain = [
        name
        for name, made in owner.fields.items()
        if not isinstance(get_named_type(made.type), GraphQLObjectType)
    ]
    half = len(plain) // 2
    for names in (plain, plain[::-1], [*plain[half:], *plain[:half]]):
        text = f"{{ {root}({PAGE}) {{ total_count items {{ {' '.join(names)} }} }} }}"
        found = (await as_user("root").graph(text))["data"][root]
        assert list(found) == ["total_count", "items"]
        assert all(list(item) == names for item in found["items"])
    mixed = f"""query {{ {root}({PAGE}) {{ items {{ {plain[3]} ...Some last: {plain[0]} }} }} }}
      fragment Some on {owner.name} {{ {plain[2]} {plain[1]} }}"""
    found = (await as_user("root").graph(mixed))["data"][root]["items"][0]
    assert list(found) == [plain[3], plain[2], plain[1], "last"]


NEVER_NULL = {
    "agent_list": "available_slots occupied_slots mem_cur_bytes cpu_cur_pct",
    "agent_summary_list": "available_slots occupied_slots",
    "compute_session_list": "occupying_slots occupied_slots containers dependencies type result",
    "compute_container_list": "occupied_slots",
    "legacy_compute_session_list": "occupied_slots mounts",
    "user_list": "groups",
    "keypair_list": "user_info projects",
}
SLOTS = ("available_slots", "occupied_slots", "occupying_slots")


async def test_what_the_printers_of_clients_need_is_never_null(
    schema: GraphQLSchema, as_user: AsUser, session: dict[str, Any]
) -> None:
    """Also of what has not started: a node without slots, a session that waits."""
    for root, words in NEVER_NULL.items():
        found = await as_user("root").graph(query_of(schema, root, session["sessionId"]))
        for item in found["data"][root]["items"]:
            missing = [name for name in words.split() if item[name] is None]
            assert not missing, (root, missing)
            for name in set(words.split()) & set(SLOTS):
                check_slots(json.loads(item[name]))


def check_slots(amounts: dict[str, str]) -> None:
    assert {"cpu", "mem"} <= amounts.keys()
    assert all(isinstance(amount, str) for amount in amounts.values())
    assert amounts["mem"].isdigit()


async def test_statistics_are_flat_maps_of_metrics(
    alice: Caller, agent: ScriptedAgent, session: dict[str, Any]
) -> None:
    assert agent.use
    text = f"""{{ compute_container_list({PAGE}, session_id: "{session["sessionId"]}") {{
      items {{ live_stat last_stat status_data resource_opts }} total_count }} }}"""
    found = (await alice.graph(text))["data"]["compute_container_list"]
    assert found["total_count"] == 2
    for item in found["items"]:
        assert item["last_stat"] is None
        if item["live_stat"] is not None:
            metrics = json.loads(item["live_stat"])
            assert all({"current", "pct", "capacity"} <= each.keys() for each in metrics.values())


async def test_an_empty_list_and_a_page_behind_the_end(alice: Caller) -> None:
    text = """query($filter: String, $offset: Int!) {
      user_list(limit: 10, offset: $offset, filter: $filter) { items { email } total_count } }"""
    nothing = await alice.graph(text, filter='email == "nobody"', offset=0)
    assert nothing["data"]["user_list"] == {"items": [], "total_count": 0}
    behind = await alice.graph(text, filter=None, offset=50)
    assert behind["data"]["user_list"] == {"items": [], "total_count": 1}


async def test_what_is_missing_is_null_and_no_error(as_user: AsUser) -> None:
    nowhere = "00000000-0000-0000-0000-000000000000"
    for text in (
        'agent(agent_id: "i-nowhere") { id }',
        'agent_summary(agent_id: "i-nowhere") { id }',
        'scaling_group(name: "nowhere") { name }',
        "scaling_group { name }",
        f'compute_session(id: "{nowhere}") {{ id }}',
        f'compute_container(id: "{nowhere}") {{ id }}',
        'legacy_compute_session(sess_id: "nowhere") { id }',
    ):
        found = await as_user("root").graph(f"{{ {text} }}")
        assert "errors" not in found
        assert list(found["data"].values()) == [None]
