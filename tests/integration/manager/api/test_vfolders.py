"""Folders through REST: made, seen, renamed, put into the bin, purged, copied and handed on."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.manager.app import Manager
from backendai.manager.db import tables as t
from tests.integration.manager.api.caller import Answer, Caller, until
from tests.integration.manager.api.command import run_inside
from tests.integration.manager.api.storage import (
    HOST,
    SECRET,
    ScriptedStorage,
    body_of,
    make,
    storage,
)
from tests.integration.manager.api.strangers import refuse_role, refuse_strangers

__all__ = ["storage"]

AsUser = Callable[[str], Caller]
UNKNOWN = uuid.UUID(int=1).hex
ROUTES: list[tuple[str, str, Any]] = [
    ("POST", "/folders", {"name": "data"}),
    ("GET", "/folders", {"all": False}),
    ("DELETE", "/folders", {"id": UNKNOWN}),
    ("POST", "/folders/purge", {"id": UNKNOWN}),
    ("POST", "/folders/delete-from-trash-bin", {"id": UNKNOWN}),
    ("POST", "/folders/restore-from-trash-bin", {"id": UNKNOWN}),
    ("GET", "/folders/_/id", {"name": "data"}),
    ("GET", f"/folders/{UNKNOWN}", None),
    ("DELETE", f"/folders/{UNKNOWN}", None),
    ("POST", f"/folders/{UNKNOWN}/rename", {"new_name": "x"}),
    ("POST", f"/folders/{UNKNOWN}/update-options", {"cloneable": True}),
    ("POST", f"/folders/{UNKNOWN}/clone", {"target_name": "x"}),
    ("GET", f"/folders/_/quota?id={UNKNOWN}", None),
]
FOR_ADMINS: list[tuple[str, str, Any]] = [
    ("POST", "/folders/_/quota", {"id": UNKNOWN, "input": {"size_bytes": 1}}),
]
FOR_SUPERADMINS: list[tuple[str, str, Any]] = [
    ("GET", f"/folders/_/usage?id={UNKNOWN}", None),
    ("GET", f"/folders/_/used-bytes?id={UNKNOWN}", None),
    ("POST", "/folders/_/change-ownership", {"vfolder": UNKNOWN, "user_email": "a@b.c"}),
    ("POST", "/folders/_/abandon", {"id": UNKNOWN}),
]


async def names(caller: Caller, *, is_all: bool = False) -> list[str]:
    answer = await caller.ask("GET", "/folders", {"all": is_all})
    assert answer.status == 200, answer.body
    return [one["name"] for one in answer.json]


async def status_of(manager: Manager, folder_id: str) -> str | None:
    async with manager.stores.database.begin() as connection:
        wanted = t.vfolders.c.id == uuid.UUID(folder_id)
        found: str | None = await connection.scalar(sa.select(t.vfolders.c.status).where(wanted))
        return found


async def share(manager: Manager, folder_id: str, name: str, permission: str) -> None:
    async with manager.stores.database.begin() as connection:
        user_id = await connection.scalar(sa.select(t.users.c.id).where(t.users.c.username == name))
        values = {"vfolder_id": uuid.UUID(folder_id), "user_id": user_id, "permission": permission}
        await connection.execute(sa.insert(t.vfolder_permissions).values(values))


async def is_gone(manager: Manager, folder_id: str) -> None:
    async def look() -> bool:
        return await status_of(manager, folder_id) is None

    await until(look)


async def test_strangers_are_refused(alice: Caller) -> None:
    for route in ROUTES + FOR_ADMINS + FOR_SUPERADMINS:
        await refuse_strangers(alice, route)


async def test_roles_that_may_not_are_refused(as_user: AsUser) -> None:
    for route in ROUTES:
        if route[0] != "GET":
            await refuse_role(as_user("eve"), route)
    for route in FOR_ADMINS + FOR_SUPERADMINS:
        await refuse_role(as_user("alice"), route)
    for route in FOR_SUPERADMINS:
        await refuse_role(as_user("carol"), route)


async def test_somebody_elses_folder_is_not_there(
    as_user: AsUser, alice: Caller, storage: ScriptedStorage
) -> None:
    made = await make(alice)
    storage.asked.clear()
    for reference in (made["id"], "data"):
        for verb, path, body in ROUTES:
            if UNKNOWN not in f"{path}{body}":
                continue
            there = {**body, "id": reference} if body and "id" in body else body
            answer = await as_user("bob").ask(verb, path.replace(UNKNOWN, reference), there)
            is_known_id = reference != "data" or "quota" not in path
            assert answer.status == (404 if is_known_id else 400), (verb, path, answer.body)
            assert made["id"] not in answer.body.decode() or reference == made["id"]
    assert not storage.orders
    assert await names(as_user("bob")) == []
    assert (await as_user("mallory").ask("GET", f"/folders/{made['id']}")).status == 404


async def test_a_folder_is_made_with_its_directory(alice: Caller, storage: ScriptedStorage) -> None:
    made = await make(alice, "data.v1", usage_mode="model", permission="ro", cloneable=True)
    owner = made["user"]
    assert made == {
        "id": made["id"],
        "name": "data.v1",
        "quota_scope_id": f"user:{owner}",
        "host": HOST,
        "usage_mode": "model",
        "permission": "ro",
        "max_size": None,
        "creator": "alice@example.com",
        "ownership_type": "user",
        "user": owner,
        "group": None,
        "cloneable": True,
        "status": "ready",
    }
    assert storage.folder(f"user:{owner}/{made['id']}").is_dir()
    [item] = (await alice.ask("GET", "/folders", {"all": False})).json
    assert (item["name"], item["is_owner"], item["permission"]) == ("data.v1", True, "wd")
    assert (item["user_email"], item["type"], item["status"]) == (
        "alice@example.com",
        "user",
        "ready",
    )
    info = (await alice.ask("GET", "/folders/data.v1")).json
    assert (info["id"], info["numFiles"], info["group"]) == (made["id"], 0, "None")
    assert (await alice.ask("GET", "/folders/_/id", {"name": "data.v1"})).json == {"id": made["id"]}


async def test_own_folders_are_listed_in_whichever_project_one_works(
    manager: Manager, alice: Caller, storage: ScriptedStorage
) -> None:
    of_default = sa.select(t.projects.c.id).where(t.projects.c.name == "default")
    async with manager.stores.database.begin() as connection:
        project = await connection.scalar(of_default)
    await make(alice, "own")
    listed = await alice.ask("GET", f"/folders?group_id={project}")
    assert [one["name"] for one in listed.json] == ["own"]
    assert storage.asked_for("/quota-scope")


async def test_the_default_host_is_taken_where_none_is_named(
    alice: Caller, storage: ScriptedStorage
) -> None:
    assert (await make(alice, host=None))["host"] == HOST
    assert storage.asked_for("/quota-scope")[0]["volume"] == "volume1"


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"name": ".ssh"}, 400, "reserved"),
    ({"name": "a/b"}, 400, "letters"),
    ({"host": "nothing"}, 400, "<proxy>:<volume>"),
    ({"host": "local:volume2"}, 403, "create-vfolder on local:volume2 is allowed by none of"),
    ({"host": "local:volume2"}, 403, "keypair policy default"),
    ({"host": "local:volume2"}, 403, "backendai admin domain update default --vfolder-host"),
    ({"host": "far:volume1"}, 403, "create-vfolder"),
    ({"usage_mode": "all"}, 400, "usage_mode"),
    ({"permission": "x"}, 400, "permission"),
    ({"quota": "much"}, 400, "quota"),
    ({"group": "nowhere"}, 404, "nowhere"),
    ({"group": "default"}, 403, "administrators"),
    ({"surprise": 1}, 400, "surprise"),
]


async def test_what_may_not_be_made_is_refused_with_the_reason(
    alice: Caller, storage: ScriptedStorage
) -> None:
    for more, status, word in REFUSED:
        answer = await alice.ask("POST", "/folders", {**body_of("data"), **more})
        assert answer.status == status, (more, answer.body)
        assert word in answer.body.decode(), more
    assert not storage.orders
    assert await names(alice) == []


async def test_two_folders_of_one_owner_have_two_names(
    as_user: AsUser, alice: Caller, storage: ScriptedStorage
) -> None:
    await make(alice)
    answer = await alice.ask("POST", "/folders", body_of("data"))
    assert (answer.status, answer.slug) == (400, "vfolder-already-exists")
    await make(as_user("bob"))
    await make(alice, "other")
    answer = await alice.ask("POST", "/folders/other/rename", {"new_name": "data"})
    assert (answer.status, answer.slug) == (400, "vfolder-already-exists")


async def test_a_policy_limits_folders_and_what_is_in_them(
    manager: Manager, alice: Caller, storage: ScriptedStorage
) -> None:
    async with manager.stores.database.begin() as connection:
        limits = {"max_vfolder_count": 1, "max_quota_scope_size": 1 << 30}
        await connection.execute(sa.update(t.user_policies).values(limits))
    made = await make(alice)
    assert storage.limits == {f"volume1/user:{made['user']}": 1 << 30}
    answer = await alice.ask("POST", "/folders", body_of("more"))
    assert (answer.status, answer.json["data"]) == (400, {"max_vfolder_count": 1})
    assert (await alice.ask("DELETE", "/folders/data")).status == 204
    await make(alice, "more")
    restored = await alice.ask("POST", "/folders/restore-from-trash-bin", {"id": made["id"]})
    assert restored.status == 400


async def test_what_the_proxy_refuses_leaves_nothing(
    manager: Manager, alice: Caller, storage: ScriptedStorage
) -> None:
    storage.refusals["/folder/create"] = (400, {"msg": "no such volume", "errno": 22})
    answer = await alice.ask("POST", "/folders", body_of("data"))
    assert (answer.status, answer.slug) == (400, "vfolder-creation-failed")
    assert "no such volume" in answer.body.decode()
    assert await names(alice) == []
    storage.refusals.clear()
    made = await make(alice)

    async def is_alone() -> bool:
        async with manager.stores.database.begin() as connection:
            return list(await connection.scalars(sa.select(t.vfolders.c.id))) == [
                uuid.UUID(made["id"])
            ]

    await until(is_alone)


async def test_a_proxy_that_is_away_is_named_and_the_secret_is_not(
    manager: Manager, alice: Caller, as_user: AsUser, storage: ScriptedStorage
) -> None:
    made = await make(alice)
    await storage.stop()
    answer = await alice.ask("POST", "/folders", body_of("more"))
    assert answer.status == 503
    assert answer.json["title"] == f"The storage host {HOST} does not answer."
    info = await alice.ask("GET", f"/folders/{made['id']}")
    assert (info.status, info.json["numFiles"]) == (200, None)
    hosts = await alice.ask("GET", "/folders/_/hosts")
    assert (hosts.json["allowed"], hosts.json["volume_info"]) == ([HOST], {})
    key = "volumes/proxies/local/secret"
    shown = await as_user("root").ask("POST", "/config/get", {"key": key, "prefix": False})
    below = await as_user("root").ask("POST", "/config/get", {"key": "volumes", "prefix": True})
    assert shown.json == {"result": "***"}
    told = [each.body.decode() for each in (answer, info, hosts, shown, below)]
    assert not [body for body in told if SECRET in body]
    assert SECRET not in repr(manager.stores.proxies.config)


async def test_the_bin_frees_the_name_and_gives_the_folder_back(
    alice: Caller, storage: ScriptedStorage
) -> None:
    old = await make(alice)
    assert (await alice.ask("DELETE", "/folders/data")).status == 204
    assert (await alice.ask("GET", "/folders/data")).status == 404
    assert (await alice.ask("GET", f"/folders/{old['id']}")).json["status"] == "delete-pending"
    assert (await alice.ask("GET", "/folders/_/id", {"name": "data"})).json["id"] == old["id"]
    assert (await alice.ask("DELETE", "/folders", {"id": old["id"]})).status == 204
    used = await alice.ask("POST", f"/folders/{old['id']}/rename", {"new_name": "x"})
    assert (used.status, used.json["data"]) == (409, {"status": "delete-pending"})
    new = await make(alice)
    restore = ("POST", "/folders/restore-from-trash-bin", {"id": old["id"]})
    assert (await alice.ask(*restore)).slug == "vfolder-already-exists"
    assert (await alice.ask("POST", "/folders/data/rename", {"new_name": "new"})).status == 201
    assert (await alice.ask(*restore)).status == 201
    assert (await alice.ask(*restore)).status == 201
    assert await names(alice) == ["data", "new"]
    assert storage.folder(f"user:{new['user']}/{old['id']}").is_dir()


async def purge(caller: Caller, folder_id: str) -> Answer:
    return await caller.ask("POST", "/folders/purge", {"id": folder_id})


async def test_a_purge_deletes_the_files_and_then_the_row(
    manager: Manager, alice: Caller, storage: ScriptedStorage
) -> None:
    made = await make(alice)
    folder = storage.folder(f"user:{made['user']}/{made['id']}")
    (folder / "a.txt").write_text("bytes")
    refused = await purge(alice, made["id"])
    assert (refused.status, refused.json["data"]) == (409, {"status": "ready"})
    await alice.ask("DELETE", "/folders/data")
    storage.hangs.add("/folder/delete")
    first = await purge(alice, made["id"])
    again = await alice.ask("POST", "/folders/delete-from-trash-bin", {"id": made["id"]})
    assert first.status == again.status == 200
    assert first.json == again.json
    assert await status_of(manager, made["id"]) == "deleting"
    assert await names(alice) == []
    # While its files are still there.
    await make(alice)
    storage.release()
    await is_gone(manager, made["id"])
    assert not folder.exists()
    assert (await purge(alice, made["id"])).status == 404


# That a volume is not in the settings of its proxy says nothing of what lies on it.
NO_VOLUME = {"type": "https://api.backend.ai/probs/storage/volume-not-found", "title": "No volume"}


@pytest.mark.parametrize(
    "refusal", [(500, {"msg": "the disk is on fire"}), (404, NO_VOLUME)], ids=["fails", "no-volume"]
)
async def test_a_purge_that_a_proxy_refuses_is_begun_again_later(
    manager: Manager, alice: Caller, storage: ScriptedStorage, refusal: tuple[int, Any]
) -> None:
    made = await make(alice)
    await alice.ask("DELETE", "/folders/data")
    storage.refusals["/folder/delete"] = refusal
    task = (await purge(alice, made["id"])).json["bgtask_id"]

    async def has_failed() -> bool:
        async with manager.stores.database.begin() as connection:
            found = sa.select(t.tasks.c.status).where(t.tasks.c.id == uuid.UUID(task))
            return bool(await connection.scalar(found) == "failed")

    await until(has_failed)
    storage.refusals.clear()
    await long_ago(manager, made["id"])
    await manager.services.vfolders.watch.step()
    # It was tried a moment ago, and its owner need not see a task of each look.
    assert len((await alice.ask("GET", "/background-tasks")).json["items"]) == 1
    async with manager.stores.database.begin() as connection:
        ended_at = sa.text("now() - interval '1 hour'")
        await connection.execute(sa.update(t.tasks).values(ended_at=ended_at))
    await manager.services.vfolders.watch.step()
    await is_gone(manager, made["id"])


async def test_what_a_host_that_is_no_more_had_is_abandoned_by_a_superadmin(
    manager: Manager, alice: Caller, as_user: AsUser, storage: ScriptedStorage
) -> None:
    made, root = await make(alice), as_user("root")
    await alice.ask("DELETE", "/folders/data")
    storage.refusals["/folder/delete"] = (500, {"msg": "the disk is on fire"})
    assert (await purge(alice, made["id"])).status == 200
    one = {"id": made["id"]}
    assert (await root.ask("POST", "/folders/_/abandon", one)).status == 409
    async with manager.stores.database.begin() as connection:
        await connection.execute(sa.update(t.vfolders).values(host="far:volume1"))
        await connection.execute(sa.update(t.tasks).values(ended_at=None, status="pending"))

    async def told() -> str:
        return (await alice.ask("GET", "/background-tasks")).body.decode()

    async def has_said_so() -> bool:
        return "far:volume1 is not configured any more" in await told()

    await until(has_said_so)
    await long_ago(manager, made["id"])
    async with manager.stores.database.begin() as connection:
        await connection.execute(sa.delete(t.tasks))
    await manager.services.vfolders.watch.step()
    assert "vfolder.purge" not in await told()
    deleting = await root.ask("GET", "/folders", {"all": True, "deleting": True})
    assert [each["id"] for each in deleting.json] == [made["id"]]
    listed = await run_inside(manager, "vfolder", "list", "--all", "--deleting")
    assert "far:volume1" in listed.stdout
    done = await run_inside(manager, "vfolder", "abandon", made["id"], "--yes")
    assert (done.returncode, done.stdout) == (0, f"{made['id']}\n")
    assert await status_of(manager, made["id"]) is None
    assert (await root.ask("POST", "/folders/_/abandon", one)).status == 404
    # On one that is there it takes force, and nothing but what is being deleted is abandoned.
    other = {"id": (await make(alice))["id"], "force": True}
    assert (await root.ask("POST", "/folders/_/abandon", other)).status == 409
    await alice.ask("DELETE", "/folders/data")
    await purge(alice, other["id"])
    assert (await root.ask("POST", "/folders/_/abandon", other)).status == 200


async def test_another_manager_goes_on_with_a_copy(
    manager: Manager, alice: Caller, storage: ScriptedStorage
) -> None:
    made = await make(alice, cloneable=True)
    copies = []
    for is_copied in (True, False):
        storage.hangs.add("/folder/clone")
        name = f"copy-{is_copied}"
        copy = (await alice.ask("POST", "/folders/data/clone", {"target_name": name})).json

        async def is_asked() -> bool:
            return storage.asked[-1][1] == "/folder/clone"

        await until(is_asked)
        copies.append(copy["id"])
        # The first copy is whole by then, which nobody was told.
        place = storage.folder(f"user:{made['user']}/{copy['id']}")
        if is_copied:
            place.mkdir()
            (place / "whole").write_text("whole")
        async with manager.stores.database.begin() as connection:
            left = {"status": "pending", "holder": None}
            is_it = t.tasks.c.id == uuid.UUID(copy["bgtask_id"])
            await connection.execute(sa.update(t.tasks).where(is_it).values(left))
        storage.release()

        async def is_ready() -> bool:
            return await status_of(manager, copies[-1]) == "ready"

        await until(is_ready)
        assert (place / "whole").exists() is is_copied


async def long_ago(manager: Manager, folder_id: str, **values: Any) -> None:
    at = sa.text("now() - interval '1 hour'")
    async with manager.stores.database.begin() as connection:
        wanted = t.vfolders.c.id == uuid.UUID(folder_id)
        changed = sa.update(t.vfolders).where(wanted).values(status_changed_at=at, **values)
        await connection.execute(changed)


async def test_what_a_manager_left_half_made_is_deleted(
    manager: Manager, alice: Caller, storage: ScriptedStorage
) -> None:
    for status in ("performing", "cloning"):
        made = await make(alice)
        await long_ago(manager, made["id"], status=status)
        await manager.services.vfolders.watch.step()
        await long_ago(manager, made["id"])
        await manager.services.vfolders.watch.step()
        await is_gone(manager, made["id"])
        assert not storage.folder(f"user:{made['user']}/{made['id']}").exists()


async def test_a_folder_that_a_live_session_mounts_is_not_purged(
    manager: Manager,
    alice: Caller,
    storage: ScriptedStorage,
    agent: object,
    create: Callable[..., Any],
    name: str,
) -> None:
    made = await make(alice)
    session = await create(alice, name, config={"mounts": ["data"]})
    assert (await alice.ask("DELETE", "/folders/data")).status == 204
    refused = await purge(alice, made["id"])
    assert refused.status == 409
    assert refused.json["data"] == {"sessions": [session["sessionId"]]}
    assert name in refused.body.decode()
    assert (await alice.ask("DELETE", f"/session/{name}")).status == 200

    async def is_purged() -> bool:
        return (await purge(alice, made["id"])).status == 200

    await until(is_purged)
    await is_gone(manager, made["id"])
    async with manager.stores.database.begin() as connection:
        [kept] = (await connection.execute(sa.select(t.session_mounts))).all()
    assert (kept.name, kept.vfolder_id) == ("data", None)


async def test_a_folder_is_copied_where_its_owner_allows_it(
    manager: Manager, alice: Caller, storage: ScriptedStorage
) -> None:
    made = await make(alice)
    (storage.folder(f"user:{made['user']}/{made['id']}") / "a.txt").write_text("bytes")
    wanted = {"target_name": "copy", "target_host": HOST, "usage_mode": "data", "permission": "ro"}
    refused = await alice.ask("POST", "/folders/data/clone", wanted)
    assert refused.status == 403
    options = {"cloneable": True, "permission": None}
    assert (await alice.ask("POST", "/folders/data/update-options", options)).status == 201
    away = await alice.ask("POST", "/folders/data/clone", {**wanted, "target_host": "far:v"})
    assert away.status == 400
    storage.hangs.add("/folder/clone")
    copy = (await alice.ask("POST", "/folders/data/clone", wanted)).json
    assert (copy["status"], copy["usage_mode"]) == ("cloning", "data")
    assert (await alice.ask("DELETE", "/folders/data")).status == 204
    assert (await purge(alice, made["id"])).status == 409
    halfway = await purge(alice, copy["id"])
    assert (halfway.status, halfway.json["data"]) == (409, {"status": "cloning"})
    storage.release()

    async def is_done() -> bool:
        return await status_of(manager, copy["id"]) == "ready"

    await until(is_done)
    assert (storage.folder(f"user:{copy['user']}/{copy['id']}") / "a.txt").read_text() == "bytes"


async def test_a_copy_that_fails_leaves_nothing_but_its_task(
    manager: Manager, alice: Caller, storage: ScriptedStorage
) -> None:
    await make(alice, cloneable=True)
    storage.refusals["/folder/clone"] = (507, {"msg": "no space left"})
    copy = (await alice.ask("POST", "/folders/data/clone", {"target_name": "copy"})).json
    await is_gone(manager, copy["id"])
    [task, *_] = (await alice.ask("GET", "/background-tasks")).json["items"][::-1]
    assert (task["task_id"], task["status"]) == (copy["bgtask_id"], "failed")
    assert "no space left" in task["message"]


async def test_a_project_has_folders_for_its_members(
    as_user: AsUser, alice: Caller, storage: ScriptedStorage
) -> None:
    made = await make(as_user("carol"), group="default", permission="ro")
    assert (made["ownership_type"], made["user"]) == ("group", None)
    assert made["quota_scope_id"] == f"project:{made['group']}"
    [item] = (await alice.ask("GET", "/folders", {"all": False})).json
    assert (item["is_owner"], item["permission"], item["group_name"]) == (False, "ro", "default")
    rename = await alice.ask("POST", "/folders/data/rename", {"new_name": "x"})
    assert rename.status == 403
    answer = await alice.ask("POST", "/folders/data/mkdir", {"path": "a"})
    assert answer.status == 403
    refused = await as_user("carol").ask("POST", "/folders", body_of(".local", group="default"))
    assert "dot" in refused.json["data"]["name"]
    assert (await as_user("mallory").ask("GET", f"/folders/{made['id']}")).status == 404


async def test_a_share_gives_what_it_says(
    manager: Manager, as_user: AsUser, alice: Caller, storage: ScriptedStorage
) -> None:
    made, bob = await make(alice), as_user("bob")
    await share(manager, made["id"], "bob", "ro")
    [item] = (await bob.ask("GET", "/folders", {"all": False})).json
    assert (item["is_owner"], item["permission"]) == (False, "ro")
    assert (await bob.ask("GET", "/folders/data/files", {"path": "."})).status == 200
    assert (await bob.ask("POST", "/folders/data/mkdir", {"path": "a"})).status == 403
    assert (await bob.ask("DELETE", "/folders/data")).status == 403
    # One's own folder of that name comes first.
    own = await make(bob)
    assert (await bob.ask("GET", "/folders/_/id", {"name": "data"})).json["id"] == own["id"]


async def test_administrators_manage_what_they_do_not_read(
    as_user: AsUser, alice: Caller, storage: ScriptedStorage
) -> None:
    made, carol = await make(alice), as_user("carol")
    assert await names(carol) == []
    assert await names(carol, is_all=True) == ["data"]
    path = f"/folders/{made['id']}"
    assert (await carol.ask("GET", path)).json["is_owner"] is False
    assert (await carol.ask("GET", f"{path}/files", {"path": "."})).status == 403
    assert (await carol.ask("POST", f"{path}/request-download", {"path": "a"})).status == 403
    assert (await carol.ask("DELETE", "/folders", {"id": made["id"]})).status == 204
    assert (await alice.ask("GET", "/folders", {"all": True})).status == 403
    assert await names(as_user("mallory"), is_all=True) == []


async def test_a_folder_is_handed_on_to_another_user(
    manager: Manager, as_user: AsUser, alice: Caller, storage: ScriptedStorage
) -> None:
    made, bob, root = await make(alice), as_user("bob"), as_user("root")
    await share(manager, made["id"], "bob", "ro")
    path = "/folders/_/change-ownership"
    nobody = {"vfolder": made["id"], "user_email": "nobody@example.com"}
    assert (await root.ask("POST", path, nobody)).status == 404
    to_bob = {"vfolder": made["id"], "user_email": "bob@example.com"}
    for _ in range(2):
        answer = await root.ask("POST", path, to_bob)
        assert (answer.status, answer.json) == (200, {})
    assert await names(alice) == []
    [item] = (await bob.ask("GET", "/folders", {"all": False})).json
    assert (item["is_owner"], item["permission"]) == (True, "wd")
    assert item["quota_scope_id"] == made["quota_scope_id"]
    info = (await bob.ask("GET", f"/folders/{made['id']}")).json
    assert (info["is_owner"], info["counts_for_owner"]) == (True, False)
    told = (await run_inside(manager, "vfolder", "info", made["id"], name="bob")).stdout
    assert "counts for whom it was made" in told


async def test_usage_and_quota_are_asked_of_the_proxy(
    as_user: AsUser, alice: Caller, storage: ScriptedStorage
) -> None:
    made, root = await make(alice), as_user("root")
    (storage.folder(f"user:{made['user']}/{made['id']}") / "a.txt").write_text("bytes")
    asked = f"?folder_host={HOST}&id={made['id']}"
    usage = await root.ask("GET", f"/folders/_/usage{asked}")
    assert usage.json == {"file_count": 1, "used_bytes": 5}
    assert (await root.ask("GET", f"/folders/_/used-bytes{asked}")).json == {"used_bytes": 5}
    assert (await alice.ask("GET", f"/folders/_/quota{asked}")).json == {"size_bytes": -1}
    wanted = {"folder_host": HOST, "id": made["id"], "input": {"size_bytes": 4096}}
    carol = as_user("carol")
    assert (await carol.ask("POST", "/folders/_/quota", wanted)).json == {"size_bytes": 4096}
    assert (await alice.ask("GET", f"/folders/_/quota{asked}")).json == {"size_bytes": 4096}
    elsewhere = f"?folder_host=local:volume2&id={made['id']}"
    assert (await alice.ask("GET", f"/folders/_/quota{elsewhere}")).status == 400


async def test_the_limit_is_told_to_whom_the_files_count_for(
    manager: Manager, as_user: AsUser, alice: Caller, storage: ScriptedStorage
) -> None:
    made, bob = await make(alice), as_user("bob")
    ours = await make(as_user("carol"), "ours", group="default")
    await share(manager, made["id"], "bob", "rw")
    refused = await bob.ask("GET", f"/folders/_/quota?id={made['id']}")
    assert (refused.status, "administrators" in refused.body.decode()) == (403, True)
    assert (await bob.ask("GET", f"/folders/_/quota?id={ours['id']}")).json == {"size_bytes": -1}
    for name in ("carol", "root"):
        answer = await as_user(name).ask("GET", f"/folders/_/quota?id={made['id']}")
        assert answer.json == {"size_bytes": -1}


async def test_the_quota_of_another_domain_stays_though_a_folder_came_from_there(
    as_user: AsUser, alice: Caller, storage: ScriptedStorage
) -> None:
    """A folder that was handed on lies, and counts, where it was made."""
    made, root = await make(alice), as_user("root")
    to_other = {"vfolder": made["id"], "user_email": "mallory@example.com"}
    answer = await root.ask("POST", "/folders/_/change-ownership", to_other)
    assert answer.status == 200, answer.body
    limits = dict(storage.limits)
    wanted = {"id": made["id"], "input": {"size_bytes": 1}}
    refused = await as_user("mallory").ask("POST", "/folders/_/quota", wanted)
    assert refused.status == 403, refused.body
    assert storage.limits == limits
    assert (await root.ask("POST", "/folders/_/quota", wanted)).status == 200


async def test_every_change_is_in_the_audit_log(
    manager: Manager, alice: Caller, storage: ScriptedStorage
) -> None:
    made = await make(alice)
    await alice.ask("POST", "/folders/data/rename", {"new_name": "new"})
    await alice.ask("POST", "/folders/new/mkdir", {"path": "a"})
    await alice.ask("POST", "/folders/new/request-upload", {"path": "b", "size": 5})
    await alice.ask("DELETE", "/folders/new")
    await purge(alice, made["id"])
    await is_gone(manager, made["id"])
    async with manager.stores.database.begin() as connection:
        log = t.audit_log.c
        plain = str(uuid.UUID(made["id"]))
        found = await connection.scalars(
            sa.select(log.action).where(log.target_id == plain).order_by(log.id)
        )
    assert list(found) == [
        "vfolder.create",
        "vfolder.modify",
        "vfolder.modify_files",
        "vfolder.upload",
        "vfolder.delete",
        "vfolder.purge",
    ]


async def test_the_folders_of_a_purged_user_are_deleted_unless_others_use_them(
    manager: Manager, as_user: AsUser, alice: Caller, storage: ScriptedStorage
) -> None:
    made, root, email = await make(alice), as_user("root"), "leaver@example.com"
    create = (
        "mutation($email: String!, $props: UserInput!) {"
        " create_user(email: $email, props: $props) { ok msg } }"
    )
    props = {"username": "leaver", "password": "password of leaver", "domain_name": "default"}
    told = await root.graph(create, email=email, props=props)
    assert told["data"]["create_user"]["ok"], told
    to_leaver = {"vfolder": made["id"], "user_email": email}
    assert (await root.ask("POST", "/folders/_/change-ownership", to_leaver)).status == 200
    await share(manager, made["id"], "bob", "ro")
    purge_user = (
        "mutation($email: String!, $props: PurgeUserInput!) {"
        " purge_user(email: $email, props: $props) { ok msg } }"
    )
    told = await root.graph(purge_user, email=email, props={"purge_shared_vfolders": False})
    assert told["data"]["purge_user"]["ok"] is False
    assert "data" in told["data"]["purge_user"]["msg"]
    told = await root.graph(purge_user, email=email, props={"purge_shared_vfolders": True})
    assert told["data"]["purge_user"]["ok"], told
    assert await status_of(manager, made["id"]) == "deleting"
    await long_ago(manager, made["id"])
    await manager.services.vfolders.watch.step()
    await is_gone(manager, made["id"])
    assert not storage.folder(f"{made['quota_scope_id']}/{made['id']}").exists()
