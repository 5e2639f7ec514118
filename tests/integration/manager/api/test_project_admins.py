"""Admins of projects: what they do in theirs, and that it ends there."""

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from backendai.client import Client, Config
from backendai.common.faults import Forbidden, ProjectNotFound
from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.conftest import body_of
from tests.integration.manager.api.storage import ScriptedStorage, make, storage
from tests.integration.manager.api.strangers import refuse_strangers
from tests.integration.manager.api.test_accounts import MODIFY_GROUP, done, refused
from tests.integration.manager.api.test_client import environ_of
from tests.integration.manager.world import fetch

__all__ = ["storage"]

AsUser = Callable[[str], Caller]
MEMBERS = "query($gid: UUID!) { group(id: $gid) { members { email role } } }"
USERS = "query($gid: UUID) { users(group_id: $gid) { email } }"


@dataclass(frozen=True)
class Projects:
    """Alice administers `own`, where bob is too; `other` is bob's alone; `foreign` of another
    domain."""

    own: str
    other: str
    foreign: str


def people(whose: str, mode: str, *users: str) -> dict[str, Any]:
    return {f"{whose}_update_mode": mode, f"{whose}_uuids": users}


@pytest.fixture
async def root(manager: Manager) -> AsyncIterator[Client]:
    async with Client(Config.from_environment(environ_of(manager, "root"))) as client:
        yield client


@pytest.fixture
async def projects(root: Client) -> AsyncIterator[Projects]:
    word = f"n{uuid.uuid4().hex[:10]}"
    own = await root.projects.create(word, domain="default")
    other = await root.projects.create(f"{word}-2", domain="default")
    foreign = await root.projects.get("default", domain="other")
    await root.projects.add_users(own.id, ["bob@example.com"])
    await root.projects.add_users(other.id, ["bob@example.com"])
    await root.projects.add_admins(own.id, ["alice@example.com"])
    yield Projects(own.id, other.id, foreign.id)
    await root.projects.remove_users(own.id, ["alice@example.com", "bob@example.com"])
    await root.projects.remove_users(other.id, ["bob@example.com"])


async def start(caller: Caller, project: str, **more: Any) -> str:
    body = body_of(f"s{uuid.uuid4().hex[:10]}", enqueueOnly=True, group=project, **more)
    made = await caller.ask("POST", "/session", body)
    assert made.status == 201, made.body
    return str(made.json["sessionId"])


async def test_strangers_change_no_members(alice: Caller, projects: Projects) -> None:
    body = {"query": MODIFY_GROUP, "variables": {"gid": projects.own, "input": {}}}
    await refuse_strangers(alice, ("POST", "/admin/gql", body))


async def test_who_administers_nothing_may_not(as_user: AsUser, projects: Projects) -> None:
    adding = people("user", "add", "tiny@example.com")
    told = await refused(as_user("bob"), MODIFY_GROUP, gid=projects.own, input=adding)
    assert told == "no permission to execute modify_group"
    assert (await as_user("bob").graph(MEMBERS, gid=projects.own))["data"]["group"] == {
        "members": None
    }


async def test_other_projects_are_not_there(alice: Caller, projects: Projects) -> None:
    adding = people("user", "add", "alice@example.com")
    for gid in (projects.other, projects.foreign, str(uuid.UUID(int=9))):
        told = await refused(alice, MODIFY_GROUP, gid=gid, input=adding)
        assert told == f"No such user group (or project). {gid}"
        assert (await alice.graph(MEMBERS, gid=gid))["data"]["group"] is None


async def test_an_admin_lets_users_of_the_domain_in_and_out(
    alice: Caller, projects: Projects
) -> None:
    await done(
        alice, MODIFY_GROUP, gid=projects.own, input=people("user", "add", "tiny@example.com")
    )
    found = (await alice.graph(MEMBERS, gid=projects.own))["data"]["group"]["members"]
    assert found == [
        {"email": "alice@example.com", "role": "admin"},
        {"email": "bob@example.com", "role": "member"},
        {"email": "tiny@example.com", "role": "member"},
    ]
    await done(
        alice, MODIFY_GROUP, gid=projects.own, input=people("user", "remove", "tiny@example.com")
    )
    adding = people("user", "add", "mallory@example.com")
    told = await refused(alice, MODIFY_GROUP, gid=projects.own, input=adding)
    assert told == "user_uuids: no users of domain default: mallory@example.com"
    # What else users are and have is not of the project.
    assert (await alice.graph(USERS, gid=projects.own))["data"]["users"] == [
        {"email": "alice@example.com"}
    ]


async def test_an_admin_changes_nothing_but_users(
    alice: Caller, projects: Projects, manager: Manager, root: Client
) -> None:
    row = "SELECT * FROM projects WHERE id = :id"
    before = await fetch(manager.stores.database, row, id=uuid.UUID(projects.own))
    for more in (
        {"total_resource_slots": '{"cpu": "1000"}'},
        {"resource_policy": "default"},
        {"name": "mine"},
        {"domain_name": "other"},
        {"is_active": False},
        people("admin", "add", "bob@example.com"),
    ):
        told = await refused(alice, MODIFY_GROUP, gid=projects.own, input=more)
        assert told.startswith("Forbidden operation. A project admin changes its users, not "), told
    await root.projects.add_admins(projects.own, ["bob@example.com"])
    for email in ("alice@example.com", "bob@example.com"):
        told = await refused(
            alice, MODIFY_GROUP, gid=projects.own, input=people("user", "remove", email)
        )
        assert told.endswith(f"put out by who manages it: {email}.")
    assert await fetch(manager.stores.database, row, id=uuid.UUID(projects.own)) == before


async def test_an_admin_sees_and_ends_the_sessions_of_the_project_alone(
    alice: Caller, bob: Caller, projects: Projects
) -> None:
    below = await start(bob, projects.other)
    ours = await start(bob, projects.own)
    theirs = await start(bob, projects.other)
    listing = "{ compute_session_list(limit: 50, offset: 0) { items { session_id } } }"
    rows = (await alice.graph(listing))["data"]["compute_session_list"]["items"]
    listed = {row["session_id"] for row in rows}
    assert ours in listed
    assert not listed & {theirs, below}
    assert (await alice.ask("GET", f"/session/{ours}")).status == 200
    assert (await alice.ask("GET", f"/session/{theirs}")).status == 404
    # It is not the admin's to work in, and its name means nothing to others.
    assert (await alice.ask("GET", f"/session/{ours}/files")).status == 404
    assert (await alice.ask("POST", f"/session/{ours}/rename", {"name": "x"})).status == 404
    assert (await alice.ask("DELETE", f"/session/{theirs}")).status == 404
    assert (await alice.ask("DELETE", f"/session/{ours}")).status == 200
    for each in (theirs, below):
        assert (await bob.ask("DELETE", f"/session/{each}")).status == 200


async def test_what_hangs_on_a_session_outside_of_the_project_is_not_seen_and_stays(
    alice: Caller, bob: Caller, projects: Projects
) -> None:
    below = await start(bob, projects.other)
    ours = await start(bob, projects.own, dependencies=[below])
    above = await start(bob, projects.other, dependencies=[ours])
    graph = (await alice.ask("GET", f"/session/{ours}/dependency-graph")).json
    assert below not in str(graph)
    query = "query($id: UUID!) { compute_session(id: $id) { dependencies { session_id } } }"
    found = (await alice.graph(query, id=ours))["data"]["compute_session"]
    assert found == {"dependencies": []}
    assert (await alice.ask("DELETE", f"/session/{ours}?recursive=true")).status == 200
    assert (await bob.ask("GET", f"/session/{above}")).json["status"] != "TERMINATING"
    for each in (above, below):
        await bob.ask("DELETE", f"/session/{each}?forced=true")


async def test_grants_and_revocations_are_noted_and_work_at_once(
    alice: Caller, as_user: AsUser, projects: Projects, manager: Manager
) -> None:
    role = ("GET", f"/auth/role?group={projects.own}", None)
    assert (await alice.ask(*role)).json["group_role"] == "admin"
    carol = as_user("carol")
    revoking = people("admin", "remove", "alice@example.com")
    await done(carol, MODIFY_GROUP, gid=projects.own, input=revoking)
    assert (await alice.ask(*role)).json["group_role"] == "user"
    assert (await alice.graph(MEMBERS, gid=projects.own))["data"]["group"] == {"members": None}
    noted = (
        "SELECT email, before, after FROM audit_log"
        " WHERE target_kind = 'project' AND target_id = :id ORDER BY id DESC LIMIT 2"
    )
    alices = ["alice@example.com"]
    assert await fetch(manager.stores.database, noted, id=projects.own) == [
        ("carol@example.com", {"admins": alices}, {}),
        ("root@example.com", {}, {"admins": alices, "members": alices}),
    ]
    # Of another domain, and of no domain at all.
    async with Client(Config.from_environment(environ_of(manager, "mallory"))) as mallory:
        with pytest.raises(ProjectNotFound):
            await mallory.projects.add_admins(projects.own, ["alice@example.com"])


async def test_a_project_admin_sees_its_bills_and_a_domain_admin_the_domains(
    alice: Caller, as_user: AsUser, projects: Projects, manager: Manager
) -> None:
    async with Client(Config.from_environment(environ_of(manager, "alice"))) as client:
        assert await client.usage.month("202401") == ()
        assert await client.usage.month("202401", [projects.other]) == ()
        with pytest.raises(Forbidden):
            await client.projects.add_admins(projects.own, ["bob@example.com"])
    days = {"start_date": "20240101", "end_date": "20240102"}
    for caller, seen, hidden in (
        (alice, [projects.own], [projects.other, projects.foreign]),
        (as_user("carol"), [projects.own, projects.other], [projects.foreign]),
    ):
        for project in seen:
            answer = await caller.ask("GET", "/resource/usage/period", days | {"group_id": project})
            assert (answer.status, answer.json) == (200, {})
        for project in hidden:
            answer = await caller.ask("GET", "/resource/usage/period", days | {"group_id": project})
            assert answer.status == 404


async def test_an_admin_has_the_folders_of_the_project_as_its_owner(
    alice: Caller, bob: Caller, as_user: AsUser, projects: Projects, storage: ScriptedStorage
) -> None:
    made = await make(alice, "ours", group=projects.own, permission="ro")
    other = await make(as_user("carol"), "theirs", group=projects.other)
    [seen] = (await alice.ask("GET", "/folders", {"all": False})).json
    assert (seen["name"], seen["is_owner"], seen["permission"]) == ("ours", True, "wd")
    query = "{ vfolder_project_list(limit: 9, offset: 0) { items { name permission } } }"
    found = (await alice.graph(query))["data"]["vfolder_project_list"]["items"]
    assert found == [{"name": "ours", "permission": "wd"}]
    assert (await alice.ask("POST", "/folders/ours/mkdir", {"path": "a"})).status == 201
    to_bob = {"emails": ["bob@example.com"], "permission": "rw"}
    assert (await alice.ask("POST", "/folders/ours/share", to_bob)).status == 201
    assert (await bob.ask("POST", "/folders/ours/mkdir", {"path": "b"})).status == 201
    shared = (await alice.ask("GET", "/folders/_/shared")).json["shared"]
    assert [one["vfolder_name"] for one in shared] == ["ours"]
    gone = {"emails": ["bob@example.com"]}
    assert (await alice.ask("DELETE", "/folders/ours/unshare", gone)).status == 200
    assert (await alice.ask("POST", "/folders/ours/rename", {"new_name": "new"})).status == 201
    assert (await alice.ask("DELETE", "/folders/new")).status == 204
    assert (await alice.ask("POST", "/folders/purge", {"id": made["id"]})).status == 200
    # Of its members it has nothing, and of other projects neither.
    own = await make(bob, "own")
    for folder in (own["id"], other["id"]):
        assert (await alice.ask("GET", f"/folders/{folder}")).status == 404
        assert (await alice.ask("DELETE", f"/folders/{folder}")).status == 404
        assert (await alice.ask("POST", f"/folders/{folder}/share", to_bob)).status == 404
    new = {"name": "x", "group": projects.other}
    assert (await alice.ask("POST", "/folders", new)).status == 404
    assert (await bob.ask("POST", "/folders", {**new, "group": projects.own})).status == 403
    # Limits are an administrator's.
    quota = {"id": made["id"], "input": {"size_bytes": 1}}
    assert (await alice.ask("POST", "/folders/_/quota", quota)).status == 401
