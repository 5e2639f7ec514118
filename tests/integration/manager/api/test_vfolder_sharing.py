"""Folders come to others: by invitations of their owners, and by administrators of projects."""

import uuid
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from backendai.common.enums import HostPermission
from backendai.manager.app import Manager
from backendai.manager.db import tables as t
from tests.integration.manager.api.caller import Answer, Caller
from tests.integration.manager.api.storage import HOST, ScriptedStorage, allow, make, storage
from tests.integration.manager.api.strangers import refuse_role, refuse_strangers

__all__ = ["storage"]

AsUser = Callable[[str], Caller]
UNKNOWN = uuid.UUID(int=1).hex
EMAIL = "bob@example.com"
ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/folders/invitations/list", None),
    ("GET", "/folders/invitations/list-sent", None),
    ("POST", f"/folders/invitations/update/{UNKNOWN}", {"perm": "ro"}),
    ("POST", "/folders/invitations/accept", {"inv_id": UNKNOWN}),
    ("DELETE", "/folders/invitations/delete", {"inv_id": UNKNOWN}),
    ("GET", "/folders/_/shared", None),
    ("POST", "/folders/_/shared", {"vfolder": UNKNOWN, "user": UNKNOWN, "perm": "ro"}),
    ("POST", f"/folders/{UNKNOWN}/invite", {"perm": "ro", "user_ids": [EMAIL]}),
    ("POST", f"/folders/{UNKNOWN}/leave", {"shared_user_uuid": None}),
]
FOR_ADMINS: list[tuple[str, str, Any]] = [
    ("POST", f"/folders/{UNKNOWN}/share", {"permission": "rw", "emails": [EMAIL]}),
    ("DELETE", f"/folders/{UNKNOWN}/unshare", {"emails": [EMAIL]}),
]


async def invite(caller: Caller, folder: str, *emails: str, perm: str = "ro") -> Answer:
    body = {"perm": perm, "user_ids": list(emails)}
    return await caller.ask("POST", f"/folders/{folder}/invite", body)


async def received(caller: Caller) -> list[dict[str, Any]]:
    answer = await caller.ask("GET", "/folders/invitations/list")
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["invitations"]
    return found


async def invited(alice: Caller, bob: Caller, *, perm: str = "ro") -> tuple[str, str]:
    """The id of a folder of alice's, and of bob's invitation to it."""
    folder: str = (await make(alice))["id"]
    answer = await invite(alice, folder, EMAIL, perm=perm)
    assert (answer.status, answer.json) == (201, {"invited_ids": [EMAIL]}), answer.body
    [one] = await received(bob)
    return folder, one["id"]


async def shared(alice: Caller, bob: Caller, *, perm: str = "ro") -> str:
    """The id of a folder of alice's that bob accepted."""
    folder, invitation = await invited(alice, bob, perm=perm)
    answer = await accept(bob, invitation)
    assert (answer.status, answer.json) == (200, {}), answer.body
    return folder


async def accept(caller: Caller, invitation: str) -> Answer:
    return await caller.ask("POST", "/folders/invitations/accept", {"inv_id": invitation})


async def decline(caller: Caller, invitation: str) -> Answer:
    return await caller.ask("DELETE", "/folders/invitations/delete", {"inv_id": invitation})


async def permission(caller: Caller, folder: str) -> str | None:
    """What the caller may with the files of a folder; None: it is not there."""
    answer = await caller.ask("GET", f"/folders/{folder}")
    return answer.json["permission"] if answer.status == 200 else None


async def user_id(manager: Manager, name: str) -> str:
    async with manager.stores.database.begin() as connection:
        wanted = sa.select(t.users.c.id).where(t.users.c.username == name)
        return str(await connection.scalar(wanted))


async def test_strangers_are_refused(alice: Caller) -> None:
    for route in ROUTES + FOR_ADMINS:
        await refuse_strangers(alice, route)


async def test_roles_that_may_not_are_refused(as_user: AsUser) -> None:
    for route in ROUTES + FOR_ADMINS:
        if route[0] != "GET":
            await refuse_role(as_user("eve"), route)
    for route in FOR_ADMINS:
        await refuse_role(as_user("alice"), route)


async def test_somebody_elses_folder_or_invitation_is_not_there(
    as_user: AsUser, alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    folder, invitation = await invited(alice, bob)
    for name in ("tiny", "mallory", "carol"):
        stranger = as_user(name)
        asked = [
            await accept(stranger, invitation),
            await decline(stranger, invitation),
            await stranger.ask("POST", f"/folders/invitations/update/{invitation}", {"perm": "wd"}),
        ]
        assert [answer.status for answer in asked] == [404] * 3, name
        assert await received(stranger) == []
        wanted = 403 if name == "carol" else 404
        assert (await invite(stranger, folder, EMAIL)).status == wanted
    assert (await bob.ask("GET", f"/folders/{folder}")).status == 404
    share = {"permission": "rw", "emails": [EMAIL]}
    assert (await as_user("mallory").ask("POST", f"/folders/{folder}/share", share)).status == 404
    answer = await as_user("carol").ask("POST", f"/folders/{folder}/share", share)
    assert answer.status == 403


async def test_an_invitation_is_shown_to_both_and_accepted(
    alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    folder, invitation = await invited(alice, bob)
    [one] = await received(bob)
    sent = (await alice.ask("GET", "/folders/invitations/list-sent")).json["invitations"]
    assert sent == [one]
    assert one == {
        "id": invitation,
        "inviter": "alice@example.com",
        "invitee": EMAIL,
        "perm": "ro",
        "state": "pending",
        "created_at": one["created_at"],
        "modified_at": None,
        "vfolder_id": folder,
        "vfolder_name": "data",
    }
    assert await permission(bob, "data") is None
    assert (await accept(bob, invitation)).status == 200
    assert await received(bob) == []
    assert await permission(bob, "data") == "ro"
    mkdir = {"path": "new", "parents": False, "exist_ok": False}
    assert (await bob.ask("POST", "/folders/data/mkdir", mkdir)).status == 403
    assert (await accept(bob, invitation)).status == 409
    assert (await decline(alice, invitation)).status == 409
    # Who has a share does not hand it on, and is not invited again.
    assert (await invite(bob, folder, "tiny@example.com")).status == 403
    assert (await invite(alice, folder, EMAIL)).json == {"invited_ids": []}


async def test_what_is_accepted_is_in_the_audit_log(
    manager: Manager, alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    folder = await shared(alice, bob)
    of = t.audit_log.c
    wanted = sa.select(of.action, of.email, of.target_kind, of.domain_name).order_by(of.id.desc())
    async with manager.stores.database.begin() as connection:
        rows = [tuple(row) for row in await connection.execute(wanted.limit(3))]
    assert rows == [
        ("vfolder.accept", EMAIL, "vfolder_invitation", "default"),
        ("vfolder.accept", EMAIL, "vfolder_permission", "default"),
        ("vfolder.invite", "alice@example.com", "vfolder_invitation", "default"),
    ], folder


async def test_an_invitation_is_changed_canceled_and_rejected(
    alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    folder, invitation = await invited(alice, bob)
    path = f"/folders/invitations/update/{invitation}"
    assert (await alice.ask("POST", path, {"perm": "rw"})).status == 200
    assert (await received(bob))[0]["perm"] == "rw"
    assert (await bob.ask("POST", path, {"perm": "wd"})).status == 403
    assert (await accept(alice, invitation)).status == 403
    assert (await decline(alice, invitation)).json == {}
    assert (await accept(bob, invitation)).status == 409
    await invite(alice, folder, EMAIL)
    [again] = await received(bob)
    assert (await decline(bob, again["id"])).status == 200
    assert await received(bob) == []
    assert await permission(bob, folder) is None


async def test_who_cannot_be_invited_is_named(
    as_user: AsUser, alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    folder = (await make(alice))["id"]
    nobody = await invite(alice, folder, EMAIL, "nobody@example.com")
    # Whether another domain has such a user is not told.
    other = await invite(alice, folder, EMAIL, "mallory@example.com")
    assert (nobody.status, other.status) == (404, 404)
    assert "nobody@example.com" in nobody.json["msg"]
    assert nobody.json["msg"].replace("nobody", "mallory") == other.json["msg"]
    assert await received(bob) == []
    own = await invite(alice, folder, "alice@example.com")
    assert (own.status, own.slug) == (400, "invalid-api-params")
    assert (await invite(alice, folder)).status == 400
    dotted = (await make(alice, ".tools"))["id"]
    assert (await invite(alice, dotted, EMAIL)).status == 409


async def test_a_host_has_to_allow_invitations(
    manager: Manager, alice: Caller, storage: ScriptedStorage
) -> None:
    folder = (await make(alice))["id"]
    rest = [word for word in HostPermission if word is not HostPermission.INVITE]
    await allow(manager, {HOST: rest})
    answer = await invite(alice, folder, EMAIL)
    assert answer.status == 403
    assert "invite-others" in answer.body.decode()


async def test_nobody_accepts_what_is_in_the_bin_or_was_handed_on(
    as_user: AsUser, alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    folder, invitation = await invited(alice, bob)
    assert (await alice.ask("DELETE", f"/folders/{folder}")).status == 204
    assert await received(bob) == []
    assert (await accept(bob, invitation)).status == 409
    restored = await alice.ask("POST", "/folders/restore-from-trash-bin", {"id": folder})
    assert restored.status == 201
    assert len(await received(bob)) == 1
    handed = {"vfolder": folder, "user_email": "carol@example.com"}
    assert (await as_user("root").ask("POST", "/folders/_/change-ownership", handed)).status == 200
    assert await received(bob) == []
    assert (await accept(bob, invitation)).status == 409


async def test_one_leaves_what_others_shared(
    as_user: AsUser, alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    folder = await shared(alice, bob)
    leave = {"shared_user_uuid": None}
    assert (await alice.ask("POST", f"/folders/{folder}/leave", leave)).status == 409
    assert (await as_user("carol").ask("POST", f"/folders/{folder}/leave", leave)).status == 404
    assert (await bob.ask("POST", "/folders/data/leave", leave)).status == 200
    assert await permission(bob, folder) is None
    assert (await bob.ask("POST", f"/folders/{folder}/leave", leave)).status == 404


async def test_owners_and_administrators_change_shares(
    manager: Manager, as_user: AsUser, alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    folder, user = await shared(alice, bob), await user_id(manager, "bob")
    path, of_one = "/folders/_/shared", {"vfolder_id": folder}
    [one] = (await alice.ask("GET", path, of_one)).json["shared"]
    assert one == {
        "vfolder_id": folder,
        "vfolder_name": "data",
        "status": "ready",
        "owner": "alice@example.com",
        "type": "user",
        "shared_to": {"uuid": user, "email": EMAIL},
        "perm": "ro",
    }
    for name in ("carol", "root"):
        assert (await as_user(name).ask("GET", path)).json == {"shared": [one]}
    for name in ("bob", "mallory", "tiny"):
        assert (await as_user(name).ask("GET", path)).json == {"shared": []}
    change = {"vfolder": folder, "user": user, "perm": "rw"}
    assert (await bob.ask("POST", path, change)).status == 403
    assert (await as_user("mallory").ask("POST", path, change)).status == 404
    assert (await alice.ask("POST", path, change)).status == 200
    assert await permission(bob, folder) == "rw"
    assert (await as_user("carol").ask("POST", path, {**change, "perm": "ro"})).status == 200
    assert await permission(bob, folder) == "ro"
    assert (await alice.ask("POST", path, {**change, "user": UNKNOWN})).status == 404
    assert (await alice.ask("POST", path, {**change, "perm": None})).status == 200
    assert await permission(bob, folder) is None
    assert (await alice.ask("GET", path)).json == {"shared": []}


async def test_an_owner_takes_a_share_by_leaving_for_somebody(
    manager: Manager, alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    folder = await shared(alice, bob)
    body = {"shared_user_uuid": await user_id(manager, "bob")}
    assert (await alice.ask("POST", f"/folders/{folder}/leave", body)).status == 200
    assert await permission(bob, folder) is None


async def test_administrators_share_folders_of_projects(
    as_user: AsUser, alice: Caller, bob: Caller, storage: ScriptedStorage
) -> None:
    carol = as_user("carol")
    folder = (await make(carol, "common", group="default", permission="ro"))["id"]
    assert await permission(bob, "common") == "ro"
    path, body = f"/folders/{folder}/share", {"permission": "rw", "emails": [EMAIL]}
    answer = await carol.ask("POST", path, body)
    assert (answer.status, answer.json) == (201, {"shared_emails": [EMAIL]})
    assert await permission(bob, "common") == "rw"
    assert await permission(alice, "common") == "ro"
    [one] = (await carol.ask("GET", "/folders/_/shared")).json["shared"]
    assert (one["owner"], one["type"], one["perm"]) == ("default", "group", "rw")
    for email in ("mallory@example.com", "nobody@example.com"):
        answer = await carol.ask("POST", path, {**body, "emails": [EMAIL, email]})
        assert (answer.status, email in answer.json["msg"]) == (404, True)
    assert (await invite(carol, folder, EMAIL)).status == 409
    leave = {"shared_user_uuid": None}
    assert (await bob.ask("POST", f"/folders/{folder}/leave", leave)).status == 409
    gone = {"emails": [EMAIL, "alice@example.com"]}
    answer = await carol.ask("DELETE", f"/folders/{folder}/unshare", gone)
    assert (answer.status, answer.json) == (200, {"unshared_emails": [EMAIL]})
    assert await permission(bob, "common") == "ro"
    own = (await make(carol, "own"))["id"]
    assert (await carol.ask("POST", f"/folders/{own}/share", body)).status == 409


async def test_an_administrator_who_has_a_share_still_manages_it(
    manager: Manager, as_user: AsUser, alice: Caller, storage: ScriptedStorage
) -> None:
    carol = as_user("carol")
    folder = (await make(alice))["id"]
    await invite(alice, folder, "carol@example.com")
    [one] = await received(carol)
    assert (await accept(carol, one["id"])).status == 200
    [given] = (await carol.ask("GET", "/folders/_/shared")).json["shared"]
    change = {"vfolder": folder, "user": given["shared_to"]["uuid"], "perm": None}
    assert (await carol.ask("POST", "/folders/_/shared", change)).status == 200
    assert (await carol.ask("GET", "/folders/_/shared")).json["shared"] == []
