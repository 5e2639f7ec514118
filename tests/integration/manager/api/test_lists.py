"""Lists in GraphQL: who sees which rows of each, pages, filters, orders, and what a page costs."""

import dataclasses
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa

from backendai.common.contracts import agent as c
from backendai.manager.app import Manager
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.conftest import started
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.test_statements import REQUEST, executed

Create = Callable[..., Awaitable[dict[str, Any]]]
AsUser = Callable[[str], Caller]

EVERYBODY = ("alice", "bob", "carol", "root", "mallory", "eve")
PAGE = "limit: 100, offset: 0"
# Roots that only superadmins may ask, with arguments that would find something.
CLOSED = (
    'agent(agent_id: "AGENT") { id }',
    "agents { id }",
    f"agent_list({PAGE}) {{ items {{ id }} total_count }}",
    'scaling_group(name: "default") { name }',
    "scaling_groups { name }",
    'scaling_groups_for_domain(domain: "default") { name }',
    'scaling_groups_for_keypair(access_key: "AKALICE") { name }',
    f'scaling_groups_for_user_group(user_group: "{uuid.UUID(int=1)}") {{ name }}',
)


async def test_no_or_a_wrong_credential(nobody: Caller, alice: Caller) -> None:
    for text in (*CLOSED, f"user_list({PAGE}) {{ total_count }}"):
        body = {"query": f"{{ {text} }}"}
        assert (await nobody.ask("POST", "/admin/gql", body)).status == 401
        wrong = alice.but(secret_key="x")
        assert (await wrong.ask("POST", "/admin/gql", body)).status == 401
        late = alice.but(shift=timedelta(hours=1))
        assert (await late.ask("POST", "/admin/gql", body)).status == 400


@pytest.mark.parametrize("name", EVERYBODY)
async def test_only_superadmins_ask_for_nodes_and_their_groups(
    as_user: AsUser, agent: ScriptedAgent, name: str
) -> None:
    for text in CLOSED:
        query = text.replace("AGENT", agent.agent_id)
        found = await as_user(name).graph(f"{{ {query} }}")
        root = query.partition("(")[0].partition(" ")[0]
        if name == "root":
            assert "errors" not in found
            is_empty = "for_keypair" in text or "user_group" in text
            assert found["data"][root] or is_empty
            continue
        assert found["data"][root] is None
        assert found["errors"][0]["message"].endswith(f"no permission to read {root}")
        absent = await as_user(name).graph(f"{{ {query.replace(agent.agent_id, 'i-nowhere')} }}")
        assert absent["errors"] == found["errors"]


async def total(caller: Caller, root: str, key: str, **variables: Any) -> list[str]:
    """The keys on the first page; the total must agree."""
    declared = ", ".join(f"${name}: {kind_of(value)}" for name, value in variables.items())
    passed = "".join(f", {name}: ${name}" for name in variables)
    head = f"query({declared}) " if declared else ""
    text = f"{head}{{ {root}({PAGE}{passed}) {{ items {{ {key} }} total_count }} }}"
    answer = await caller.graph(text, **variables)
    assert "errors" not in answer, answer
    found = answer["data"][root]
    assert found["total_count"] == len(found["items"])
    return [str(item[key]) for item in found["items"]]


def kind_of(value: object) -> str:
    return "Boolean" if isinstance(value, bool) else "String!"


OF_DEFAULT = {"alice", "bob", "carol", "root", "tiny", "patience", "eve"}
SEEN = {
    "alice": {"alice"},
    "bob": {"bob"},
    "eve": {"eve"},
    "carol": OF_DEFAULT,
    "mallory": {"mallory"},
    "root": {*OF_DEFAULT, "mallory"},
}


@pytest.mark.parametrize("name", EVERYBODY)
async def test_users_are_seen_by_themselves_and_their_admins(as_user: AsUser, name: str) -> None:
    caller, seen = as_user(name), SEEN[name]
    assert set(await total(caller, "user_list", "username")) == seen
    in_default = await total(caller, "user_list", "username", domain_name="default")
    assert set(in_default) == seen & OF_DEFAULT
    assert await total(caller, "user_list", "username", is_active=False) == []
    assert await total(caller, "user_list", "username", status="inactive,deleted") == []
    bob = await total(caller, "user_list", "username", filter='email == "bob@example.com"')
    assert set(bob) == seen & {"bob"}


@pytest.mark.parametrize("name", EVERYBODY)
async def test_keypairs_are_seen_by_their_owners_and_their_admins(
    as_user: AsUser, name: str
) -> None:
    caller, seen = as_user(name), {f"AK{each.upper()}" for each in SEEN[name]}
    assert set(await total(caller, "keypair_list", "access_key")) == seen
    mine = await total(caller, "keypair_list", "access_key", email="bob@example.com")
    assert set(mine) == seen & {"AKBOB"}
    elsewhere = await total(caller, "keypair_list", "access_key", domain_name="other")
    assert set(elsewhere) == seen & {"AKMALLORY"}
    assert await total(caller, "keypair_list", "access_key", is_active=False) == []
    text = f"{{ keypair_list({PAGE}) {{ items {{ secret_key ssh_public_key }} }} }}"
    shown = (await caller.graph(text))["data"]["keypair_list"]["items"]
    assert {tuple(item.values()) for item in shown} == {(None, None)}


async def test_members_of_a_project(as_user: AsUser) -> None:
    groups = (await as_user("root").graph('{ groups(domain_name: "other") { id } }'))["data"]
    other = groups["groups"][0]["id"]
    members = await total(as_user("root"), "user_list", "username", group_id=other)
    assert members == ["mallory"]
    assert await total(as_user("carol"), "user_list", "username", group_id=other) == []
    wrong = await as_user("root").graph(f'{{ user_list({PAGE}, group_id: "x") {{ total_count }} }}')
    assert "is no id" in wrong["errors"][0]["message"]


@pytest.mark.parametrize("name", EVERYBODY)
async def test_containers_and_old_sessions_are_seen_like_sessions(
    alice: Caller, as_user: AsUser, create: Create, name: str
) -> None:
    made = await create(alice, "lists-shared", enqueueOnly=True)
    caller, may = as_user(name), name in ("alice", "carol", "root")
    session_id = made["sessionId"]
    found = await total(caller, "compute_container_list", "session_id", session_id=session_id)
    assert found == ([session_id] if may else [])
    subs = await total(caller, "compute_container_list", "role", session_id=session_id, role="sub")
    assert subs == []
    names = await total(caller, "legacy_compute_session_list", "session_name", status="PENDING")
    assert ("lists-shared" in names) == may
    one = '{ legacy_compute_session(sess_id: "lists-shared") { sess_id status } }'
    assert (await caller.graph(one))["data"]["legacy_compute_session"] == (
        {"sess_id": "lists-shared", "status": "PENDING"} if may else None
    )
    kernel = (
        f'{{ compute_container_list({PAGE}, session_id: "{session_id}") {{ items {{ id }} }} }}'
    )
    kernels = (await alice.graph(kernel))["data"]["compute_container_list"]["items"]
    text = f'{{ compute_container(id: "{kernels[0]["id"]}") {{ cluster_role }} }}'
    alone = (await caller.graph(text))["data"]["compute_container"]
    assert alone == ({"cluster_role": "main"} if may else None)
    keyed = f'{{ legacy_compute_session_list({PAGE}, access_key: "AKALICE") {{ total_count }} }}'
    assert ("errors" in await caller.graph(keyed)) == (name in ("bob", "eve"))


@pytest.fixture
async def closed_agent(manager: Manager, agent: ScriptedAgent) -> AsyncIterator[ScriptedAgent]:
    """A node of a group that is open to nobody."""
    run = manager.stores.database.transact
    await run(lambda db: db.execute(sa.text("insert into resource_groups (name) values ('shut')")))
    agent.resource_group = "shut"
    agent.version += 1
    where = sa.text("select resource_group from agents where id = :id")
    key = {"id": agent.agent_id}

    async def is_moved() -> bool:
        return bool(await run(lambda db: db.scalar(where, key)) == "shut")

    await until(is_moved)
    yield agent
    agent.resource_group = "default"
    agent.version += 1

    async def is_back() -> bool:
        return not await is_moved()

    await until(is_back)
    await run(lambda db: db.execute(sa.text("delete from resource_group_keypairs")))
    await run(lambda db: db.execute(sa.text("delete from resource_groups where name = 'shut'")))


async def test_summaries_are_of_nodes_that_one_may_use(
    manager: Manager, as_user: AsUser, closed_agent: ScriptedAgent
) -> None:
    key = closed_agent.agent_id
    one = f'{{ agent_summary(agent_id: "{key}") {{ id scaling_group }} }}'

    async def sees(name: str) -> bool:
        found = (await as_user(name).graph(one))["data"]["agent_summary"]
        listed = await total(as_user(name), "agent_summary_list", "id", scaling_group="shut")
        assert listed == ([key] if found else [])
        return bool(found)

    assert [name for name in EVERYBODY if await sees(name)] == ["root"]
    opened = sa.text("insert into resource_group_keypairs values ('shut', 'AKALICE')")
    await manager.stores.database.transact(lambda db: db.execute(opened))
    assert [name for name in EVERYBODY if await sees(name)] == ["alice", "carol", "root"]


async def test_hidden_nodes_are_as_if_there_were_none(
    settings: ManagerSettings,
    agent: ScriptedAgent,
    alice: Caller,
    create: Create,
    name: str,
    http: aiohttp.ClientSession,
) -> None:
    made = await create(alice, name)
    shows = f"""{{
      agent_summary(agent_id: "{agent.agent_id}") {{ id }}
      agent_summary_list({PAGE}) {{ items {{ id }} total_count }}
      compute_session(id: "{made["sessionId"]}") {{
        agents agent_ids containers {{ agent agent_addr }} }}
      legacy_compute_session(sess_id: "{name}") {{ agent }}
    }}"""
    asked = f"""{{ compute_session_list({PAGE}, filter: "agent_id == \\"{agent.agent_id}\\"") {{
      total_count }} }}"""
    seen = (await alice.graph(shows))["data"]
    assert seen["compute_session"]["agents"] == [agent.agent_id]
    assert seen["compute_session"]["containers"][0]["agent_addr"].startswith("tcp://")
    assert seen["legacy_compute_session"]["agent"] == agent.agent_id
    assert (await alice.graph(asked))["data"]["compute_session_list"]["total_count"] == 1
    hiding = dataclasses.replace(settings.manager, hide_agents=True)
    async with started(dataclasses.replace(settings, manager=hiding)) as manager:
        caller = alice.but(address=manager.address)
        hidden = (await caller.graph(shows))["data"]
        refused = await caller.graph(asked)
        root = Caller(http, manager.address, "AKROOT", "secret-of-root")
        shown = (await root.graph(shows))["data"]
    nothing = {"agent": None, "agent_addr": None}
    assert hidden == {
        "agent_summary": None,
        "agent_summary_list": {"items": [], "total_count": 0},
        "compute_session": {"agents": None, "agent_ids": None, "containers": [nothing]},
        "legacy_compute_session": {"agent": None},
    }
    assert "unknown column 'agent_id'" in refused["errors"][0]["message"]
    assert shown["compute_session"]["agents"] == [agent.agent_id]
    assert shown["agent_summary"] == {"id": agent.agent_id}
    await alice.ask("DELETE", f"/session/{name}")


AGENT = """query($agent_id: String!) { agent(agent_id: $agent_id) {
  id status region architecture first_contact cpu_cur_pct mem_cur_bytes available_slots
  occupied_slots hardware_metadata live_stat local_config container_count cpu_slots used_cpu_slots
  mem_slots used_mem_slots gpu_slots compute_plugins auto_terminate_abusing_kernel
  compute_containers { status agent session_id }
  ended: compute_containers(status: "TERMINATED") { id }
} }"""


async def test_an_agent_in_full(
    manager: Manager,
    as_user: AsUser,
    alice: Caller,
    agent: ScriptedAgent,
    create: Create,
    name: str,
) -> None:
    made = await create(alice, name)
    noted = sa.text("update agents set last_use = :use where id = :id").bindparams(
        sa.bindparam("use", type_=sa.JSON)
    )
    use = {"cpu_percent": 25.0, "memory_bytes": 2**30}
    await manager.stores.database.transact(
        lambda db: db.execute(noted, {"use": use, "id": agent.agent_id})
    )
    found = (await as_user("root").graph(AGENT, agent_id=agent.agent_id))["data"]["agent"]
    assert json.loads(found["available_slots"]) == {"cpu": "8", "mem": "17179869184"}
    assert json.loads(found["occupied_slots"]) == {"cpu": "1", "mem": "268435456"}
    assert (found["status"], found["region"], found["container_count"]) == ("ALIVE", "here", 1)
    assert (found["cpu_slots"], found["used_cpu_slots"], found["gpu_slots"]) == (8, 1, 0)
    assert (found["mem_slots"], found["used_mem_slots"]) == (16384, 256)
    live = json.loads(found["live_stat"])
    assert live["node"]["cpu_util"]["pct"] == "25.00"
    assert live["node"]["mem"]["current"] == str(2**30)
    assert live["devices"] == {"cpu_util": {}}
    hardware = json.loads(found["hardware_metadata"])
    assert hardware["cpu"]["status"] == "healthy"
    assert hardware["cpu"]["metadata"] == {"architecture": "x86_64", "cpu": "8"}
    assert json.loads(found["local_config"])["agent"]["mode"] == "scripted"
    assert [each["session_id"] for each in found["compute_containers"]] == [made["sessionId"]]
    await alice.ask("DELETE", f"/session/{name}")
    after = (await as_user("root").graph(AGENT, agent_id=agent.agent_id))["data"]["agent"]
    assert json.loads(after["occupied_slots"]) == {"cpu": "0", "mem": "0"}
    assert (after["container_count"], after["compute_containers"]) == (0, [])
    assert len(after["ended"]) == 1
    missing = await as_user("root").graph(AGENT, agent_id="i-nowhere")
    assert missing["data"] == {"agent": None}
    assert "errors" not in missing


async def test_how_busy_a_node_is_comes_from_its_words(
    manager: Manager, as_user: AsUser, agent: ScriptedAgent
) -> None:
    agent.load = (12.5, 3 * 2**30)
    agent.version += 1
    text = f'{{ agent(agent_id: "{agent.agent_id}") {{ cpu_cur_pct mem_cur_bytes }} }}'

    async def is_told() -> bool:
        found = (await as_user("root").graph(text))["data"]["agent"]
        return bool(found == {"cpu_cur_pct": 12.5, "mem_cur_bytes": 3.0 * 2**30})

    await until(is_told)


FILTERS = {
    "user_list": """allowed_client_ip created_at description domain_name email full_name is_active
        main_access_key modified_at need_password_change resource_policy role status status_info
        sudo_session_enabled totp_activated totp_activated_at username uuid""",
    "keypair_list": """access_key created_at email full_name is_active is_admin last_used
        num_queries projects rate_limit resource_policy ssh_public_key user_id""",
    "agent_list": """addr first_contact id lost_at region scaling_group schedulable status
        status_changed version""",
    "agent_summary_list": "id scaling_group schedulable status",
    "compute_container_list": """agent agent_addr architecture cluster_hostname cluster_idx
        cluster_role created_at image local_rank scheduled_at status status_changed status_info
        terminated_at""",
    "compute_session_list": """access_key agent_id agent_ids agents cluster_mode cluster_size
        created_at domain_name full_name group_name id image name result scaling_group scheduled_at
        starts_at startup_command status status_info terminated_at type user_email""",
}
NOT_ORDERED = {
    "user_list": {"allowed_client_ip", "description"},
    "keypair_list": {"ssh_public_key", "user_id"},
    "agent_list": {"addr"},
    "compute_session_list": {"startup_command"},
}
ONLY_ORDERED = {
    "agent_list": {"available_slots", "occupied_slots"},
    "agent_summary_list": {"available_slots", "occupied_slots"},
}
# A value of each column that is no text.
VALUES = {
    "uuid": f'"{uuid.UUID(int=1)}"',
    "cluster_mode": '"SINGLE_NODE"',
    "cluster_role": '"main"',
    "result": '"UNDEFINED"',
    "type": '"INTERACTIVE"',
    "role": '"USER"',
    **dict.fromkeys(
        [
            "created_at",
            "modified_at",
            "last_used",
            "first_contact",
            "lost_at",
            "status_changed",
            "scheduled_at",
            "starts_at",
            "terminated_at",
            "totp_activated_at",
        ],
        '"2023-01-01"',
    ),
    **dict.fromkeys(
        ["num_queries", "rate_limit", "cluster_size", "cluster_idx", "local_rank"], "1"
    ),
    **dict.fromkeys(
        [
            "is_active",
            "is_admin",
            "need_password_change",
            "schedulable",
            "sudo_session_enabled",
            "totp_activated",
        ],
        "true",
    ),
}
STATUS = {"user_list": '"ACTIVE"', "agent_list": '"ALIVE"', "agent_summary_list": '"ALIVE"'}


def query_of(root: str) -> str:
    more = f', session_id: "{uuid.UUID(int=1)}"' if "container" in root else ""
    return f"""query($filter: String, $order: String) {{
      {root}({PAGE}, filter: $filter, order: $order{more}) {{ items {{ id }} total_count }} }}"""


def value_of(root: str, column: str) -> str:
    if column == "status":
        return STATUS.get(root, '"RUNNING"')
    if column == "id" and "session" in root:
        return VALUES["uuid"]
    return VALUES.get(column, '"x"')


@pytest.mark.parametrize("root", FILTERS)
async def test_every_column_filters_and_orders(as_user: AsUser, root: str) -> None:
    for column in FILTERS[root].split():
        is_ordered = column not in NOT_ORDERED.get(root, ())
        await _check_column(as_user("root"), root, column, is_ordered=is_ordered)


async def _check_column(caller: Caller, root: str, column: str, *, is_ordered: bool) -> None:
    value = value_of(root, column)
    text = f"{column} == {value} & {column} in [{value}] | !({column} is null)"
    if value.startswith('"'):
        text += f' & {column} ilike "%x%" & {column} != {value} & {column} contains "y"'
    for order in (None, column, f"-{column}"):
        found = await caller.graph(query_of(root), filter=text, order=order)
        assert ("errors" not in found) == (is_ordered or not order), (column, order, found)
    if not is_ordered:
        assert found["errors"][0]["message"].startswith("Query ordering parsing error")
    unlike = "5" if value.startswith('"') else '"x"'
    wrong = await caller.graph(query_of(root), filter=f"{column} == {unlike}")
    assert wrong["errors"][0]["message"].startswith("Query filter parsing error"), column


async def test_other_columns_are_refused(as_user: AsUser) -> None:
    for root in FILTERS:
        await _check_others(as_user("root"), root)


async def _check_others(caller: Caller, root: str) -> None:
    for column in ONLY_ORDERED.get(root, ()):
        assert "errors" not in await caller.graph(query_of(root), order=f"-{column}")
        found = await caller.graph(query_of(root), filter=f'{column} == "1"')
        assert found["errors"][0]["message"].startswith("Query filter parsing error")
    for column in ("password_hash", "secret_key_encrypted", "revision", "public_key"):
        found = await caller.graph(query_of(root), filter=f'{column} == "1"')
        assert found["errors"][0]["message"].startswith("Query filter parsing error")
        found = await caller.graph(query_of(root), order=column)
        assert found["errors"][0]["message"].startswith("Query ordering parsing error")


async def test_limits_of_pages(as_user: AsUser) -> None:
    wrong = ((0, 0), (1001, 0), (-1, 0), (1, -1))
    roots = [*FILTERS, "legacy_compute_session_list"]
    for root, (limit, offset) in itertools.product(roots, wrong):
        more = f', session_id: "{uuid.UUID(int=1)}"' if "container" in root else ""
        text = f"{{ {root}(limit: {limit}, offset: {offset}{more}) {{ total_count }} }}"
        found = await as_user("root").graph(text)
        assert "limit must be 1 to 1000" in found["errors"][0]["message"]


async def test_pages_of_users(as_user: AsUser) -> None:
    query = """query($offset: Int!) { user_list(limit: 3, offset: $offset, order: "-username") {
      items { username groups { id name } } total_count } }"""
    seen: list[str] = []
    for offset in (0, 3, 6, 9, 12):
        page = (await as_user("root").graph(query, offset=offset))["data"]["user_list"]
        assert page["total_count"] == len(SEEN["root"])
        assert all(item["groups"][0]["name"] == "default" for item in page["items"])
        seen += [item["username"] for item in page["items"]]
    assert seen == sorted(SEEN["root"], reverse=True)


KERNELS_IN_KEYPAIRS = "access_key projects num_queries compute_sessions { name containers { id } }"
COSTS = (
    (f"user_list({PAGE}) {{ items {{ username groups {{ name }} }} total_count }}", 1),
    (f"user_list({PAGE}) {{ total_count }}", 1),
    ("user_list(limit: 5, offset: 5000) { items { username } total_count }", 2),
    ("user_list(limit: 5, offset: 5000) { items { username } }", 1),
    (f"keypair_list({PAGE}) {{ items {{ access_key concurrency_used projects }} total_count }}", 1),
    (f"keypair_list({PAGE}) {{ items {{ {KERNELS_IN_KEYPAIRS} }} total_count }}", 3),
    (f"agent_list({PAGE}) {{ items {{ id available_slots occupied_slots container_count }} }}", 1),
    (f"agent_list({PAGE}) {{ items {{ id compute_containers {{ id agent_addr }} }} }}", 2),
    (f"agent_summary_list({PAGE}) {{ items {{ id available_slots }} total_count }}", 1),
    (f"compute_session_list({PAGE}) {{ items {{ name image user_email }} total_count }}", 1),
    (
        f"compute_session_list({PAGE}) {{ items {{ name containers {{ agent_addr scheduled_at }}"
        " dependencies { name } status_history occupied_slots } total_count }",
        4,
    ),
    (
        f"legacy_compute_session_list({PAGE}) {{ items {{ sess_id agent cpu_slot }} total_count }}",
        2,
    ),
    (f'compute_container_list({PAGE}, session_id: "ID") {{ items {{ id agent_addr image }} }}', 1),
    ("scaling_groups { name driver_opts }", 1),
    ("agents { id occupied_slots compute_containers { id } }", 2),
    ("user_nodes(last: 2) { count edges { node { username } } }", 1),
    ("group_nodes { edges { node { name user_nodes(first: 1) { count } } } }", 2),
)


async def test_a_page_costs_the_same_however_many_rows_are_on_it(
    manager: Manager,
    as_user: AsUser,
    alice: Caller,
    bob: Caller,
    agent: ScriptedAgent,
    create: Create,
    name: str,
) -> None:
    """No query for each row: a page of many costs what a page of one does."""
    made = [await create(caller, f"{name}-{n}") for caller in (alice, bob) for n in range(3)]
    assert agent.kernels
    root = as_user("root")
    for text, cost in COSTS:
        query = text.replace('"ID"', f'"{made[0]["sessionId"]}"')
        with executed(manager) as asked:
            found = await root.graph(f"{{ {query} }}")
        assert "errors" not in found, found
        assert sum(asked.by[REQUEST].values()) == cost, (query, asked.by[REQUEST])
    for caller in (alice, bob):
        for number in range(3):
            await caller.ask("DELETE", f"/session/{name}-{number}")


async def test_resource_groups(manager: Manager, as_user: AsUser) -> None:
    root = as_user("root")
    project = (await root.graph('{ groups(domain_name: "other") { id } }'))["data"]["groups"][0]
    rows = (
        "insert into resource_groups (name, is_active, driver_opts, wsproxy_addr)"
        " values ('asleep', false, '{\"a\": 1}', 'http://here')",
        f"insert into resource_group_projects values ('asleep', '{project['id']}')",
        "insert into resource_group_keypairs values ('asleep', 'AKBOB')",
    )
    for row in rows:
        statement = sa.text(row.replace(":", "\\:"))
        await manager.stores.database.transact(lambda db, s=statement: db.execute(s))

    async def names(text: str) -> list[str]:
        found = (await root.graph(f"{{ groups: {text} {{ name }} }}"))["data"]["groups"]
        return [each["name"] for each in found]

    assert await names("scaling_groups") == ["asleep", "default"]
    assert await names("scaling_groups(is_active: true)") == ["default"]
    assert await names('scaling_groups(name: "asleep")') == ["asleep"]
    assert await names('scaling_groups_for_domain(domain: "other")') == ["default"]
    of_project = f'scaling_groups_for_user_group(user_group: "{project["id"]}"'
    assert await names(f"{of_project})") == ["asleep"]
    assert await names(f"{of_project}, is_active: true)") == []
    assert await names('scaling_groups_for_keypair(access_key: "AKBOB")') == ["asleep"]
    text = """{ none: scaling_group(name: "x") { name }
      scaling_group(name: "asleep") { name is_active is_public driver driver_opts scheduler
        scheduler_opts use_host_network wsproxy_addr wsproxy_api_token } }"""
    found = (await root.graph(text))["data"]
    assert found["none"] is None
    assert found["scaling_group"] == {
        "name": "asleep",
        "is_active": False,
        "is_public": True,
        "driver": "static",
        "driver_opts": '{"a":1}',
        "scheduler": "fifo",
        "scheduler_opts": "{}",
        "use_host_network": False,
        "wsproxy_addr": "http://here",
        "wsproxy_api_token": None,
    }


async def test_old_sessions_are_ordered_by_one_column(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    agent.use = c.ResourceUse(cpu_used_milliseconds=5, memory_bytes=7, memory_bytes_max=9)
    for number in range(2):
        await create(alice, f"{name}-{number}")

    async def names(**args: Any) -> list[str]:
        text = """query($order_key: String, $order_asc: Boolean) {
          legacy_compute_session_list(limit: 100, offset: 0, status: "RUNNING",
            order_key: $order_key, order_asc: $order_asc) { items { sess_id } } }"""
        found = (await alice.graph(text, **args))["data"]["legacy_compute_session_list"]["items"]
        return [each["sess_id"] for each in found if each["sess_id"].startswith(name)]

    assert await names() == [f"{name}-1", f"{name}-0"]
    assert await names(order_key="name") == [f"{name}-0", f"{name}-1"]
    assert await names(order_key="created_at", order_asc=False) == [f"{name}-1", f"{name}-0"]
    text = f"""{{ legacy_compute_session(sess_id: "{name}-0") {{ session_name session_type role lang
      agent cpu_slot mem_slot gpu_slot occupied_slots cpu_used mem_max_bytes live_stat last_stat
      mounts result user_email container_id }} }}"""
    found = (await alice.graph(text))["data"]["legacy_compute_session"]
    assert (found["session_name"], found["session_type"]) == (f"{name}-0", "INTERACTIVE")
    assert (found["role"], found["agent"]) == ("main", agent.agent_id)
    assert (found["cpu_slot"], found["mem_slot"], found["gpu_slot"]) == (1.0, 256, 0.0)
    assert found["last_stat"] is None
    for number in range(2):
        await alice.ask("DELETE", f"/session/{name}-{number}")
