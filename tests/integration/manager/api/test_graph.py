"""GraphQL: what clients ask, who sees what, and what costs too much."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.scripted import ScriptedAgent

Create = Callable[..., Awaitable[dict[str, Any]]]

PS = """
query($limit: Int!, $offset: Int!, $status: String, $access_key: String, $filter: String,
      $order: String) {
  compute_session_list(limit: $limit, offset: $offset, status: $status, access_key: $access_key,
                       filter: $filter, order: $order) {
    items { status name id group_name main_kernel_id image type status_info status_changed result
            tag created_at occupying_slots }
    total_count
  }
}"""
INFO = """
query($id: UUID!) {
  compute_session(id: $id) {
    name id main_kernel_id image tag created_at terminated_at status status_info status_data
    occupying_slots idle_checks
    containers { id cluster_role cluster_idx cluster_hostname session_id image registry status
      status_info status_data status_changed agent container_id resource_opts occupied_slots
      preopen_ports live_stat last_stat id }
    dependencies { name id status image }
  }
}"""
ALL = {"limit": 20, "offset": 0, "status": None, "access_key": None, "filter": None, "order": None}


async def test_no_credential(nobody: Caller) -> None:
    for path in ("/admin/gql", "/admin/graphql"):
        assert (await nobody.ask("POST", path, {"query": "{ keypair { id } }"})).status == 401


async def test_wrong_signature(alice: Caller) -> None:
    wrong = alice.but(secret_key="x")
    assert (await wrong.ask("POST", "/admin/gql", {"query": "{ keypair { id } }"})).status == 401


async def test_expired_date(alice: Caller) -> None:
    late = alice.but(shift=timedelta(hours=1))
    assert (await late.ask("POST", "/admin/gql", {"query": "{ keypair { id } }"})).status == 400


async def test_sessions_of_others_are_not_seen(
    alice: Caller, bob: Caller, as_user: Callable[[str], Caller], create: Create, name: str
) -> None:
    made = await create(alice, name, enqueueOnly=True)
    wanted = {**ALL, "filter": f'name == "{name}"'}

    async def count(caller: Caller, **more: Any) -> int:
        found = await caller.graph(PS, **{**wanted, **more})
        return int(found["data"]["compute_session_list"]["total_count"])

    assert await count(alice) == 1
    assert await count(bob) == 0
    assert await count(as_user("mallory")) == 0
    assert await count(as_user("mallory"), access_key="AKALICE") == 0
    assert await count(as_user("carol"), access_key="AKALICE") == 1
    assert await count(as_user("root")) == 1
    refused = await bob.graph(PS, **{**wanted, "access_key": "AKALICE"})
    assert refused["errors"][0]["path"] == ["compute_session_list"]
    assert (await bob.graph(INFO, id=made["sessionId"]))["data"]["compute_session"] is None
    seen = await alice.graph(INFO, id=made["sessionId"])
    assert seen["data"]["compute_session"]["name"] == name
    await alice.ask("DELETE", f"/session/{name}")


async def test_the_keypair_as_clients_ask_for_it(alice: Caller) -> None:
    query = "query { keypair { user_id access_key secret_key is_active is_admin } }"
    found = (await alice.graph(query))["data"]["keypair"]
    assert list(found) == ["user_id", "access_key", "secret_key", "is_active", "is_admin"]
    assert found["user_id"] == "alice@example.com"
    assert found["secret_key"] is None
    query = "query($email: String!) { keypairs(email: $email) { access_key concurrency_used } }"
    assert (await alice.graph(query, email="bob@example.com"))["errors"]


async def test_a_session_in_full(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    await create(alice, f"{name}-first")
    made = await create(alice, name, dependencies=[f"{name}-first"], enqueueOnly=True)
    found = (await alice.graph(INFO, id=made["sessionId"]))["data"]["compute_session"]
    assert [each["name"] for each in found["dependencies"]] == [f"{name}-first"]
    assert found["containers"][0]["cluster_hostname"] == "main1"
    page = await alice.graph(PS, **{**ALL, "filter": f'name like "{name}%"', "order": "-name"})
    items = page["data"]["compute_session_list"]["items"]
    assert [each["name"] for each in items] == [f"{name}-first", name]
    assert next(iter(items[0])) == "status"
    assert items[0]["occupying_slots"] == '{"cpu":"1","mem":"268435456"}'


async def test_pages_and_orders(alice: Caller, create: Create, name: str) -> None:
    for index in range(5):
        await create(alice, f"{name}-{index}", enqueueOnly=True)
    wanted = {**ALL, "filter": f'name like "{name}-%"', "order": "name", "limit": 2}
    seen = []
    for offset in (0, 2, 4, 6):
        page = (await alice.graph(PS, **{**wanted, "offset": offset}))["data"]
        seen += [each["name"] for each in page["compute_session_list"]["items"]]
        assert page["compute_session_list"]["total_count"] == 5
    assert seen == [f"{name}-{index}" for index in range(5)]
    for wrong in ({"limit": 0}, {"limit": -1}, {"limit": 10**9}, {"offset": -1}):
        assert (await alice.graph(PS, **{**ALL, **wrong}))["errors"]
    for index in range(5):
        await alice.ask("DELETE", f"/session/{name}-{index}")


@pytest.mark.parametrize(
    "text",
    [
        "name ==",
        "name == name",
        "secret == 1",
        'name == "a" & (',
        'name = "a"',
        'name == "a" name == "b"',
        "created_at > 5",
        'status == "FLYING"',
        'id == "x"',
        "name == \"a'; drop table sessions; --",
        " & ".join(['name == "a"'] * 1000),
        "(" * 100 + 'name == "a"' + ")" * 100,
    ],
)
async def test_bad_filters_are_told(alice: Caller, text: str) -> None:
    found = await alice.graph(PS, **{**ALL, "filter": text})
    assert (
        "Query filter parsing error" in found["errors"][0]["message"]
        or "is no id" in (found["errors"][0]["message"])
    )
    ordered = await alice.graph(PS, **{**ALL, "order": "name; drop table sessions"})
    assert "Query ordering parsing error" in ordered["errors"][0]["message"]


async def test_values_of_filters_are_only_values(alice: Caller, create: Create, name: str) -> None:
    await create(alice, name, enqueueOnly=True)
    for text, count in (
        (f'name contains "{name}"', 1),
        ('name contains "%"', 0),
        ("name == \"x' or '1' = '1\"", 0),
        (f'(name == "{name}" & status in ["PENDING"]) & !(type == "BATCH")', 1),
        (f'name == "{name}" & agent_id == "i-1"', 0),
        (f'name == "{name}" & terminated_at is null', 1),
        (f'name == "{name}" & created_at > "2020-01-01" & cluster_size >= 1', 1),
    ):
        found = await alice.graph(PS, **{**ALL, "filter": text})
        assert found["data"]["compute_session_list"]["total_count"] == count, text
    await alice.ask("DELETE", f"/session/{name}")


async def test_variables_may_be_declared_loosely(alice: Caller, create: Create, name: str) -> None:
    made = await create(alice, name, enqueueOnly=True)
    for kind in ("String!", "UUID!", "ID!"):
        query = f"query($id: {kind}) {{ compute_session(id: $id) {{ name }} }}"
        found = await alice.graph(query, id=made["sessionId"], undeclared=5)
        assert found["data"]["compute_session"]["name"] == name
    wrong = await alice.graph("query($id: Int!) { compute_session(id: $id) { name } }", id=5)
    assert wrong["errors"]
    assert (await alice.graph(INFO, id="not an id"))["errors"]
    await alice.ask("DELETE", f"/session/{name}")


@pytest.mark.parametrize(
    "query",
    [
        "{ " + " ".join(f"a{index}: keypair {{ id }}" for index in range(50)) + " }",
        "{ keypair { " + " ".join(f"a{index}: id" for index in range(2000)) + " } }",
        "query { keypair { compute_sessions { dependencies { dependencies { dependencies {"
        " dependencies { dependencies { dependencies { dependencies { dependencies {"
        " dependencies { id } } } } } } } } } } } }",
        "query { ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
        "{" * 5000,
        "{ keypair { id } " + " " * 70_000 + "}",
        "subscription { x }",
        "{ nothing }",
        "{ keypair { acces_key } }",
        "{ __schema { types { name } } }",
    ],
)
async def test_documents_that_cost_too_much_or_are_wrong(alice: Caller, query: str) -> None:
    found = await alice.graph(query)
    assert found["data"] is None
    assert "Did you mean" not in found["errors"][0]["message"]


async def test_superadmins_may_read_the_schema(as_user: Callable[[str], Caller]) -> None:
    found = await as_user("root").graph('{ __type(name: "KeyPair") { name } }')
    assert found["data"]["__type"]["name"] == "KeyPair"


async def test_old_clients_get_the_bare_data(alice: Caller) -> None:
    answer = await alice.ask("POST", "/admin/graphql", {"query": "{ keypair { is_admin } }"})
    assert answer.json == {"keypair": {"is_admin": False}}
    wrong = await alice.ask("POST", "/admin/graphql", {"query": "{ nothing }"})
    assert (wrong.status, wrong.slug) == (400, "graphql-error")
    assert wrong.json["data"][0]["message"]


@contextmanager
def statements(manager: Manager) -> Iterator[list[str]]:
    """What graph requests ask the database meanwhile; what loops and credentials do is left out."""
    noted: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if any(word in statement for word in GRAPH_WORDS):
            noted.append(statement)

    engine = manager.stores.database.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield noted
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


# In turn: sessions, their kernels, their history, what they depend on, and keypairs.
GRAPH_WORDS = (
    "creator_email",
    "kernels.session_id IN",
    "history.session_id IN",
    "history.session_id =",
    "keypair_policies.max_concurrent_sessions",
)


async def test_a_page_is_few_queries(
    alice: Caller, create: Create, name: str, manager: Manager
) -> None:
    for index in range(5):
        await create(alice, f"{name}-{index}", enqueueOnly=True)
    wanted = {**ALL, "filter": f'name like "{name}-%"'}
    with statements(manager) as plain:
        await alice.graph(PS, **wanted)
    with statements(manager) as told:
        found = await alice.graph(PS.replace("tag", "status_history scheduled_at"), **wanted)
    assert (len(plain), len(told)) == (2, 3)
    items = found["data"]["compute_session_list"]["items"]
    assert len(items) == 5
    assert all("pending" in each["status_history"] for each in items)
    for index in range(5):
        await alice.ask("DELETE", f"/session/{name}-{index}")


async def test_sessions_of_many_keypairs_are_few_queries(
    alice: Caller,
    bob: Caller,
    as_user: Callable[[str], Caller],
    create: Create,
    name: str,
    manager: Manager,
) -> None:
    for caller in (alice, bob):
        for index in range(2):
            await create(caller, f"{name}-{index}", enqueueOnly=True)
    query = """query($ended: String) { keypairs {
      access_key
      compute_sessions { name status_history }
      waiting: compute_sessions(status: "pending,RUNNING") { ...Named }
      over: compute_sessions(status: $ended) { ...Named }
    } }
    fragment Named on ComputeSession { name containers { id } }"""
    with statements(manager) as asked:
        found = await as_user("root").graph(query, ended="TERMINATED,CANCELLED")
    assert len(asked) == 4
    by_key = {each["access_key"]: each for each in found["data"]["keypairs"]}
    assert len(by_key) > 2
    for key in ("AKALICE", "AKBOB"):
        ours = [each for each in by_key[key]["waiting"] if each["name"].startswith(name)]
        assert [each["name"] for each in ours] == [f"{name}-1", f"{name}-0"]
        assert all(each["containers"] for each in ours)
        assert {each["name"] for each in ours} <= {
            each["name"] for each in by_key[key]["compute_sessions"]
        }
        assert not [each for each in by_key[key]["over"] if each["name"].startswith(name)]
    with statements(manager) as asked:
        await as_user("root").graph("{ keypairs { access_key } }")
    assert len(asked) == 1
    own = await alice.graph('{ keypair { compute_sessions(status: "PENDING") { name } } }')
    assert f"{name}-0" in {each["name"] for each in own["data"]["keypair"]["compute_sessions"]}
    for caller in (alice, bob):
        for index in range(2):
            await caller.ask("DELETE", f"/session/{name}-{index}")


async def test_ids_that_are_none_are_told(alice: Caller) -> None:
    for query in (
        '{ compute_session(id: "x") { id } }',
        "{ compute_session(id: 5) { id } }",
        '{ compute_container(id: "x") { id } }',
        '{ group(id: "x") { id } }',
        '{ compute_session_list(limit: 1, offset: 0, group_id: "x") { total_count } }',
    ):
        assert "is no id" in (await alice.graph(query))["errors"][0]["message"], query


async def test_accounts_images_and_policies(
    alice: Caller, as_user: Callable[[str], Caller]
) -> None:
    query = """{
      user { email role groups { name } }
      domain { name scaling_groups total_resource_slots }
      groups { name domain_name resource_policy }
      keypair_resource_policy { name max_concurrent_sessions total_resource_slots }
      resource_presets { name resource_slots shared_memory }
      images { name registry tag architecture aliases resource_limits { key min max } }
    }"""
    data = (await alice.graph(query))["data"]
    assert data["user"]["groups"] == [{"name": "default"}]
    assert data["domain"]["scaling_groups"] == ["default"]
    assert data["resource_presets"][0]["shared_memory"] == 67108864
    names = {(each["registry"], each["name"], each["tag"]) for each in data["images"]}
    assert ("", "python", "3.11") in names
    assert ("cr.example.com", "stable/shell", "1.0") in names
    assert (await alice.graph('{ user(email: "bob@example.com") { email } }'))["errors"]
    found = await as_user("root").graph("{ domains { name } }")
    assert len(found["data"]["domains"]) == 2
