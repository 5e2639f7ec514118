"""Mutations of policies, presets and resource groups, in the words of the official client."""

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.manager.app import Manager
from backendai.manager.graph import mutations_policies, mutations_resources
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.conftest import body_of
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.test_accounts import (
    CREATE_KEYPAIR,
    DELETE_KEYPAIR,
    MODIFY_DOMAIN,
    MODIFY_GROUP,
    MODIFY_USER,
    ODD,
    add_group,
    done,
    refused,
    root,
    run,
    word,
)
from tests.integration.manager.world import fetch

__all__ = ["root", "word"]

AsUser = Callable[[str], Caller]
Create = Callable[..., Awaitable[dict[str, Any]]]


def with_props(verb: str, noun: str, kind: str, more: str = "") -> str:
    return (
        f"mutation($name: String!, $input: {verb.title()}{kind}Input!)"
        f" {{ {verb}_{noun}(name: $name, props: $input) {{ ok msg {more} }} }}"
    )


def deleting(noun: str) -> str:
    return f"mutation($name: String!) {{ delete_{noun}(name: $name) {{ ok msg }} }}"


def joining(field: str, **arguments: str) -> str:
    declared = ", ".join(f"${name}: {kind}" for name, kind in arguments.items())
    passed = ", ".join(f"{name}: ${name}" for name in arguments)
    return f"mutation({declared}) {{ {field}({passed}) {{ ok msg }} }}"


POLICIES = {"keypair": "KeyPair", "user": "User", "project": "Project"}
CREATE_POLICY, MODIFY_POLICY, DELETE_POLICY = (
    {
        word: with_props(
            verb, f"{word}_resource_policy", f"{kind}ResourcePolicy", more.format(kind)
        )
        if verb != "delete"
        else deleting(f"{word}_resource_policy")
        for word, kind in POLICIES.items()
    }
    for verb, more in (("create", "resource_policy {{ name }}"), ("modify", ""), ("delete", ""))
)
CREATE_PRESET = with_props(
    "create", "resource_preset", "ResourcePreset", "resource_preset { name }"
)
MODIFY_PRESET = with_props("modify", "resource_preset", "ResourcePreset")
DELETE_PRESET = deleting("resource_preset")
CREATE_GROUP = with_props("create", "scaling_group", "ScalingGroup", "scaling_group { name }")
MODIFY_SCALING_GROUP = with_props("modify", "scaling_group", "ScalingGroup")
DELETE_GROUP = deleting("scaling_group")
# Each with the arguments that no one who may not could be told about.
GROUP, TEXT, ID = "scaling_group", "String!", "UUID!"
OPEN = {
    "domain": joining("associate_scaling_group_with_domain", scaling_group=TEXT, domain=TEXT),
    "user_group": joining(
        "associate_scaling_group_with_user_group", scaling_group=TEXT, user_group=ID
    ),
    "access_key": joining(
        "associate_scaling_group_with_keypair", scaling_group=TEXT, access_key=TEXT
    ),
}
# A client declares the id of the project as text.
CLOSE = {
    "domain": joining("disassociate_scaling_group_with_domain", scaling_group=TEXT, domain=TEXT),
    "user_group": joining(
        "disassociate_scaling_group_with_user_group", scaling_group=TEXT, user_group=TEXT
    ),
    "access_key": joining(
        "disassociate_scaling_group_with_keypair", scaling_group=TEXT, access_key=TEXT
    ),
}
CLOSE_ALL = {
    "domain": joining("disassociate_all_scaling_groups_with_domain", domain=TEXT),
    "user_group": joining("disassociate_all_scaling_groups_with_group", user_group=ID),
}

MODIFY_AGENT = """mutation($id: String!, $input: ModifyAgentInput!) {
  modify_agent(id: $id, props: $input) { ok msg } }"""

# As `admin keypair-resource-policy add` sends it.
KEYPAIR_POLICY: dict[str, Any] = {
    "default_for_unspecified": "UNLIMITED",
    "total_resource_slots": "{}",
    "max_session_lifetime": 0,
    "max_concurrent_sessions": 30,
    "max_concurrent_sftp_sessions": 30,
    "max_containers_per_session": 1,
    "idle_timeout": 1800,
    "allowed_vfolder_hosts": '{"local:volume1": ["create-vfolder"]}',
}
NEW_GROUP: dict[str, Any] = {
    "description": "",
    "is_active": True,
    "is_public": True,
    "driver": "static",
    "scheduler": "fifo",
    "use_host_network": False,
    "wsproxy_addr": None,
    "wsproxy_api_token": None,
    "driver_opts": "{}",
    "scheduler_opts": "{}",
}
PROPS = {"keypair": KEYPAIR_POLICY, "user": {}, "project": {}}


def every_mutation() -> list[tuple[str, str, dict[str, Any]]]:
    named = {"name": "x"}
    rows: list[tuple[str, str, dict[str, Any]]] = []
    for kind in POLICIES:
        noun = f"{kind}_resource_policy"
        rows += [
            (f"create_{noun}", CREATE_POLICY[kind], {**named, "input": PROPS[kind]}),
            (f"modify_{noun}", MODIFY_POLICY[kind], {**named, "input": {}}),
            (f"delete_{noun}", DELETE_POLICY[kind], named),
        ]
    rows += [
        ("create_resource_preset", CREATE_PRESET, {**named, "input": {"resource_slots": "{}"}}),
        ("modify_resource_preset", MODIFY_PRESET, {**named, "input": {}}),
        ("delete_resource_preset", DELETE_PRESET, {"name": "small"}),
        ("create_scaling_group", CREATE_GROUP, {**named, "input": NEW_GROUP}),
        ("modify_scaling_group", MODIFY_SCALING_GROUP, {"name": "default", "input": {}}),
        ("delete_scaling_group", DELETE_GROUP, {"name": "default"}),
        ("modify_agent", MODIFY_AGENT, {"id": "i-1", "input": {"schedulable": False}}),
    ]
    whom = {"domain": "default", "user_group": str(uuid.UUID(int=9)), "access_key": "AKALICE"}
    for queries, group in (
        (OPEN, {GROUP: "default"}),
        (CLOSE, {GROUP: "default"}),
        (CLOSE_ALL, {}),
    ):
        for key, query in queries.items():
            field = query.partition("{ ")[2].partition("(")[0]
            rows.append((field, query, {**group, key: whom[key]}))
    return rows


async def test_nobody_changes_anything_without_or_with_a_wrong_credential(
    nobody: Caller, root: Caller
) -> None:
    for _, query, variables in every_mutation():
        body = {"query": query, "variables": variables}
        for stranger in (nobody, root.but(secret_key="x")):
            assert (await stranger.ask("POST", "/admin/gql", body)).status == 401


@pytest.mark.parametrize("who", ["alice", "eve", "carol", "mallory"])
async def test_only_superadmins_may(as_user: AsUser, manager: Manager, who: str) -> None:
    noted = "SELECT count(*) FROM audit_log"
    before = await fetch(manager.stores.database, noted)
    for name, query, variables in every_mutation():
        told = await refused(as_user(who), query, **variables)
        assert told == f"no permission to execute {name}"
    assert await fetch(manager.stores.database, noted) == before


def test_every_mutation_is_in_the_matrix() -> None:
    declared = {**mutations_policies.MUTATIONS, **mutations_resources.MUTATIONS}
    assert {name for name, _, _ in every_mutation()} == declared.keys()


async def shown(caller: Caller, root_field: str, fields: str) -> Any:
    answer = await caller.graph(f"{{ {root_field} {{ {fields} }} }}")
    assert "errors" not in answer, answer
    return next(iter(answer["data"].values()))


async def test_a_policy_of_keypairs_lives_from_add_to_delete(
    root: Caller, word: str, manager: Manager
) -> None:
    made = await done(root, CREATE_POLICY["keypair"], name=word, input=KEYPAIR_POLICY)
    assert made["resource_policy"] == {"name": word}
    changes = {
        "total_resource_slots": '{"cpu": 4, "mem": "5g"}',
        "idle_timeout": 10,
        "max_concurrent_sessions": None,
        "max_pending_session_count": 5,
        "max_pending_session_resource_slots": '{"mem": "1.5GiB"}',
    }
    await done(root, MODIFY_POLICY["keypair"], name=word, input=changes)
    fields = """name default_for_unspecified total_resource_slots max_concurrent_sessions
        max_containers_per_session idle_timeout allowed_vfolder_hosts max_pending_session_count
        max_pending_session_resource_slots"""
    assert await shown(root, f'keypair_resource_policy(name: "{word}")', fields) == {
        "name": word,
        "default_for_unspecified": "UNLIMITED",
        "total_resource_slots": '{"cpu":"4","mem":"5368709120"}',
        "max_concurrent_sessions": 30,
        "max_containers_per_session": 1,
        "idle_timeout": 10,
        "allowed_vfolder_hosts": '{"local:volume1":["create-vfolder"]}',
        "max_pending_session_count": 5,
        "max_pending_session_resource_slots": '{"mem":"1610612736"}',
    }
    lifted = {"max_pending_session_count": -1, "max_pending_session_resource_slots": "{}"}
    await done(root, MODIFY_POLICY["keypair"], name=word, input=lifted)
    found = await shown(root, f'keypair_resource_policy(name: "{word}")', " ".join(lifted))
    assert found == dict.fromkeys(lifted)

    keys = []
    for _ in range(12):
        variables = {"user_id": "bob@example.com", "input": {"resource_policy": word}}
        keys.append((await done(root, CREATE_KEYPAIR, **variables))["keypair"]["access_key"])
    told = await refused(root, DELETE_POLICY["keypair"], name=word)
    assert f"Policy {word} is that of keypairs {min(keys)} (bob@example.com)," in told
    assert told.endswith("and 2 more. Give them another.")
    for key in keys:
        await done(root, DELETE_KEYPAIR, access_key=key)
    await done(root, DELETE_POLICY["keypair"], name=word)
    for text, more in ((DELETE_POLICY, {}), (MODIFY_POLICY, {"input": {"idle_timeout": 1}})):
        told = await refused(root, text["keypair"], name=word, **more)
        assert told == f"No such resource policy. {word}"
    noted = "SELECT action, before, after FROM audit_log WHERE target_id = :name ORDER BY id"
    entries = await fetch(manager.stores.database, noted, name=word)
    assert [entry[0] for entry in entries] == [
        "keypair_policy.create",
        "keypair_policy.modify",
        "keypair_policy.modify",
        "keypair_policy.delete",
    ]
    assert entries[1][1]["idle_timeout"] == 1800
    assert entries[1][2]["total_resource_slots"] == {"cpu": "4", "mem": "5368709120"}


async def test_policies_of_users_and_projects(root: Caller, word: str, as_user: AsUser) -> None:
    props = {"max_vfolder_count": 7, "max_quota_scope_size": "1099511627776"}
    more = {"max_session_count_per_model_session": 3}
    await done(root, CREATE_POLICY["user"], name=word, input={**props, **more})
    await done(root, CREATE_POLICY["project"], name=word, input=props)
    wanted = {"id": word, "name": word, "max_vfolder_count": 7, "max_quota_scope_size": 2**40}
    fields = " ".join([*wanted, *more])
    found = await shown(root, f'user_resource_policy(name: "{word}")', fields)
    assert found == {**wanted, **more}
    of_project = f'project_resource_policy(name: "{word}")'
    assert await shown(root, of_project, " ".join(wanted)) == wanted

    gid = await add_group(root, word)
    await done(root, MODIFY_GROUP, gid=gid, input={"resource_policy": word})
    told = await refused(root, DELETE_POLICY["project"], name=word)
    assert told.endswith(f"Policy {word} is that of projects default/{word}. Give them another.")
    await done(root, MODIFY_USER, email="bob@example.com", input={"resource_policy": word})
    told = await refused(root, DELETE_POLICY["user"], name=word)
    assert told.endswith(f"Policy {word} is that of users bob@example.com. Give them another.")

    # People see what binds them and no more, admins all; without a name it is one's own.
    bob, alice, carol = as_user("bob"), as_user("alice"), as_user("carol")
    assert await shown(bob, "user_resource_policy", "name") == {"name": word}
    assert await shown(alice, f'user_resource_policy(name: "{word}")', "name") is None
    assert await shown(alice, "user_resource_policies", "name") == [{"name": "default"}]
    assert {"name": word} in await shown(carol, "user_resource_policies", "name")
    assert await shown(bob, of_project, "name") is None
    assert await shown(bob, "project_resource_policies", "name") == [{"name": "default"}]
    assert {"name": word} in await shown(root, "project_resource_policies", "name")

    await done(root, MODIFY_USER, email="bob@example.com", input={"resource_policy": "default"})
    await done(root, MODIFY_GROUP, gid=gid, input={"resource_policy": "default"})
    await done(root, MODIFY_POLICY["project"], name=word, input={"max_quota_scope_size": -1})
    assert (await shown(root, of_project, "max_vfolder_size"))["max_vfolder_size"] == -1
    for kind in ("user", "project"):
        await done(root, DELETE_POLICY[kind], name=word)


BAD_LIMITS: list[tuple[dict[str, Any], str]] = [
    ({"total_resource_slots": '{"mem": "many"}'}, "total_resource_slots: mem: 'many' is no"),
    ({"total_resource_slots": "[1]"}, "total_resource_slots: write a JSON object"),
    ({"default_for_unspecified": "SOME"}, "'SOME' is none of LIMITED, UNLIMITED"),
    ({"max_concurrent_sessions": -1}, "max_concurrent_sessions: write a whole number from 0"),
    ({"max_containers_per_session": 0}, "write a whole number from 1 to 2147483647"),
    ({"idle_timeout": 2**63}, "idle_timeout: write a whole number from -1 to 3162240000"),
    ({"idle_timeout": 1.5}, "idle_timeout: write a whole number"),
    ({"allowed_vfolder_hosts": '{"h": ["fly"]}'}, "write a list of create-vfolder"),
    ({"max_pending_session_resource_slots": '{"cpu": -1}'}, "-1 is no amount"),
]


async def test_bad_limits_are_told_by_field(root: Caller, word: str) -> None:
    for props, told in BAD_LIMITS:
        wrong = {**KEYPAIR_POLICY, **props}
        assert told in await refused(root, CREATE_POLICY["keypair"], name=word, input=wrong)


async def test_a_preset_lives_from_create_to_delete(root: Caller, alice: Caller, word: str) -> None:
    props = {"resource_slots": '{"cpu": 2, "mem": "4g"}', "shared_memory": "64m"}
    made = await done(root, CREATE_PRESET, name=word, input=props)
    assert made["resource_preset"] == {"name": word}
    assert "already exists" in await refused(root, CREATE_PRESET, name=word, input=props)
    one, fields = f'resource_preset(name: "{word}")', "name resource_slots shared_memory"
    assert await shown(alice, one, fields) == {
        "name": word,
        "resource_slots": '{"cpu":"2","mem":"4294967296"}',
        "shared_memory": 64 << 20,
    }
    told = await refused(root, MODIFY_PRESET, name=word, input={"shared_memory": "4g"})
    assert told == "shared_memory: is a part of mem: write less than that"
    for slots in ('{"mem": "Infinity"}', '{"cpu": "unlimited"}'):
        told = await refused(root, MODIFY_PRESET, name=word, input={"resource_slots": slots})
        assert told.startswith("resource_slots: ")
    await done(root, MODIFY_PRESET, name=word, input={"shared_memory": "0"})
    assert (await shown(alice, one, "shared_memory"))["shared_memory"] is None
    await done(root, DELETE_PRESET, name=word)
    assert await shown(alice, one, "name") is None
    assert await refused(root, DELETE_PRESET, name=word) == f"No such resource preset. {word}"


async def test_a_resource_group_lives_from_add_to_delete(
    root: Caller, word: str, manager: Manager
) -> None:
    made = await done(root, CREATE_GROUP, name=word, input=NEW_GROUP)
    assert made["scaling_group"] == {"name": word}
    options = {"allowed_session_types": ["batch"], "pending_timeout": 0, "config": {}}
    changes = {
        "wsproxy_addr": "http://x",
        "wsproxy_api_token": "hush",
        "is_public": False,
        "scheduler_opts": json.dumps({**options, "placement": "concentrated"}),
    }
    await done(root, MODIFY_SCALING_GROUP, name=word, input=changes)
    fields = "name is_active is_public wsproxy_addr scheduler driver scheduler_opts"
    found = await shown(root, f'scaling_group(name: "{word}")', fields)
    stored = {**options, "pending_timeout": 0.0, "placement": "concentrated"}
    assert json.loads(found.pop("scheduler_opts")) == stored
    assert found == {
        "name": word,
        "is_active": True,
        "is_public": False,
        "wsproxy_addr": "http://x",
        "scheduler": "fifo",
        "driver": "static",
    }
    noted = "SELECT after FROM audit_log WHERE target_id = :name AND action = :action"
    query = {"name": word, "action": "resource_group.modify"}
    ((after,),) = await fetch(manager.stores.database, noted, **query)
    assert after["wsproxy_api_token"] == "***"
    await done(root, DELETE_GROUP, name=word)
    assert (await refused(root, DELETE_GROUP, name=word)).startswith("No such scaling group")


BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"scheduler": "lifo"}, "scheduler: 'lifo' is none of fifo"),
    ({"driver": "x"}, "driver: 'x' is none of static"),
    ({"wsproxy_addr": "ftp://x"}, "wsproxy_addr: write an address like http://"),
    ({"use_host_network": True}, "sessions have networks of their own here"),
    ({"scheduler_opts": '{"placment": "x"}'}, "placment: unknown; known: placement, "),
    ({"scheduler_opts": '{"placement": ["x"]}'}, "none of concentrated, dispersed"),
    ({"scheduler_opts": '{"pending_timeout": 1e18}'}, "a timeout is 0 (for ever) to"),
    ({"scheduler_opts": '{"pending_timeout": "1h"}'}, "a timeout is 0 (for ever) to"),
    ({"scheduler_opts": '{"allowed_session_types": "batch"}'}, "write a list"),
    ({"scheduler_opts": '{"allowed_session_types": ["x"]}'}, "none of interactive, batch"),
    ({"driver_opts": json.dumps({"x": "x" * 5000})}, "write at most 4096 characters"),
]


async def test_bad_options_of_resource_groups_are_told(root: Caller, word: str) -> None:
    for props, told in BAD_OPTIONS:
        assert told in await refused(root, CREATE_GROUP, name=word, input={**NEW_GROUP, **props})


async def test_a_resource_group_is_open_to_whom_it_was_opened(
    root: Caller, alice: Caller, word: str
) -> None:
    await done(root, CREATE_GROUP, name=word, input=NEW_GROUP)
    groups = '{ groups_by_name(name: "default") { id domain_name } }'
    found = (await root.graph(groups))["data"]["groups_by_name"]
    (gid,) = [each["id"] for each in found if each["domain_name"] == "default"]
    whom = {"domain": "default", "user_group": gid, "access_key": "AKALICE"}
    lists = {
        "domain": 'scaling_groups_for_domain(domain: "default")',
        "user_group": f'scaling_groups_for_user_group(user_group: "{gid}")',
        "access_key": 'scaling_groups_for_keypair(access_key: "AKALICE")',
    }

    async def usable() -> bool:
        answer = await alice.ask("GET", "/scaling-groups?group=default")
        return word in {each["name"] for each in answer.json["scaling_groups"]}

    assert not await usable()
    for key, value in whom.items():
        variables = {GROUP: word, key: value}
        await done(root, OPEN[key], **variables)
        assert await usable()
        assert {"name": word} in await shown(root, lists[key], "name")
        assert "already exists" in await refused(root, OPEN[key], **variables)
        await done(root, CLOSE[key], **variables)
        assert not await usable()
        told = await refused(root, CLOSE[key], **variables)
        assert f"{word} is not open to {key.split('_')[0] if key == 'domain' else ''}" in told
        absent = {"domain": "nosuch", "user_group": str(uuid.UUID(int=9)), "access_key": "AKX"}
        assert await refused(root, OPEN[key], **{GROUP: word, key: absent[key]})
        assert await refused(root, OPEN[key], **{GROUP: f"{word}-x", key: value})
    other = f"{word}-2"
    await done(root, CREATE_GROUP, name=other, input=NEW_GROUP)
    for group in (word, other):
        await done(root, OPEN["user_group"], **{GROUP: group, "user_group": gid})
    await done(root, CLOSE_ALL["user_group"], user_group=gid)
    assert await shown(root, lists["user_group"], "name") == []
    told = await refused(root, CLOSE_ALL["user_group"], user_group=str(uuid.UUID(int=9)))
    assert told.startswith("No such user group")
    assert (await refused(root, CLOSE_ALL["domain"], domain="nosuch")).startswith("No such domain")
    await done(root, OPEN["domain"], **{GROUP: other, "domain": "default"})
    for group in (word, other):
        await done(root, DELETE_GROUP, name=group)


async def test_what_is_in_a_resource_group_keeps_it(
    root: Caller, alice: Caller, agent: ScriptedAgent, create: Create, word: str, name: str
) -> None:
    told = await refused(root, DELETE_GROUP, name="default")
    assert "Resource group default has nodes: " in told
    assert agent.agent_id in told
    await done(root, CREATE_GROUP, name=word, input=NEW_GROUP)
    await done(root, OPEN["domain"], **{GROUP: word, "domain": "default"})
    config = {"resources": {"cpu": "1", "mem": "256m"}, "scaling_group": word}
    await create(alice, name, config=config, enqueueOnly=True)
    told = await refused(root, DELETE_GROUP, name=word)
    assert f"Sessions of resource group {word} are not over: {name} (" in told
    await alice.ask("DELETE", f"/session/{name}")

    async def is_over() -> bool:
        return "ended sessions on record" in await refused(root, DELETE_GROUP, name=word)

    await until(is_over)
    await done(root, CLOSE["domain"], **{GROUP: word, "domain": "default"})


async def test_a_limit_as_people_write_it_holds_from_the_next_session_on(
    root: Caller, alice: Caller, bob: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    """What is stored can be read by the scheduler, whoever wrote it and however."""
    await done(root, MODIFY_DOMAIN, name="default", input={"total_resource_slots": '{"mem": "1g"}'})
    made = await create(alice, name)
    answer = await bob.ask("POST", "/session", body_of(f"{name}-2", enqueueOnly=True))
    assert answer.status == 201
    much = {"resources": {"cpu": "1", "mem": "2g"}}
    answer = await bob.ask("POST", "/session", body_of(f"{name}-3", config=much))
    assert (answer.status, answer.slug) == (412, "quota-exceeded")
    await done(root, MODIFY_DOMAIN, name="default", input={"total_resource_slots": "{}"})
    for caller, each in ((alice, name), (bob, f"{name}-2")):
        await caller.ask("DELETE", f"/session/{each}")
    assert made["status"] == "RUNNING"


async def test_a_stored_limit_that_cannot_be_read_is_told_to_whom_it_concerns(
    manager: Manager,
    alice: Caller,
    as_user: AsUser,
    agent: ScriptedAgent,
    create: Create,
    name: str,
) -> None:
    write = sa.text("update projects set total_resource_slots = :slots where domain_name = :domain")
    bind = write.bindparams(sa.bindparam("slots", type_=sa.JSON))
    run_it = manager.stores.database.transact
    await run_it(lambda db: db.execute(bind, {"slots": {"cpu": "lots"}, "domain": "other"}))
    mallory = as_user("mallory")
    answer = await mallory.ask("POST", "/session", body_of(f"{name}-m", domain="other"))
    assert (answer.status, answer.slug) == (412, "quota-exceeded")
    assert "The limits of your project cannot be read" in answer.json["msg"]
    checked = await mallory.ask("POST", "/resource/check-presets", {"group": "default"})
    assert set(checked.json["group_remaining"].values()) == {"0"}
    assert (await create(alice, name))["status"] == "RUNNING"
    await alice.ask("DELETE", f"/session/{name}")
    await run_it(lambda db: db.execute(bind, {"slots": {}, "domain": "other"}))


async def test_no_option_is_more_than_refused(root: Caller) -> None:
    for field in ("scheduler_opts", "driver_opts", "wsproxy_addr"):
        for odd in ODD:
            props = {**NEW_GROUP, field: odd}
            variables = {"name": f"fuzz-{uuid.uuid4().hex[:8]}", "input": props}
            body = {"query": CREATE_GROUP, "variables": variables}
            answer = await root.ask("POST", "/admin/gql", body)
            assert answer.status == 200, (field, odd, answer.body)
            answered = answer.json
            assert answered.get("errors") or "ok" in answered["data"]["create_scaling_group"]


async def test_nothing_of_it_changes_while_the_cluster_is_frozen(root: Caller) -> None:
    frozen = {"status": "frozen", "force_kill": False}
    assert (await root.ask("PUT", "/manager/status", frozen)).status == 204
    try:
        for name, query, variables in every_mutation():
            body = {"query": query, "variables": variables}
            answer = (await root.ask("POST", "/admin/gql", body)).json
            assert answer["data"][name] is None
            assert "frozen" in answer["errors"][0]["message"]
    finally:
        await root.ask("PUT", "/manager/status", {"status": "running", "force_kill": False})
    assert (await run(root, DELETE_PRESET, name="x"))["msg"] == "No such resource preset. x"
