"""Folders in sessions: which are mounted where, what is refused, and what nodes are told."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from backendai.common.contracts.agent import FolderMount, KernelSpec, KernelState
from backendai.manager.app import Manager
from backendai.manager.db import tables as t
from tests.integration.manager.api.caller import Answer, Caller, until
from tests.integration.manager.api.command import run_inside
from tests.integration.manager.api.conftest import body_of
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.storage import HOST, ScriptedStorage, allow, make, storage
from tests.integration.manager.api.test_vfolders import share

__all__ = ["storage"]
Create = Callable[..., Awaitable[dict[str, Any]]]


def mounting(*folders: str, **more: Any) -> dict[str, Any]:
    return {"config": {"mounts": list(folders), **more}}


async def ask(caller: Caller, name: str, **config: Any) -> Answer:
    return await caller.ask("POST", "/session", body_of(name, config=config))


async def mounts_of(agent: ScriptedAgent, session_id: str) -> list[FolderMount]:
    """What the node of the session is told."""
    told: list[KernelSpec] = []

    async def is_told() -> bool:
        specs = [one.spec for one in agent.asked_of("ensure") if one.spec is not None]
        told[:] = [spec for spec in specs if spec.session_id == session_id]
        return bool(told)

    await until(is_told)
    return told[0].mounts


async def test_strangers_mount_nothing(alice: Caller, nobody: Caller, name: str) -> None:
    assert (await ask(nobody, name, mounts=["data"])).status == 401
    wrong = await ask(alice.but(secret_key="wrong"), name, mounts=["data"])
    late = await ask(alice.but(shift=timedelta(minutes=-16)), name, mounts=["data"])
    assert (wrong.status, late.status) == (401, 400)


async def test_somebody_elses_folder_is_not_there(
    alice: Caller, bob: Caller, storage: ScriptedStorage, name: str
) -> None:
    made = await make(alice)
    await make(bob, "own")
    for reference in ("data", made["id"]):
        answer = await ask(bob, name, mounts=[reference])
        assert (answer.status, answer.slug) == (404, "object-not-found")
        assert f"{reference}; you have: own" in answer.body.decode()


async def test_nodes_are_told_what_is_mounted(
    alice: Caller,
    agent: ScriptedAgent,
    storage: ScriptedStorage,
    create: Create,
    manager: Manager,
    name: str,
) -> None:
    data, code, _ = [await make(alice, each) for each in ("data", "code", ".local")]
    vfid = f"{data['quota_scope_id']}/{uuid.UUID(data['id']).hex}"
    (storage.folder(vfid) / "sub").mkdir()
    session = await create(
        alice,
        name,
        config={
            "mounts": ["data/sub"],
            "mount_map": {"data/sub": "/mnt/data", code["id"]: "deep/code"},
            "mount_options": {code["id"]: {"type": "bind", "permission": "ro"}},
        },
    )
    first, second, third = await mounts_of(agent, session["sessionId"])
    assert first == FolderMount(
        name="data",
        volume=HOST,
        volume_id="id-of-volume1",
        volume_path=str(storage.root),
        path=str(storage.folder(vfid)),
        target="/mnt/data",
        subpath="sub",
    )
    assert (second.name, second.target, second.read_only) == ("code", "/home/work/deep/code", True)
    assert (third.name, third.target, third.read_only) == (".local", "/home/work/.local", False)
    query = "query($id: UUID!) { compute_session(id: $id) { mounts vfolder_mounts } }"
    shown = (await alice.graph(query, id=session["sessionId"]))["data"]["compute_session"]
    assert shown["mounts"] == ["data", "code", ".local"]
    assert shown["vfolder_mounts"][0] == str(uuid.UUID(data["id"]))
    query = "query($id: String!) { legacy_compute_session(sess_id: $id) { mounts } }"
    flat = (await alice.graph(query, id=name))["data"]["legacy_compute_session"]
    assert flat["mounts"][0] == ["data", "/mnt/data", "wd"]
    info = (await alice.ask("GET", f"/session/{name}")).json
    assert info["mounts"][0] == {
        "name": "data",
        "vfolder_id": data["id"],
        "host": HOST,
        "subpath": "sub",
        "target": "/mnt/data",
        "permission": "wd",
    }
    assert [mount["permission"] for mount in info["mounts"]] == ["wd", "ro", "wd"]
    told = (await run_inside(manager, "session", "info", name, name="alice")).stdout
    assert f"data/sub at /mnt/data (wd, {data['id']})" in told
    async with manager.stores.database.begin() as connection:
        used = sa.select(t.vfolders.c.last_used_at).where(t.vfolders.c.id == uuid.UUID(data["id"]))
        assert await connection.scalar(used) is not None
    assert (await alice.ask("DELETE", f"/session/{name}")).status == 200


async def test_a_share_to_read_is_mounted_to_read(
    alice: Caller,
    bob: Caller,
    agent: ScriptedAgent,
    storage: ScriptedStorage,
    create: Create,
    manager: Manager,
    name: str,
) -> None:
    made = await make(alice)
    await share(manager, made["id"], "bob", "ro")
    refused = await ask(bob, name, mounts=["data"], mount_options={"data": {"permission": "rw"}})
    assert (refused.status, refused.slug) == (403, "generic-forbidden")
    assert "yours is ro" in refused.body.decode()
    session = await create(bob, name, **mounting("data"))
    [mount] = await mounts_of(agent, session["sessionId"])
    assert mount.read_only
    assert (await bob.ask("DELETE", f"/session/{name}")).status == 200


async def test_dot_folders_of_others_stay_out(
    alice: Caller,
    bob: Caller,
    agent: ScriptedAgent,
    storage: ScriptedStorage,
    create: Create,
    manager: Manager,
    name: str,
) -> None:
    made = await make(alice, ".config")
    await share(manager, made["id"], "bob", "rw")
    session = await create(bob, name)
    assert await mounts_of(agent, session["sessionId"]) == []
    assert (await bob.ask("DELETE", f"/session/{name}")).status == 200


async def test_all_that_is_wrong_is_told_at_once(
    alice: Caller, storage: ScriptedStorage, name: str
) -> None:
    for each in ("data", "code"):
        await make(alice, each)
    answer = await ask(
        alice, name, mounts=["a/../b"], mount_map={"data": "/etc", "code": "/proc/x"}
    )
    assert (answer.status, answer.slug) == (400, "invalid-api-params")
    assert sorted(answer.json["data"]) == [
        "config.mounts.a/../b",
        "config.mounts.code",
        "config.mounts.data",
    ]
    answer = await ask(alice, name, mounts=["none", "nor"])
    assert (answer.status, answer.json["data"]) == (404, {"folders": ["none", "nor"]})
    answer = await ask(alice, name, mounts=["data", "code"], mount_map={"code": "data/code"})
    assert answer.status == 400
    assert "overlaps with /home/work/data" in answer.body.decode()


async def test_what_cannot_be_mounted_now_is_refused(
    alice: Caller, storage: ScriptedStorage, manager: Manager, name: str
) -> None:
    await make(alice)
    answer = await ask(alice, name, mounts=["data/missing"])
    assert answer.status == 404
    assert "missing in folder data" in answer.body.decode()
    storage.refusals["/volumes"] = (503, {})
    answer = await ask(alice, name, mounts=["data"])
    assert answer.status == 503
    assert HOST.partition(":")[0] in answer.body.decode()
    storage.refusals.clear()
    await allow(manager, {HOST: ["create-vfolder"]})
    answer = await ask(alice, name, mounts=["data"])
    assert (answer.status, answer.slug) == (403, "generic-forbidden")
    assert "mount-in-session" in answer.body.decode()
    await allow(manager, {HOST: ["mount-in-session", "delete-vfolder"]})
    assert (await alice.ask("DELETE", "/folders/data")).status == 204
    assert (await ask(alice, name, mounts=["data"])).status == 404


async def test_a_node_that_cannot_mount_says_why_in_the_session(
    alice: Caller, agent: ScriptedAgent, storage: ScriptedStorage, create: Create, name: str
) -> None:
    await make(alice)
    agent.holds = True
    session = await create(alice, name, enqueueOnly=True, **mounting("data"))
    why = "folder data cannot be mounted: No such file or directory"

    async def is_asked() -> bool:
        return any(one.session_id == session["sessionId"] for one in agent.kernels.values())

    await until(is_asked)
    [kernel] = [
        one.kernel_id for one in agent.kernels.values() if one.session_id == session["sessionId"]
    ]
    agent.change(kernel, state=KernelState.FAILED, reason="failed-to-start", detail=why)

    async def is_told() -> bool:
        return why in (await alice.ask("GET", f"/session/{session['sessionId']}/why")).body.decode()

    await until(is_told)
    agent.holds = False
