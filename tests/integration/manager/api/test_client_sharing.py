"""Our own SDK and command on sharing folders: invitations, shares, and other owners."""

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack

import pytest

from backendai.client import Client, Config
from backendai.client.vfolders.rows import NewVfolder
from backendai.common.faults import (
    AuthFailed,
    Conflict,
    InvitationNotFound,
    ShareNotFound,
    UserNotFound,
    VFolderNotFound,
)
from backendai.manager.app import Manager
from tests.integration.manager.api.command import Done, run_inside
from tests.integration.manager.api.storage import ScriptedStorage, storage
from tests.integration.manager.api.test_client import environ_of

__all__ = ["storage"]

ALICE, BOB = "alice@example.com", "bob@example.com"
NewClient = Callable[[str], Client]


@pytest.fixture
async def client_of(manager: Manager, storage: ScriptedStorage) -> AsyncIterator[NewClient]:
    clients: dict[str, Client] = {}
    async with AsyncExitStack() as stack:

        def client_of(name: str) -> Client:
            if name not in clients:
                clients[name] = Client(Config.from_environment(environ_of(manager, name)))
                stack.push_async_callback(clients[name].close)
            return clients[name]

        yield client_of


async def held(client: Client) -> Sequence[tuple[str, str]]:
    """What a user has of folders that are not their own."""
    listed = await client.vfolders.list()
    return [(each.name, each.permission) for each in listed if not each.is_owner]


async def test_no_credential_a_wrong_one_and_someone_elses(
    manager: Manager, client_of: NewClient
) -> None:
    vfolders = client_of("alice").vfolders
    made = await vfolders.create(NewVfolder(name="data"))
    await vfolders.invite("data", ["tiny@example.com"])
    [sent] = await vfolders.sent_invitations()
    wrong = {**environ_of(manager, "alice"), "BACKEND_SECRET_KEY": "another"}
    async with Client(Config.from_environment(wrong)) as stranger:
        with pytest.raises(AuthFailed):
            await stranger.vfolders.invitations()
    bob = client_of("bob").vfolders
    assert (await bob.invitations(), await bob.sent_invitations(), await bob.shares()) == (
        (),
        (),
        (),
    )
    with pytest.raises(InvitationNotFound):
        await bob.accept(sent.id)
    with pytest.raises(VFolderNotFound):
        await bob.invite(made.id, ["carol@example.com"])
    with pytest.raises(ShareNotFound):
        await bob.set_share(made.id, ALICE, "rw")


async def test_a_folder_is_shared_changed_and_taken_back(client_of: NewClient) -> None:
    alice, bob = client_of("alice").vfolders, client_of("bob").vfolders
    made = await alice.create(NewVfolder(name="data"))
    with pytest.raises(UserNotFound):
        await alice.invite("data", ["nobody@example.com"])
    assert await alice.invite("data", [BOB], permission="rw") == [BOB]
    assert await alice.invite("data", [BOB]) == []
    [sent] = await alice.sent_invitations()
    await alice.update_invitation(sent.id, "ro")
    [received] = await bob.invitations()
    assert (received.vfolder_name, received.inviter, received.perm) == ("data", ALICE, "ro")
    await bob.accept(received.id)
    assert await held(client_of("bob")) == [("data", "ro")]
    with pytest.raises(Conflict):
        await bob.accept(received.id)
    [share] = await alice.shares("data")
    assert (share.vfolder_id, share.shared_to.email, share.perm) == (made.id, BOB, "ro")
    await alice.set_share("data", BOB, "rw")
    assert await held(client_of("bob")) == [("data", "rw")]
    await alice.set_share("data", BOB, None)
    assert await held(client_of("bob")) == []
    with pytest.raises(ShareNotFound):
        await alice.set_share("data", BOB, "rw")


async def test_what_was_shared_is_left_and_rejected(client_of: NewClient) -> None:
    alice, bob = client_of("alice").vfolders, client_of("bob").vfolders
    await alice.create(NewVfolder(name="data"))
    for answer in (bob.accept, bob.reject):
        await alice.invite("data", [BOB])
        [received] = await bob.invitations()
        await answer(received.id)
        if answer == bob.accept:
            await bob.leave("data")
        assert await held(client_of("bob")) == []
    with pytest.raises(Conflict):
        await alice.leave("data")
    await alice.invite("data", [BOB])
    [sent] = await alice.sent_invitations()
    await alice.reject(sent.id)
    assert await bob.invitations() == ()


async def test_members_of_a_project_and_another_owner(client_of: NewClient) -> None:
    carol, root = client_of("carol").vfolders, client_of("root").vfolders
    made = await carol.create(NewVfolder(name="ours", project="default", permission="ro"))
    assert await carol.share("ours", [BOB]) == [BOB]
    assert ("ours", "rw") in await held(client_of("bob"))
    assert await carol.unshare("ours", [BOB]) == [BOB]
    assert ("ours", "ro") in await held(client_of("bob"))
    with pytest.raises(Conflict):
        await root.transfer(made.id, BOB)
    own = await client_of("alice").vfolders.create(NewVfolder(name="data"))
    await root.transfer(own.id, BOB)
    assert (await client_of("bob").vfolders.info("data")).is_owner
    with pytest.raises(VFolderNotFound):
        await client_of("alice").vfolders.info("data")


async def test_the_command_shares(manager: Manager, client_of: NewClient) -> None:
    async def run(name: str, *words: str) -> Done:
        done = await run_inside(manager, "vfolder", *words, name=name)
        assert done.returncode == 0, done.stderr
        return done

    made = await client_of("alice").vfolders.create(NewVfolder(name="data"))
    assert (await run("alice", "invite", "data", BOB, "--permission", "ro")).stdout == f"{BOB}\n"
    assert "No invitations." in (await run("alice", "invitations")).stderr
    assert BOB in (await run("alice", "invitations", "--sent")).stdout
    [sent] = await client_of("alice").vfolders.sent_invitations()
    await run("alice", "set-invitation", sent.id, "rw")
    assert sent.id in (await run("bob", "invitations", "--output", "json")).stdout
    assert (await run("bob", "accept", sent.id)).stdout == f"{sent.id}\n"
    assert BOB in (await run("alice", "shares", "data")).stdout
    await run("alice", "set-share", "data", BOB, "ro")
    assert await held(client_of("bob")) == [("data", "ro")]
    await run("alice", "unshare", "data", BOB)
    assert "No shares." in (await run("alice", "shares")).stderr
    missing = await run_inside(manager, "vfolder", "leave", "data", name="bob")
    assert missing.returncode == 6
    await run("alice", "invite", "data", BOB)
    [received] = await client_of("bob").vfolders.invitations()
    await run("bob", "reject", received.id)
    unknown = await run_inside(manager, "vfolder", "accept", str(uuid.UUID(int=1)), name="bob")
    assert unknown.returncode == 6
    await run("root", "chown", made.id, BOB)
    assert (await client_of("bob").vfolders.info("data")).is_owner
    await client_of("carol").vfolders.create(NewVfolder(name="ours", project="default"))
    assert (await run("carol", "share", "ours", BOB, "--permission", "ro")).stdout == f"{BOB}\n"
