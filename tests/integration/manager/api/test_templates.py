"""Templates: kept for their owner and project, seen by nobody else, and started from."""

import json
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Answer, Caller
from tests.integration.manager.api.scripted import IMAGES, ScriptedAgent
from tests.integration.manager.api.strangers import refuse_role, refuse_strangers

AsUser = Callable[[str], Caller]
UNKNOWN = uuid.UUID(int=1)
PATHS = ["/template/session", "/template/cluster"]
PAYLOAD = {"payload": "template: {}\n", "group_name": "default", "domain_name": "default"}
ROUTES = [
    route
    for path in PATHS
    for route in (
        ("GET", path, {"all": False}),
        ("POST", path, PAYLOAD),
        ("GET", f"{path}/{UNKNOWN}?format=yaml", None),
        ("PUT", f"{path}/{UNKNOWN}", {"payload": "template: {}\n"}),
        ("DELETE", f"{path}/{UNKNOWN}", None),
    )
] + [
    ("POST", f"/session/_/{verb}", {"template_id": str(UNKNOWN)})
    for verb in ("create-from-template", "create-cluster")
]


@pytest.fixture(autouse=True)
async def no_templates(manager: Manager) -> AsyncIterator[None]:
    yield
    async with manager.stores.database.begin() as connection:
        await connection.execute(sa.text("delete from session_templates"))


def text_of(name: str = "demo", **spec: Any) -> str:
    kernel = {"image": IMAGES[0], "environ": {"SEED": 1}}
    return yaml.safe_dump(
        {
            "api_version": "6",
            "kind": "taskTemplate",
            "metadata": {"name": name, "tag": "from-template"},
            "spec": {"kernel": kernel, "resources": {"cpu": 1, "mem": "256m"}, **spec},
        }
    )


async def create(caller: Caller, payload: str = "", path: str = PATHS[0], **more: Any) -> Answer:
    body = {"payload": payload or text_of(), "group_name": "default", "domain_name": "default"}
    return await caller.ask("POST", path, {**body, "owner_access_key": None, **more})


async def made(caller: Caller, payload: str = "", **more: Any) -> str:
    answer = await create(caller, payload, **more)
    assert answer.status == 200, answer.body
    [one] = answer.json
    assert uuid.UUID(one["user"])
    return str(uuid.UUID(one["id"]))


async def names(caller: Caller, *, is_all: bool = False) -> list[str]:
    answer = await caller.ask("GET", PATHS[0], {"all": is_all})
    assert answer.status == 200, answer.body
    return [one["name"] for one in answer.json]


async def test_strangers_are_refused(alice: Caller) -> None:
    for route in ROUTES:
        await refuse_strangers(alice, route)


async def test_a_monitor_writes_nothing(as_user: AsUser) -> None:
    for route in ROUTES:
        if route[0] != "GET":
            await refuse_role(as_user("eve"), route)


async def test_templates_of_other_tenants_are_not_there(alice: Caller, as_user: AsUser) -> None:
    stranger, template_id = as_user("mallory"), await made(alice)
    path = f"{PATHS[0]}/{template_id}"
    begin = {"template_id": template_id, "name": "stolen", "domain": "other"}
    for verb, target, body in (
        ("GET", path, None),
        ("PUT", path, {"payload": text_of()}),
        ("DELETE", path, None),
        ("POST", "/session/_/create-from-template", begin),
    ):
        answer = await stranger.ask(verb, target, body)
        assert (answer.status, answer.json["title"]) == (404, "No such task template.")
    assert await names(stranger) == await names(stranger, is_all=True) == []
    for target in (f"{path}?owner_access_key=AKALICE", path):
        answer = await stranger.ask("DELETE", target)
        assert answer.status in (403, 404)
    assert await names(alice) == ["demo"]


async def test_members_of_the_project_see_a_template_but_do_not_change_it(
    alice: Caller, bob: Caller
) -> None:
    template_id = await made(alice)
    [row] = (await bob.ask("GET", PATHS[0], {"all": False})).json
    assert (row["id"], row["is_owner"], row["user_email"]) == (
        template_id,
        False,
        "alice@example.com",
    )
    assert (await bob.ask("GET", f"{PATHS[0]}/{template_id}")).status == 200
    for verb, body in (("PUT", {"payload": text_of("taken")}), ("DELETE", None)):
        answer = await bob.ask(verb, f"{PATHS[0]}/{template_id}", body)
        assert (answer.status, answer.slug) == (403, "generic-forbidden")
    assert await names(alice) == ["demo"]


async def test_administrators_list_and_change_those_of_their_domain(
    alice: Caller, bob: Caller, as_user: AsUser
) -> None:
    carol, root = as_user("carol"), as_user("root")
    template_id = await made(alice)
    of_root = await made(root, text_of("roots"))
    answer = await bob.ask("GET", PATHS[0], {"all": True})
    assert (answer.status, answer.slug) == (403, "insufficient-privilege")
    assert await names(carol, is_all=True) == await names(root, is_all=True) == ["demo", "roots"]
    changed = {"payload": text_of("changed")}
    refused = await carol.ask("PUT", f"{PATHS[0]}/{of_root}", changed)
    assert refused.status == 403, "a superadmin starts sessions from it"
    assert (await carol.ask("PUT", f"{PATHS[0]}/{template_id}", changed)).status == 200
    assert await names(alice) == ["changed", "roots"]


async def test_a_template_is_kept_for_another_by_those_who_may(
    alice: Caller, bob: Caller, as_user: AsUser
) -> None:
    refused = await create(bob, owner_access_key="AKALICE")
    assert refused.status == 403
    template_id = await made(as_user("carol"), owner_access_key="AKALICE")
    [row] = (await alice.ask("GET", PATHS[0])).json
    assert (row["id"], row["is_owner"]) == (template_id, True)
    path = f"{PATHS[0]}/{template_id}?owner_access_key=AKALICE"
    assert (await as_user("carol").ask("DELETE", path)).json == {"success": True}


async def test_projects_of_others_get_no_templates(alice: Caller) -> None:
    for more in ({"domain_name": "other"}, {"group_name": "nosuch"}):
        answer = await create(alice, **more)
        assert (answer.status, answer.slug) == (404, "object-not-found")
    foreign = json.dumps([{"template": yaml.safe_load(text_of()), "user_uuid": str(UNKNOWN)}])
    answer = await create(alice, foreign)
    assert (answer.status, list(answer.json["data"])) == (400, ["user_uuid"])


async def test_bad_payloads_name_what_is_wrong(alice: Caller) -> None:
    for payload, field in (
        ("template: {}\n", "payload.0.template.spec"),
        ("kind: [", "payload"),
        ("[]", "payload"),
        ("a: &a [*a]", "payload"),
        ("just words", "payload.0"),
    ):
        answer = await create(alice, payload)
        assert (answer.status, answer.slug) == (400, "invalid-api-params")
        assert field in answer.json["data"]


async def test_a_template_is_read_as_yaml_and_as_json_and_put_back(alice: Caller) -> None:
    template_id = await made(alice, text_of(scaling_group="default"))
    path = f"{PATHS[0]}/{template_id}"
    text = (await alice.ask("GET", f"{path}?format=yaml")).body.decode()
    told = (await alice.ask("GET", f"{path}?format=json")).json
    assert yaml.safe_load(text) == told
    assert told.keys() == {"template", "name", "user_uuid", "group_id", "domain_name"}
    assert told["template"]["spec"]["kernel"]["environ"] == {"SEED": "1"}
    changed = text.replace("name: demo", "name: renamed")
    assert (await alice.ask("PUT", path, {"payload": changed})).json == {"success": True}
    assert await names(alice) == ["renamed"]
    assert (await alice.ask("DELETE", path)).json == {"success": True}
    assert (await alice.ask("GET", path)).status == 404
    assert await names(alice) == []


async def test_several_templates_come_whole_or_not_at_all(alice: Caller) -> None:
    good, bad = text_of("one"), text_of("two", color="red")
    assert (await create(alice, f"{good}---\n{bad}")).status == 400
    assert await names(alice) == []
    answer = await create(alice, f"{good}---\n{text_of('two')}")
    assert len(answer.json) == 2
    assert await names(alice) == ["one", "two"]
    both = {"payload": f"{good}---\n{good}"}
    answer = await alice.ask("PUT", f"{PATHS[0]}/{answer.json[0]['id']}", both)
    assert (answer.status, list(answer.json["data"])) == (400, ["payload"])


async def test_a_cluster_is_made_of_templates_that_are_there(alice: Caller) -> None:
    def text(*ids: str) -> str:
        roles = zip(("main", "sub"), ids, strict=False)
        nodes = [{"cluster_role": role, "session_template": each} for role, each in roles]
        head = {"api_version": "1", "kind": "clusterTemplate", "mode": "single-node"}
        return json.dumps({**head, "metadata": {"name": "pair"}, "spec": {"nodes": nodes}})

    template_id = await made(alice)
    assert (await create(alice, text(str(UNKNOWN)), PATHS[1])).status == 404
    cluster_id = await made(alice, text(template_id, template_id), path=PATHS[1])
    [row] = (await alice.ask("GET", PATHS[1])).json
    assert (row["id"], row["type"], row["name"]) == (cluster_id, "cluster", "pair")
    assert await names(alice) == ["demo"]
    assert (await alice.ask("GET", f"{PATHS[0]}/{cluster_id}")).status == 404
    assert (await alice.ask("DELETE", f"{PATHS[1]}/{cluster_id}")).status == 200


async def test_changes_are_in_the_audit_log(manager: Manager, alice: Caller) -> None:
    template_id = await made(alice)
    await alice.ask("DELETE", f"{PATHS[0]}/{template_id}")
    async with manager.stores.database.begin() as connection:
        found = await connection.execute(
            sa.text("select action, email from audit_log where target_id = :id order by id"),
            {"id": template_id},
        )
    assert [tuple(row) for row in found] == [
        ("template.create", "alice@example.com"),
        ("template.delete", "alice@example.com"),
    ]


async def test_a_session_starts_from_a_template(
    alice: Caller, bob: Caller, agent: ScriptedAgent, name: str
) -> None:
    template_id = await made(alice)
    body = {
        "template_id": template_id,
        "tag": None,
        "domain": "default",
        "group": "default",
        "name": name,
        "enqueueOnly": False,
        "maxWaitSeconds": 20,
        "dependencies": [],
        "callbackURL": None,
        "reuseIfExists": True,
        "type": "interactive",
        "starts_at": None,
        "config": {"mounts": []},
    }
    answer = await bob.ask("POST", "/session/_/create-from-template", body)
    assert answer.status == 201, answer.body
    assert (answer.json["status"], answer.json["created"]) == ("RUNNING", True)
    info = (await bob.ask("GET", f"/session/{name}")).json
    assert (info["tag"], info["image"]) == ("from-template", IMAGES[0])
    assert "SEED" in info["environ"]
    again = await bob.ask("POST", "/session/_/create-from-template", body)
    assert (again.json["sessionId"], again.json["created"]) == (answer.json["sessionId"], False)
    assert (await bob.ask("DELETE", f"/session/{name}?forced=true")).status == 200


async def test_sessions_do_not_start_from_what_is_no_template(alice: Caller) -> None:
    for template_id in (None, "", 7, "x", str(UNKNOWN)):
        body = {"template_id": template_id, "name": "never"}
        answer = await alice.ask("POST", "/session/_/create-from-template", body)
        assert answer.status == (404 if template_id in ("x", str(UNKNOWN)) else 400)


async def test_what_a_template_cannot_mean_is_refused_with_the_requests_own_words(
    alice: Caller,
) -> None:
    template_id = await made(alice)
    body = {"template_id": template_id, "name": "bad name!", "colour": 1}
    answer = await alice.ask("POST", "/session/_/create-from-template", body)
    assert (answer.status, answer.json["data"].keys()) == (400, {"name", "colour"})


def cluster_of(*nodes: tuple[str, str, int], mode: str = "single-node") -> str:
    """A template of a cluster; each node has a role, the id of a template, and replicas."""
    return yaml.safe_dump(
        {
            "api_version": "6",
            "kind": "clusterTemplate",
            "mode": mode,
            "metadata": {"name": "group"},
            "spec": {
                "environ": {"COLOUR": "blue"},
                "nodes": [
                    {"cluster_role": role, "session_template": one, "replicas": count}
                    for role, one, count in nodes
                ],
            },
        }
    )


async def test_a_cluster_starts_from_a_template_with_a_kind_of_kernel_for_each_role(
    alice: Caller, agent: ScriptedAgent, name: str
) -> None:
    lead = await made(alice, text_of("lead"))
    work = await made(alice, text_of("work", resources={"cpu": 2, "mem": "128m"}))
    whole = await made(alice, cluster_of(("sub", work, 2), ("main", lead, 1)), path=PATHS[1])
    body = {"template_id": whole, "name": name, "maxWaitSeconds": 20, "config": {"mounts": []}}
    answer = await alice.ask("POST", "/session/_/create-cluster", body)
    assert answer.status == 201, answer.body
    assert (answer.json["status"], answer.json["created"]) == ("RUNNING", True)
    session = answer.json["sessionId"]
    ordered = [one.spec for one in agent.asked_of("ensure") if one.spec is not None]
    specs = {one.cluster_hostname: one for one in ordered if one.session_id == session}
    assert {host: spec.slots["cpu"] for host, spec in specs.items()} == {
        "main1": "1",
        "sub1": "2",
        "sub2": "2",
    }
    assert specs["sub2"].environ == {"SEED": "1", "COLOUR": "blue"}
    assert specs["sub2"].cluster_key == specs["main1"].cluster_key is not None
    assert (await alice.ask("DELETE", f"/session/{name}?forced=true")).status == 200
    # The template of one session is none of a cluster.
    odd = {**body, "template_id": lead, "name": f"{name}-odd"}
    assert (await alice.ask("POST", "/session/_/create-cluster", odd)).status == 404
