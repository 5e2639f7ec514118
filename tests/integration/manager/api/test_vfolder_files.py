"""Files of folders and storage hosts through REST: who may, and what proxies are asked."""

import json
import uuid
from collections.abc import Callable
from typing import Any

from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.storage import (
    CLIENT_API,
    HOST,
    ScriptedStorage,
    allow,
    make,
    storage,
)
from tests.integration.manager.api.strangers import refuse_role, refuse_strangers

__all__ = ["storage"]

AsUser = Callable[[str], Caller]
UNKNOWN = uuid.UUID(int=1).hex
FILES: list[tuple[str, str, Any]] = [
    ("POST", "mkdir", {"path": "a"}),
    ("POST", "rename-file", {"target_path": "a", "new_name": "b"}),
    ("POST", "rename_file", {"target_path": "a", "new_name": "b"}),
    ("POST", "move-file", {"src": "a", "dst": "b"}),
    ("POST", "copy-file", {"src": "a", "dst": "b"}),
    ("DELETE", "delete-files", {"files": ["a"], "recursive": True}),
    ("DELETE", "delete_files", {"files": ["a"], "recursive": True}),
    ("GET", "files", {"path": "."}),
    ("POST", "request-upload", {"path": "a", "size": 1}),
    ("POST", "request-extract", {"path": "a.zip"}),
    ("POST", "request-download", {"path": "a"}),
    ("POST", "request-download", {"files": ["a", "b"]}),
]
MOUNT = {"name": "n1", "fs_location": "nfs:/x", "options": None, "edit_fstab": False}
HOSTS: list[tuple[str, str, Any]] = [
    ("GET", "/folders/_/hosts", None),
    ("GET", "/folders/_/allowed_types", None),
    ("GET", "/folders/_/allowed-types", None),
]
FOR_SUPERADMINS: list[tuple[str, str, Any]] = [
    ("GET", "/folders/_/all_hosts", None),
    ("GET", "/folders/_/all-hosts", None),
    ("GET", f"/folders/_/perf-metric?folder_host={HOST}", None),
    ("GET", "/folders/_/fstab", {"agent_id": None}),
    ("GET", "/folders/_/mounts", None),
    ("POST", "/folders/_/mounts", MOUNT),
    ("DELETE", "/folders/_/mounts", {"name": "n1", "edit_fstab": False}),
]


async def test_strangers_are_refused(alice: Caller, as_user: AsUser) -> None:
    for verb, word, body in FILES:
        route = (verb, f"/folders/{UNKNOWN}/{word}", body)
        await refuse_strangers(alice, route)
        if verb != "GET" and word != "request-download":
            await refuse_role(as_user("eve"), route)
    for route in HOSTS + FOR_SUPERADMINS:
        await refuse_strangers(alice, route)
    for route in FOR_SUPERADMINS:
        await refuse_role(as_user("carol"), route)


async def test_files_of_somebody_elses_folder_are_not_there(
    as_user: AsUser, alice: Caller, storage: ScriptedStorage
) -> None:
    made = await make(alice)
    storage.asked.clear()
    for verb, word, body in FILES:
        for reference in (made["id"], "data"):
            answer = await as_user("bob").ask(verb, f"/folders/{reference}/{word}", body)
            assert (answer.status, answer.slug) == (404, "object-not-found"), word
        answer = await as_user("carol").ask(verb, f"/folders/{made['id']}/{word}", body)
        assert answer.status == 403, word
    assert not storage.orders


async def test_files_are_made_listed_renamed_moved_and_deleted(
    alice: Caller, storage: ScriptedStorage
) -> None:
    made = await make(alice)

    async def ask(verb: str, word: str, body: Any, status: int = 200) -> Any:
        answer = await alice.ask(verb, f"/folders/data/{word}", body)
        assert answer.status == status, (word, answer.body)
        return answer.json

    path = {"path": "a/b", "parents": True, "exist_ok": False}
    done = await ask("POST", "mkdir", path, 201)
    assert done == {"results": {"success": [{"item": "a/b", "msg": None}], "failed": []}}
    assert (await ask("POST", "mkdir", path, 409))["data"]["errno"] == 17
    several = await ask("POST", "mkdir", {**path, "path": ["a/b", "c"]}, 207)
    assert [one["item"] for one in several["results"]["failed"]] == ["a/b"]
    (storage.folder(f"user:{made['user']}/{made['id']}") / "f.txt").write_text("bytes")
    await ask("POST", "rename-file", {"target_path": "f.txt", "new_name": "g.txt"})
    await ask("POST", "move-file", {"src": "g.txt", "dst": "a/g.txt"})
    listed = await ask("GET", "files", {"path": "a"})
    by_name = {one["name"]: one for one in listed["items"]}
    assert (by_name["g.txt"]["type"], by_name["g.txt"]["size"]) == ("FILE", 5)
    assert by_name["b"]["type"] == "DIRECTORY"
    [directory, file] = json.loads(listed["files"])
    assert directory["mode"].startswith("d")
    assert (file["filename"], file["size"], file["atime"]) == ("g.txt", 5, 0)
    assert isinstance(file["mtime"], float)
    await ask("POST", "copy-file", {"src": "a", "dst": "copy"})
    await ask("POST", "copy-file", {"src": "a", "dst": "copy"}, 409)
    await ask("DELETE", "delete-files", {"files": ["copy"], "recursive": True})
    query = await alice.ask("GET", f"/folders/{made['id']}/files?path=a")
    assert query.json == listed
    assert (await ask("GET", "files", {"path": "nowhere"}, 404))["data"]["errno"] == 2
    await ask("DELETE", "delete-files", {"files": ["a"], "recursive": False}, 400)
    await ask("DELETE", "delete-files", {"files": ["a", "c"], "recursive": True})
    assert (await ask("GET", "files", {"path": "."}))["items"] == []


async def test_uploads_and_downloads_begin_with_a_ticket_of_the_proxy(
    manager: Manager, alice: Caller, storage: ScriptedStorage
) -> None:
    await make(alice)
    upload = ("POST", "/folders/data/request-upload", {"path": "a", "size": 0})
    download = ("POST", "/folders/data/request-download", {"file": "a", "archive": True})
    sent = (await alice.ask(*upload)).json
    assert sent == {"token": "token-for-a", "url": f"{CLIENT_API}/upload"}
    fetched = (await alice.ask(*download)).json
    assert fetched == {"token": "token-for-a", "url": f"{CLIENT_API}/download"}
    assert storage.asked_for("/folder/file/download")[0]["archive"] is True
    storage.refusals["/folder/file/upload"] = (507, {"msg": "the quota is used up"})
    full = await alice.ask(*upload)
    assert (full.status, full.json["msg"]) == (412, "the quota is used up")
    nothing = await alice.ask("POST", "/folders/data/request-download", {"archive": False})
    assert nothing.status == 400
    # Each needs its permission on the host, and a full folder can still be cleaned up.
    await allow(manager, {HOST: ["download-file"]})
    assert (await alice.ask(*upload)).status == 403
    assert (await alice.ask(*download)).status == 200
    await allow(manager, {HOST: ["upload-file"]})
    refused = await alice.ask(*download)
    assert refused.status == 403
    assert refused.json["data"]["permission"] == "download-file"
    gone = await alice.ask("DELETE", "/folders/data/delete-files", {"files": ["x"]})
    assert gone.json["data"]["errno"] == 2


async def test_selections_and_extractions_begin_with_a_ticket_too(
    manager: Manager, alice: Caller, storage: ScriptedStorage
) -> None:
    await make(alice)
    selection = ("POST", "/folders/data/request-download", {"path": "d", "files": ["a", "b"]})
    extraction = ("POST", "/folders/data/request-extract", {"path": "a.zip", "remove": True})
    fetched = (await alice.ask(*selection)).json
    assert fetched == {"token": "token-for-d", "url": f"{CLIENT_API}/download"}
    [asked] = storage.asked_for("/folder/file/download")
    assert (asked["archive"], asked["selection"]) == (True, ["a", "b"])
    unpacked = (await alice.ask(*extraction)).json
    assert unpacked == {"token": "token-for-a.zip", "url": f"{CLIENT_API}/extract"}
    [asked] = storage.asked_for("/folder/file/extract")
    assert (asked["into"], asked["remove"]) == (".", True)
    await allow(manager, {HOST: ["upload-file"]})
    assert (await alice.ask(*selection)).status == 403
    await allow(manager, {HOST: ["download-file"]})
    assert (await alice.ask(*extraction)).status == 403


async def test_hosts_are_shown_as_far_as_they_are_allowed(
    manager: Manager, as_user: AsUser, alice: Caller, storage: ScriptedStorage
) -> None:
    root = as_user("root")
    shown = (await alice.ask("GET", "/folders/_/hosts")).json
    assert (shown["default"], shown["allowed"]) == (HOST, [HOST])
    assert shown["volume_info"][HOST]["usage"] == {"percentage": 25.0}
    everything = (await root.ask("GET", "/folders/_/all_hosts")).json
    assert everything == {"default": HOST, "allowed": [HOST, "local:volume2"]}
    await allow(manager, {})
    hidden = (await alice.ask("GET", "/folders/_/hosts")).json
    assert hidden == {"default": None, "allowed": [], "volume_info": {}}
    types = await alice.ask("GET", "/folders/_/allowed_types")
    assert types.json == ["user", "group"]
    metric = await root.ask("GET", "/folders/_/perf-metric", {"folder_host": HOST})
    assert set(metric.json["metric"].values()) == {1.5}
    unknown = await root.ask("GET", "/folders/_/perf-metric", {"folder_host": "far:v"})
    assert "local" in unknown.json["data"]["host"]


async def test_mounting_is_left_to_operators_and_says_so(
    as_user: AsUser, storage: ScriptedStorage
) -> None:
    root = as_user("root")
    fstab = (await root.ask("GET", "/folders/_/fstab", {"agent_id": None})).json
    assert (fstab["node"], fstab["content"][0]) == ("manager", "#")
    mounts = (await root.ask("GET", "/folders/_/mounts")).json
    assert mounts["storage-proxy"]["mounts"] == [HOST, "local:volume2"]
    told = (await root.ask("POST", "/folders/_/mounts", MOUNT)).json
    assert told["manager"]["success"] is False
    assert "mounts nothing" in told["manager"]["message"]
