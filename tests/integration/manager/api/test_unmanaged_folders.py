"""Folders that are directories of nodes: who makes them, and what is done with them."""

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.common.contracts.agent import FolderMount
from backendai.manager.app import Manager
from backendai.manager.db import tables as t
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.command import run_inside
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.storage import (
    HOST,
    ScriptedStorage,
    allow,
    body_of,
    make,
    storage,
)
from tests.integration.manager.api.strangers import refuse_strangers
from tests.integration.manager.api.test_mounts import ask, mounting, mounts_of
from tests.integration.manager.api.test_vfolder_files import FILES
from tests.integration.manager.api.test_vfolders import is_gone, names, share

__all__ = ["storage"]

AsUser = Callable[[str], Caller]
Create = Callable[..., Awaitable[dict[str, Any]]]
PATH = "/mnt/corpus"


@pytest.fixture
def root(as_user: AsUser) -> Caller:
    return as_user("root")


async def make_free(caller: Caller, name: str = "corpus", **more: Any) -> dict[str, Any]:
    return await make(caller, name, **{"host": None, "unmanaged_path": PATH, **more})


async def test_strangers_make_none(alice: Caller, storage: ScriptedStorage) -> None:
    await refuse_strangers(
        alice, ("POST", "/folders", body_of("x", host=None, unmanaged_path=PATH))
    )


@pytest.mark.parametrize("name", ["alice", "carol"])
@pytest.mark.parametrize("place", [{"host": None, "unmanaged_path": PATH}, {"host": PATH}])
async def test_only_superadmins_make_them(
    as_user: AsUser, storage: ScriptedStorage, name: str, place: dict[str, Any]
) -> None:
    caller = as_user(name)
    answer = await caller.ask("POST", "/folders", body_of("corpus", **place))
    assert (answer.status, answer.slug) == (403, "insufficient-privilege")
    assert "Only superadmins" in answer.body.decode()
    assert await names(caller) == []


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"unmanaged_path": "/"}, "whole node"),
        ({"unmanaged_path": "/etc/ssh"}, "kept for the system"),
        ({"unmanaged_path": "//var/lib/docker"}, "kept for the system"),
        ({"unmanaged_path": "/mnt/../etc"}, "leads upwards"),
        ({"unmanaged_path": "mnt/corpus"}, "not absolute"),
        ({"unmanaged_path": "/mnt/a\nb"}, "cannot be printed"),
        ({"unmanaged_path": PATH, "host": HOST}, "on no host"),
        ({"host": "/etc"}, "kept for the system"),
    ],
)
async def test_what_is_no_directory_to_use_is_refused(
    root: Caller, storage: ScriptedStorage, more: dict[str, Any], word: str
) -> None:
    answer = await root.ask("POST", "/folders", body_of("corpus", **{"host": None, **more}))
    assert answer.status == 400, answer.body
    assert word in answer.body.decode()
    assert await names(root) == []


async def test_it_is_made_shown_changed_and_deleted_without_a_proxy(
    manager: Manager, root: Caller, storage: ScriptedStorage
) -> None:
    made = await make_free(root, unmanaged_path="//mnt/corpus/", permission="ro")
    assert (made["host"], made["unmanaged_path"], made["status"]) == ("", PATH, "ready")
    [item] = (await root.ask("GET", "/folders")).json
    assert (item["host"], item["unmanaged_path"]) == ("", PATH)
    info = (await root.ask("GET", "/folders/corpus")).json
    assert (info["unmanaged_path"], info["numFiles"], info["permission"]) == (PATH, None, "wd")
    query = "{ vfolder_list(limit: 9, offset: 0) { items { host unmanaged_path cur_size } } }"
    shown = (await root.graph(query))["data"]["vfolder_list"]["items"]
    assert shown == [{"host": "", "unmanaged_path": PATH, "cur_size": None}]
    renamed = await root.ask("POST", "/folders/corpus/rename", {"new_name": "texts"})
    assert renamed.status == 201
    assert (await root.ask("DELETE", "/folders/texts")).status == 204
    one = {"id": made["id"]}
    assert (await root.ask("POST", "/folders/restore-from-trash-bin", one)).status == 201
    assert (await root.ask("DELETE", "/folders/texts")).status == 204
    assert (await root.ask("POST", "/folders/purge", one)).json["bgtask_id"]
    await is_gone(manager, made["id"])
    tasks = (await root.ask("GET", "/background-tasks")).body.decode()
    assert f"{PATH} stays as it is" in tasks
    assert not storage.orders


async def test_the_watch_ends_what_was_left_and_so_does_a_superadmin(
    manager: Manager, root: Caller, storage: ScriptedStorage
) -> None:
    first, second = [await make_free(root, name) for name in ("first", "second")]
    at = sa.text("now() - interval '1 hour'")
    async with manager.stores.database.begin() as connection:
        left = {"status": "deleting", "status_changed_at": at}
        await connection.execute(sa.update(t.vfolders).values(left))
    abandoned = await root.ask("POST", "/folders/_/abandon", {"id": first["id"]})
    assert abandoned.status == 200, abandoned.body
    await is_gone(manager, first["id"])
    await manager.services.vfolders.watch.step()
    await is_gone(manager, second["id"])
    assert not storage.orders


async def test_its_files_are_no_proxys(root: Caller, storage: ScriptedStorage) -> None:
    made = await make_free(root, cloneable=True)
    one = made["id"]
    asked: list[tuple[str, str, Any]] = [
        *((verb, f"/folders/corpus/{word}", body) for verb, word, body in FILES),
        ("POST", "/folders/corpus/clone", {"target_name": "copy"}),
        ("GET", f"/folders/_/quota?id={one}", None),
        ("POST", "/folders/_/quota", {"id": one, "input": {"size_bytes": 1}}),
        ("GET", f"/folders/_/usage?id={one}", None),
        ("GET", f"/folders/_/used-bytes?id={one}", None),
    ]
    for route in asked:
        answer = await root.ask(*route)
        assert (answer.status, answer.slug) == (400, "generic-bad-request"), (route, answer.body)
        assert "not kept by a storage proxy" in answer.json["title"], route
        assert answer.json["data"] == {"unmanaged_path": PATH}
    assert not storage.orders


async def test_it_is_shared_and_handed_on_as_others_are(
    manager: Manager, root: Caller, alice: Caller, as_user: AsUser, storage: ScriptedStorage
) -> None:
    # No host has to allow anything: a superadmin has already.
    await allow(manager, {})
    made = await make_free(root)
    assert (await alice.ask("GET", f"/folders/{made['id']}")).status == 404
    handed = {"vfolder": made["id"], "user_email": "alice@example.com"}
    assert (await root.ask("POST", "/folders/_/change-ownership", handed)).status == 200
    body = {"perm": "ro", "user_ids": ["bob@example.com"]}
    invited = await alice.ask("POST", "/folders/corpus/invite", body)
    assert invited.status == 201, invited.body
    bob = as_user("bob")
    [sent] = (await bob.ask("GET", "/folders/invitations/list")).json["invitations"]
    accepted = await bob.ask("POST", "/folders/invitations/accept", {"inv_id": sent["id"]})
    assert accepted.status == 200
    info = (await bob.ask("GET", "/folders/corpus")).json
    assert (info["permission"], info["unmanaged_path"]) == ("ro", PATH)
    # Whoever has a share reads no files of it through here, and is told the same.
    files = await bob.ask("GET", "/folders/corpus/files", {"path": "."})
    assert (files.status, files.slug) == (400, "generic-bad-request")
    upload = await bob.ask("POST", "/folders/corpus/request-upload", {"path": "a", "size": 1})
    assert upload.status == 403
    assert (await bob.ask("DELETE", "/folders/corpus")).status == 403


async def test_a_project_may_have_one(
    root: Caller, alice: Caller, storage: ScriptedStorage
) -> None:
    made = await make_free(root, group="default", permission="ro")
    assert made["ownership_type"] == "group"
    assert (await alice.ask("GET", "/folders/corpus")).json["permission"] == "ro"


async def test_nodes_are_told_the_directory(
    manager: Manager,
    root: Caller,
    alice: Caller,
    agent: ScriptedAgent,
    storage: ScriptedStorage,
    create: Create,
    name: str,
) -> None:
    made = await make_free(root, group="default", permission="ro")
    await make(alice)
    storage.asked.clear()
    session = await create(alice, name, **mounting("corpus/en", "data"))
    first, second = await mounts_of(agent, session["sessionId"])
    assert first == FolderMount(
        name="corpus",
        volume="",
        volume_id="",
        volume_path="",
        path=PATH,
        target="/home/work/corpus",
        subpath="en",
        read_only=True,
    )
    assert (second.volume, second.read_only) == (HOST, False)
    # The proxy is asked for its own alone.
    assert {body["vfid"].partition("/")[2] for body in storage.asked_for("/folder/mount")} == {
        (await alice.ask("GET", "/folders/data")).json["id"]
    }
    [shown, _] = (await alice.ask("GET", f"/session/{name}")).json["mounts"]
    assert (shown["vfolder_id"], shown["permission"]) == (made["id"], "ro")
    assert (await root.ask("DELETE", f"/folders/{made['id']}")).status == 204
    refused = await root.ask("POST", "/folders/purge", {"id": made["id"]})
    assert (refused.status, refused.json["data"]) == (409, {"sessions": [session["sessionId"]]})
    assert (await alice.ask("DELETE", f"/session/{name}")).status == 200


async def test_a_share_to_read_is_not_mounted_to_write(
    manager: Manager, root: Caller, alice: Caller, storage: ScriptedStorage, name: str
) -> None:
    made = await make_free(root)
    await share(manager, made["id"], "alice", "ro")
    wanted = {"mounts": ["corpus"], "mount_options": {"corpus": {"permission": "rw"}}}
    answer = await ask(alice, name, **wanted)
    assert (answer.status, answer.slug) == (403, "generic-forbidden")
    assert "yours is ro" in answer.body.decode()


async def test_the_command_makes_and_shows_them(
    manager: Manager, root: Caller, storage: ScriptedStorage
) -> None:
    words = ("vfolder", "create", "corpus", "--unmanaged", PATH, "--permission", "ro")
    refused = await run_inside(manager, *words, name="alice")
    assert refused.returncode != 0
    assert "Only superadmins" in refused.stderr
    done = await run_inside(manager, *words)
    assert uuid.UUID(done.stdout.strip()), done.stderr
    assert PATH in (await run_inside(manager, "vfolder", "list")).stdout
    info = await run_inside(manager, "vfolder", "info", "corpus", "--output", "json")
    assert json.loads(info.stdout)["unmanaged_path"] == PATH
    listed = await run_inside(manager, "vfolder", "ls", "corpus")
    assert listed.returncode != 0
    assert "not kept by a storage proxy" in listed.stderr
