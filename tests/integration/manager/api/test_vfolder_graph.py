"""Folders, volumes and quota scopes through GraphQL."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.storage import HOST, ScriptedStorage, make, storage
from tests.integration.manager.api.strangers import refuse_strangers
from tests.integration.manager.api.test_statements import REQUEST, executed
from tests.integration.manager.api.test_vfolder_sharing import shared

__all__ = ["storage"]

AsUser = Callable[[str], Caller]
PAGE = "limit: 100, offset: 0"
LISTS = ("vfolder_list", "vfolder_own_list", "vfolder_invited_list", "vfolder_project_list")
# What the official client selects for its tables.
SHOWN = "host name created_at creator group permission ownership_type status"


async def ask(caller: Caller, query: str, **variables: Any) -> Any:
    body = {"query": query, "variables": variables}
    answer = await caller.ask("POST", "/admin/gql", body)
    assert answer.status == 200, answer.body
    return answer.json


async def data(caller: Caller, query: str, **variables: Any) -> Any:
    told = await ask(caller, query, **variables)
    assert "errors" not in told, told
    return next(iter(told["data"].values()))


async def names(caller: Caller, root: str, more: str = "") -> list[str]:
    arguments = f"{PAGE}, {more}" if more else PAGE
    found = await data(caller, f"{{ {root}({arguments}) {{ items {{ name }} total_count }} }}")
    assert found["total_count"] == len(found["items"])
    return [one["name"] for one in found["items"]]


async def refused(caller: Caller, query: str) -> str:
    told = await ask(caller, query)
    assert told.get("errors"), told
    return str(told["errors"][0]["message"])


async def test_strangers_are_refused(alice: Caller) -> None:
    query = f"{{ vfolder_list({PAGE}) {{ total_count }} }}"
    await refuse_strangers(alice, ("POST", "/admin/gql", {"query": query}))


async def test_only_superadmins_read_volumes_and_the_shares_of_all(as_user: AsUser) -> None:
    for query in (
        f"{{ storage_volume_list({PAGE}) {{ total_count }} }}",
        f'{{ storage_volume(id: "{HOST}") {{ id }} }}',
        f"{{ vfolder_permission_list({PAGE}) {{ total_count }} }}",
    ):
        for name in ("alice", "carol", "eve"):
            assert "no permission to read" in await refused(as_user(name), query)


async def test_each_list_has_its_folders_and_nobody_elses(
    as_user: AsUser, alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    carol = as_user("carol")
    given = await shared(alice, bob, perm="rw")
    await make(bob, "own")
    await make(carol, "common", group="default", permission="ro")
    await make(as_user("root"), "guarded")
    assert [await names(bob, root) for root in LISTS] == [
        ["data", "own", "common"],
        ["own"],
        ["data"],
        ["common"],
    ]
    assert await names(carol, "vfolder_list") == ["data", "own", "common"]
    assert await names(carol, "vfolder_own_list") == []
    assert await names(as_user("mallory"), "vfolder_list") == []
    assert await names(as_user("root"), "vfolder_list") == ["data", "own", "common", "guarded"]
    [one] = (await data(bob, f"{{ vfolder_invited_list({PAGE}) {{ items {{ id {SHOWN} }} }} }}"))[
        "items"
    ]
    assert list(one) == ["id", *SHOWN.split()]
    assert (one["id"], one["permission"], one["creator"]) == (
        str(uuid.UUID(given)),
        "rw",
        "alice@example.com",
    )


async def test_lists_are_narrowed_filtered_and_ordered(
    as_user: AsUser, alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    for name in ("a", "b"):
        await make(alice, name, usage_mode="model" if name == "b" else "general")
    await make(bob, "c")
    common = await make(as_user("carol"), "common", group="default")
    root = as_user("root")
    assert await names(root, "vfolder_list", 'order: "-name"') == ["common", "c", "b", "a"]
    assert await names(root, "vfolder_list", 'filter: "usage_mode == \\"MODEL\\""') == ["b"]
    both = 'filter: "user_email == \\"alice@example.com\\" & status == \\"READY\\"", order: "name"'
    assert await names(root, "vfolder_list", both) == ["a", "b"]
    of_group = f'group_id: "{common["group"]}"'
    assert await names(root, "vfolder_list", of_group) == ["common"]
    assert await names(root, "vfolder_list", 'access_key: "AKBOB"') == ["c"]
    assert await names(alice, "vfolder_list", 'access_key: "AKBOB"') == []
    assert await names(root, "vfolder_list", 'domain_name: "other"') == []
    query = f'{{ vfolder_list({PAGE}, filter: "nothing == 1") {{ total_count }} }}'
    assert "Query filter parsing error" in await refused(root, query)
    query = f'{{ vfolder_list({PAGE}, order: "unmanaged_path") {{ total_count }} }}'
    assert "Query ordering parsing error" in await refused(root, query)


COLUMNS = (
    "cloneable created_at creator group group_name host id last_used max_files max_size name"
    " ownership_type permission quota_scope_id status usage_mode user user_email cur_size"
)


async def test_every_column_orders(alice: Caller, storage: ScriptedStorage) -> None:
    await make(alice)
    for column in COLUMNS.split():
        assert await names(alice, "vfolder_list", f'order: "{column}"') == ["data"]


async def test_a_page_is_one_statement(
    manager: Manager, as_user: AsUser, alice: Caller, storage: ScriptedStorage
) -> None:
    for name in ("a", "b"):
        await make(alice, name)
    query = f"{{ vfolder_list({PAGE}) {{ items {{ {SHOWN} }} total_count }} }}"
    await data(alice, query)
    with executed(manager) as asked:
        await data(alice, query)
    assert asked.by[REQUEST].total() == 1, asked.by


async def test_a_list_tells_what_is_in_folders_where_it_is_selected(
    manager: Manager, alice: Caller, storage: ScriptedStorage
) -> None:
    made = [await make(alice, name) for name in ("a", "b")]
    (storage.folder(f"{made[1]['quota_scope_id']}/{made[1]['id']}") / "x").write_bytes(b"12345")
    plain = f'{{ vfolder_list({PAGE}, order: "name") {{ items {{ name }} total_count }} }}'
    await data(alice, plain)
    assert not storage.asked_for("/folder/usage")
    counted = plain.replace("name }", "name num_files cur_size }")
    for _ in range(2):
        found = (await data(alice, counted))["items"]
        assert [(one["num_files"], one["cur_size"]) for one in found] == [(0, 0), (1, 5)]
    assert len(storage.asked_for("/folder/usage")) == 2
    assert [one["cur_size"] for one in await data(alice, "{ vfolders { cur_size } }")] == [0, 5]
    assert len(storage.asked_for("/folder/usage")) == 2


async def test_one_folder_has_all_of_its_fields(
    as_user: AsUser, alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    made = await make(alice)
    (storage.folder(f"{made['quota_scope_id']}/{made['id']}") / "x").write_bytes(b"12345")
    query = f'{{ vfolder(id: "{made["id"]}") {{ id name num_files cur_size status user }} }}'
    assert await data(alice, query) == {
        "id": str(uuid.UUID(made["id"])),
        "name": "data",
        "num_files": 1,
        "cur_size": 5,
        "status": "ready",
        "user": made["user"],
    }
    assert await data(bob, query) is None
    assert await data(as_user("mallory"), query) is None
    plain = "{ vfolders { name } }"
    assert await data(alice, plain) == [{"name": "data"}]
    assert await data(bob, plain) == []


async def test_keypairs_have_the_folders_of_their_users(
    as_user: AsUser, alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    await shared(alice, bob)
    assert await data(alice, "{ keypair { vfolders { name } } }") == {
        "vfolders": [{"name": "data"}]
    }
    assert await data(bob, "{ keypair { vfolders { name } } }") == {"vfolders": []}
    listed = f"{{ keypair_list({PAGE}) {{ items {{ access_key vfolders {{ name }} }} }} }}"
    items = (await data(as_user("root"), listed))["items"]
    assert {one["access_key"] for one in items if one["vfolders"]} == {"AKALICE"}


async def test_superadmins_list_every_share(
    as_user: AsUser, alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    given = str(uuid.UUID(await shared(alice, bob)))
    shown = "id permission vfolder vfolder_name user user_email"
    for more in ("", ', filter: "permission == \\"READ_ONLY\\"", order: "-user_email"'):
        query = f"{{ vfolder_permission_list({PAGE}{more}) {{ items {{ {shown} }} total_count }} }}"
        found = await data(as_user("root"), query)
        assert found["total_count"] == 1
        [one] = found["items"]
        assert one == {
            "id": f"{given}:{one['user']}",
            "permission": "ro",
            "vfolder": given,
            "vfolder_name": "data",
            "user": one["user"],
            "user_email": "bob@example.com",
        }


async def test_volumes_tell_what_their_proxy_tells(
    as_user: AsUser, storage: ScriptedStorage
) -> None:
    root = as_user("root")
    listed = (
        "{ storage_volume_list(limit: 1, offset: 1) { items { id capabilities } total_count } }"
    )
    assert await data(root, listed) == {
        "items": [{"id": "local:volume2", "capabilities": ["vfs"]}],
        "total_count": 2,
    }
    query = (
        "query($id: String) { storage_volume(id: $id)"
        " { id backend path fsprefix hardware_metadata performance_metric usage } }"
    )
    found = await data(root, query, id=HOST)
    assert (found["id"], found["backend"], found["path"]) == (HOST, "vfs", str(storage.root))
    assert json.loads(found["hardware_metadata"])["metadata"] == {"disks": 2}
    assert json.loads(found["performance_metric"])["iops_read"] == 1.5
    assert json.loads(found["usage"]) == {"capacity_bytes": 1000, "used_bytes": 250}
    assert await data(root, query, id="local:nothing") is None
    storage.refusals["/volume/hwinfo"] = (500, {})
    assert (await data(root, query, id=HOST))["hardware_metadata"] is None
    query = '{ storage_volume_list(limit: 1, offset: 0, order: "id") { total_count } }'
    assert "by their ids" in await refused(root, query)


SCOPE = "quota_scope_id storage_host_name details { usage_bytes hard_limit_bytes }"


async def test_quota_scopes_are_for_whom_they_are_of_and_administrators(
    as_user: AsUser, alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    scope = (await make(alice))["quota_scope_id"]
    arguments = f'storage_host_name: "{HOST}", quota_scope_id: "{scope}"'
    query = f"{{ quota_scope({arguments}) {{ {SCOPE} }} }}"
    wanted = {
        "quota_scope_id": scope,
        "storage_host_name": HOST,
        "details": {"usage_bytes": 7, "hard_limit_bytes": None},
    }
    for name in ("alice", "carol", "root"):
        assert await data(as_user(name), query) == wanted
    for stranger in (bob, as_user("mallory")):
        assert "No such quota scope" in await refused(stranger, query)
    set_to = f"set_quota_scope({arguments}, props: {{ hard_limit_bytes: 4096 }})"
    mutation = f"mutation {{ {set_to} {{ quota_scope {{ {SCOPE} }} }} }}"
    assert "no permission to execute" in await refused(alice, mutation)
    assert "No such quota scope" in await refused(as_user("mallory"), mutation)
    answer = await data(as_user("carol"), mutation)
    assert answer["quota_scope"]["details"]["hard_limit_bytes"] == 4096
    mutation = f"mutation {{ unset_quota_scope({arguments}) {{ quota_scope {{ {SCOPE} }} }} }}"
    assert (await data(as_user("root"), mutation)) == {"quota_scope": wanted}


async def test_a_quota_scope_of_nobody_is_not_there(
    as_user: AsUser, alice: Caller, storage: ScriptedStorage
) -> None:
    user = (await make(alice))["user"]
    for scope in ("", "user", f"user:{uuid.uuid4()}", f"project:{user}", user, f"other:{user}"):
        query = (
            f'{{ quota_scope(storage_host_name: "{HOST}", quota_scope_id: "{scope}") {{ id }} }}'
        )
        assert "No such quota scope" in await refused(as_user("root"), query)
    assert not any("other" in str(body) for _, _, body in storage.asked)


@pytest.mark.parametrize("size", ['"1e5"', "1.5", "true", "[1]", '""', "9223372036854775808"])
async def test_a_limit_that_is_no_number_of_bytes_is_refused(
    as_user: AsUser, alice: Caller, storage: ScriptedStorage, size: str
) -> None:
    scope = (await make(alice))["quota_scope_id"]
    limits = dict(storage.limits)
    arguments = f'storage_host_name: "{HOST}", quota_scope_id: "{scope}"'
    set_to = f"set_quota_scope({arguments}, props: {{ hard_limit_bytes: {size} }})"
    mutation = f"mutation {{ {set_to} {{ quota_scope {{ {SCOPE} }} }} }}"
    assert "must be bytes" in await refused(as_user("root"), mutation)
    assert storage.limits == limits
