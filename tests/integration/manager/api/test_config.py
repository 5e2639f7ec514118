"""The cluster's configuration over REST: who may, nested values, what nobody writes by hand."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.strangers import refuse_role, refuse_strangers

ROUTES = [
    ("POST", "/config/get", {"key": "config/x", "prefix": False}),
    ("POST", "/config/set", {"key": "config/x", "value": "1"}),
    ("POST", "/config/delete", {"key": "config/x", "prefix": False}),
    ("GET", "/config/docker-registries", None),
    ("GET", "/resource/container-registries", None),
]


@pytest.fixture
async def root(manager: Manager, as_user: Callable[[str], Caller]) -> AsyncIterator[Caller]:
    yield as_user("root")
    await manager.stores.etcd.delete_prefix("config/")


async def get(caller: Caller, key: str, *, is_prefix: bool = False) -> Any:
    answer = await caller.ask("POST", "/config/get", {"key": key, "prefix": is_prefix})
    assert answer.status == 200, answer.body
    assert answer.json.keys() == {"result"}
    return answer.json["result"]


async def put(caller: Caller, key: str, value: Any) -> None:
    answer = await caller.ask("POST", "/config/set", {"key": key, "value": value})
    assert (answer.status, answer.json) == (200, {"result": "ok"})


@pytest.mark.parametrize("route", ROUTES)
async def test_strangers_and_whoever_is_no_superadmin_are_refused(
    as_user: Callable[[str], Caller], route: tuple[str, str, Any]
) -> None:
    await refuse_strangers(as_user("root"), route)
    for name in ("alice", "carol", "mallory", "eve"):
        await refuse_role(as_user(name), route)


async def test_permissions_need_a_credential(alice: Caller) -> None:
    await refuse_strangers(alice, ("GET", "/acl", None))
    names = (await alice.ask("GET", "/acl")).json["vfolder_host_permission_list"]
    assert (len(names), names[0], names[-1]) == (
        8,
        "create-vfolder",
        "set-user-specific-permission",
    )


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/config/get", {}, "key"),
        ("/config/get", {"key": ""}, "key"),
        ("/config/get", {"key": "/config"}, "key"),
        ("/config/get", {"key": "a//b"}, "key"),
        ("/config/get", {"key": "x" * 513}, "key"),
        ("/config/get", {"key": "config/x", "prefix": "perhaps"}, "prefix"),
        ("/config/set", {"key": "config/x"}, "value"),
        ("/config/set", {"key": "config/x", "value": None}, "config/x"),
        ("/config/set", {"key": "config/x", "value": ["a"]}, "config/x"),
        ("/config/set", {"key": "config/x", "value": {}}, "value"),
        ("/config/set", {"key": "config/x", "value": {"a": {"b": None}}}, "config/x/a/b"),
        ("/config/set", {"key": "c", "value": {str(n): "v" for n in range(17)}}, "value"),
        ("/config/set", {"key": "c", "value": "v" * 65537}, "c"),
        ("/config/set", {"key": "config/\n", "value": "v"}, "key"),
        ("/config/delete", {"key": "/", "prefix": True}, "key"),
    ],
)
async def test_bad_input_names_what_is_wrong(
    root: Caller, path: str, body: dict[str, Any], field: str
) -> None:
    answer = await root.ask("POST", path, body)
    assert (answer.status, answer.slug) == (400, "invalid-api-params"), answer.body
    assert field in answer.json["data"]


async def test_values_are_set_read_and_deleted(root: Caller) -> None:
    assert await get(root, "config/x") is None
    assert await get(root, "config/x", is_prefix=True) == {}
    for value, text in (("v", "v"), ("", ""), (7, "7"), (0.5, "0.5"), (True, "true")):
        await put(root, "config/x", value)
        assert await get(root, "config/x") == text
    for _ in range(2):
        gone = await root.ask("POST", "/config/delete", {"key": "config/x", "prefix": False})
        assert (gone.status, gone.json) == (200, {"result": "ok"})
    assert await get(root, "config/x") is None


async def test_objects_become_one_pair_for_each_leaf(manager: Manager, root: Caller) -> None:
    await put(root, "config/a", {"b": {"c": "1", "d": 2}, "": "own", "e/f": "3"})
    await put(root, "config/ab", "no child of a")
    pairs = dict(await manager.stores.etcd.get_prefix("config/a"))
    assert pairs == {
        "config/a": "own",
        "config/a/b/c": "1",
        "config/a/b/d": "2",
        "config/a/e/f": "3",
        "config/ab": "no child of a",
    }
    nested = {"": "own", "b": {"c": "1", "d": "2"}, "e": {"f": "3"}}
    assert await get(root, "config/a", is_prefix=True) == nested
    assert await get(root, "config/a/", is_prefix=True) == nested
    deleted = await root.ask("POST", "/config/delete", {"key": "config/a", "prefix": True})
    assert deleted.status == 200
    assert dict(await manager.stores.etcd.get_prefix("config/")) == {"config/ab": "no child of a"}


async def test_sixteen_leaves_are_not_too_many(root: Caller) -> None:
    await put(root, "config/many", {str(number): number for number in range(16)})
    assert len(await get(root, "config/many", is_prefix=True)) == 16


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/config/set", {"key": "nodes/agents/i-1", "value": "{}"}),
        ("/config/set", {"key": "nodes", "value": {"agents": {"i-1": "{}"}}}),
        ("/config/set", {"key": "nodes/", "value": "x"}),
        ("/config/delete", {"key": "nodes", "prefix": True}),
        ("/config/delete", {"key": "nodes/agents/{agent}", "prefix": False}),
    ],
)
async def test_registrations_of_agents_are_read_and_never_written(
    manager: Manager, root: Caller, agent: ScriptedAgent, path: str, body: dict[str, Any]
) -> None:
    key = body["key"].format(agent=agent.agent_id)
    before = dict(await manager.stores.etcd.get_prefix("nodes/"))
    answer = await root.ask("POST", path, {**body, "key": key})
    assert (answer.status, answer.slug) == (403, "generic-forbidden")
    assert "pose as an agent" in answer.json["msg"]
    assert dict(await manager.stores.etcd.get_prefix("nodes/")) == before
    assert agent.agent_id in (await get(root, "nodes/agents", is_prefix=True))


async def test_prefixes_end_at_words(manager: Manager, root: Caller) -> None:
    """`n` is no way to delete what is below `nodes`."""
    await manager.stores.etcd.put("nodes/agents/kept", "{}")
    for key in ("n", "node"):
        answer = await root.ask("POST", "/config/delete", {"key": key, "prefix": True})
        assert answer.status == 200
    assert await manager.stores.etcd.delete("nodes/agents/kept")


async def test_registries_are_listed_by_name(root: Caller) -> None:
    await put(root, "config/docker/registry", {"cr.example.com": "https://cr.example.com"})
    await put(root, "config/docker/registry/cr.example.com/password", "secret")
    await put(root, "config/docker/registry/local%3A5000", "http://local:5000")

    async def are_listed() -> bool:
        answer = await root.ask("GET", "/config/docker-registries")
        return bool(
            answer.json
            == {"cr.example.com": "https://cr.example.com", "local:5000": "http://local:5000"}
        )

    await until(are_listed)
    again = await root.ask("GET", "/resource/container-registries")
    assert again.json.keys() == {"cr.example.com", "local:5000"}


async def test_slots_are_of_the_cluster_or_of_one_group(
    manager: Manager, root: Caller, nobody: Caller, agent: ScriptedAgent
) -> None:
    agent.capacity = {**agent.capacity, "cuda.device": "1"}
    agent._tell()
    await put(root, "config/resource_slots/tpu.device", "count")

    async def are_known() -> bool:
        types = (await nobody.ask("GET", "/config/resource-slots")).json
        return bool(
            types == {"cpu": "count", "mem": "bytes", "cuda.device": "count", "tpu.device": "count"}
        )

    await until(are_known)
    details = "/config/resource-slots/details"
    assert len((await nobody.ask("GET", details)).json) == 4
    of_group = (await nobody.ask("GET", f"{details}?sgroup=default")).json
    assert of_group.keys() == {"cpu", "mem", "cuda.device"}
    assert (await nobody.ask("GET", f"{details}?sgroup=none")).json.keys() == {"cpu", "mem"}
    assert (await nobody.ask("GET", "/config/vfolder-types")).json == ["user", "group"]
    assert manager.services.cluster is not None
