"""Mutations of domains, projects, users and keypairs, in the words of the official client."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from backendai.manager.app import Manager
from backendai.manager.gate.actor import Access
from backendai.manager.graph import mutations_accounts
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.world import fetch

AsUser = Callable[[str], Caller]
Create = Callable[..., Awaitable[dict[str, Any]]]

CREATE_DOMAIN = (
    "mutation($name: String!, $input: DomainInput!)"
    " { create_domain(name: $name, props: $input) { ok msg domain { name } } }"
)
MODIFY_DOMAIN = (
    "mutation($name: String!, $input: ModifyDomainInput!)"
    " { modify_domain(name: $name, props: $input) { ok msg } }"
)
DELETE_DOMAIN = "mutation($name: String!) { delete_domain(name: $name) { ok msg } }"
PURGE_DOMAIN = "mutation($name: String!) { purge_domain(name: $name) { ok msg } }"
CREATE_GROUP = (
    "mutation($name: String!, $input: GroupInput!)"
    " { create_group(name: $name, props: $input) { ok msg group { id domain_name name } } }"
)
MODIFY_GROUP = (
    "mutation($gid: UUID!, $input: ModifyGroupInput!)"
    " { modify_group(gid: $gid, props: $input) { ok msg } }"
)
DELETE_GROUP = "mutation($gid: UUID!) { delete_group(gid: $gid) { ok msg } }"
PURGE_GROUP = "mutation($gid: UUID!) { purge_group(gid: $gid) { ok msg } }"
CREATE_USER = (
    "mutation($email: String!, $input: UserInput!) { create_user(email: $email, props: $input)"
    " { ok msg user { domain_name email username uuid } } }"
)
MODIFY_USER = (
    "mutation($email: String!, $input: ModifyUserInput!)"
    " { modify_user(email: $email, props: $input) { ok msg } }"
)
DELETE_USER = "mutation($email: String!) { delete_user(email: $email) { ok msg } }"
PURGE_USER = (
    "mutation($email: String!, $input: PurgeUserInput!)"
    " { purge_user(email: $email, props: $input) { ok msg } }"
)
CREATE_KEYPAIR = (
    "mutation($user_id: String!, $input: KeyPairInput!)"
    " { create_keypair(user_id: $user_id, props: $input)"
    " { ok msg keypair { access_key secret_key } } }"
)
MODIFY_KEYPAIR = (
    "mutation($access_key: String!, $input: ModifyKeyPairInput!)"
    " { modify_keypair(access_key: $access_key, props: $input) { ok msg } }"
)
DELETE_KEYPAIR = (
    "mutation($access_key: String!) { delete_keypair(access_key: $access_key) { ok msg } }"
)


async def run(caller: Caller, query: str, **variables: Any) -> dict[str, Any]:
    """The answer of the one mutation in `query`."""
    found = await caller.graph(query, **variables)
    assert "errors" not in found, found
    answer: dict[str, Any] = next(iter(found["data"].values()))
    return answer


async def done(caller: Caller, query: str, **variables: Any) -> dict[str, Any]:
    answer = await run(caller, query, **variables)
    assert (answer["ok"], answer["msg"]) == (True, "success"), answer
    return answer


async def refused(caller: Caller, query: str, **variables: Any) -> str:
    answer = await run(caller, query, **variables)
    assert answer["ok"] is False
    return str(answer["msg"])


@pytest.fixture
def root(as_user: AsUser) -> Caller:
    return as_user("root")


@pytest.fixture
def word() -> str:
    return f"n{uuid.uuid4().hex[:10]}"


def new_user(**more: Any) -> dict[str, Any]:
    """The input of `admin user add`."""
    return {
        "password": "pw",
        "role": "user",
        "status": "active",
        "need_password_change": False,
        "description": "",
        "domain_name": "default",
        "totp_activated": False,
        "sudo_session_enabled": False,
        "allowed_client_ip": None,
        **more,
    }


async def add_user(root: Caller, word: str, **more: Any) -> str:
    email = f"{word}@example.com"
    await done(root, CREATE_USER, email=email, input=new_user(username=word, **more))
    return email


async def add_key(root: Caller, email: str, **more: Any) -> Caller:
    """Somebody who signs with a fresh keypair."""
    answer = await done(root, CREATE_KEYPAIR, user_id=email, input=more)
    made = answer["keypair"]
    return root.but(access_key=made["access_key"], secret_key=made["secret_key"])


async def add_group(caller: Caller, word: str, domain: str = "default") -> str:
    answer = await done(caller, CREATE_GROUP, name=word, input={"domain_name": domain})
    return str(answer["group"]["id"])


async def test_nobody_changes_anything_without_a_credential(nobody: Caller) -> None:
    body = {"query": DELETE_DOMAIN, "variables": {"name": "default"}}
    assert (await nobody.ask("POST", "/admin/gql", body)).status == 401


async def test_nor_with_a_wrong_one(root: Caller) -> None:
    body = {"query": DELETE_DOMAIN, "variables": {"name": "default"}}
    assert (await root.but(secret_key="x").ask("POST", "/admin/gql", body)).status == 401


async def test_the_project_of_another_domain_is_not_known(as_user: AsUser, root: Caller) -> None:
    query = '{ groups(domain_name: "other") { id name } }'
    (theirs,) = (await root.graph(query))["data"]["groups"]
    for text, variables in (
        (MODIFY_GROUP, {"input": {"description": "mine"}}),
        (DELETE_GROUP, {}),
        (PURGE_GROUP, {}),
    ):
        told = await refused(as_user("carol"), text, gid=theirs["id"], **variables)
        unknown = await refused(as_user("carol"), text, gid=str(uuid.UUID(int=9)), **variables)
        assert told.startswith("No such user group")
        assert told.replace(theirs["id"], "") == unknown.replace(str(uuid.UUID(int=9)), "")


MUTATIONS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "create_domain": (CREATE_DOMAIN, {"name": "x", "input": {}}, False),
    "modify_domain": (MODIFY_DOMAIN, {"name": "other", "input": {}}, False),
    "delete_domain": (DELETE_DOMAIN, {"name": "other"}, False),
    "purge_domain": (PURGE_DOMAIN, {"name": "other"}, False),
    "create_group": (CREATE_GROUP, {"name": "x", "input": {"domain_name": "x"}}, True),
    "modify_group": (MODIFY_GROUP, {"gid": str(uuid.UUID(int=9)), "input": {}}, True),
    "delete_group": (DELETE_GROUP, {"gid": str(uuid.UUID(int=9))}, True),
    "purge_group": (PURGE_GROUP, {"gid": str(uuid.UUID(int=9))}, True),
    "create_user": (CREATE_USER, {"email": "x@example.com", "input": {"password": "x"}}, False),
    "modify_user": (MODIFY_USER, {"email": "bob@example.com", "input": {}}, False),
    "delete_user": (DELETE_USER, {"email": "bob@example.com"}, False),
    "purge_user": (PURGE_USER, {"email": "bob@example.com", "input": {}}, False),
    "create_keypair": (CREATE_KEYPAIR, {"user_id": "alice@example.com", "input": {}}, False),
    "modify_keypair": (MODIFY_KEYPAIR, {"access_key": "AKALICE", "input": {}}, False),
    "delete_keypair": (DELETE_KEYPAIR, {"access_key": "AKBOB"}, False),
}


def test_every_mutation_is_in_the_matrix() -> None:
    declared = {
        name: row.action.access <= Access.ADMIN
        for name, row in mutations_accounts.MUTATIONS.items()
    }
    assert {name: admins_may for name, (_, _, admins_may) in MUTATIONS.items()} == declared


@pytest.mark.parametrize("who", ["alice", "eve", "carol", "mallory"])
async def test_who_has_not_the_role_is_told_so(as_user: AsUser, manager: Manager, who: str) -> None:
    noted = "SELECT count(*) FROM audit_log"
    before = await fetch(manager.stores.database, noted)
    for name, (query, variables, admins_may) in MUTATIONS.items():
        told = await refused(as_user(who), query, **variables)
        is_allowed = admins_may and who in ("carol", "mallory")
        assert (told == f"no permission to execute {name}") is not is_allowed, (name, told)
    assert await fetch(manager.stores.database, noted) == before


async def test_a_domain_lives_from_add_to_purge(root: Caller, word: str, manager: Manager) -> None:
    made = await done(
        root,
        CREATE_DOMAIN,
        name=word,
        input={
            "description": "",
            "is_active": True,
            "total_resource_slots": '{"cpu": "4", "mem": "8g"}',
            "allowed_vfolder_hosts": '{"local:volume1": ["mount-in-session", "create-vfolder"]}',
            "allowed_docker_registries": ["cr.backend.ai"],
        },
    )
    assert made["domain"] == {"name": word}
    query = """query($name: String) { domain(name: $name) { name is_active total_resource_slots
        allowed_vfolder_hosts allowed_docker_registries integration_id } }"""
    found = (await root.graph(query, name=word))["data"]["domain"]
    assert found["total_resource_slots"] == '{"cpu":"4","mem":"8589934592"}'
    hosts = '{"local:volume1":["create-vfolder","mount-in-session"]}'
    assert found["allowed_vfolder_hosts"] == hosts
    assert found["allowed_docker_registries"] == ["cr.backend.ai"]

    email = await add_user(root, word, domain_name=word)
    person = await add_key(root, email)
    assert (await person.ask("GET", "/auth")).status == 200
    await done(root, MODIFY_DOMAIN, name=word, input={"name": f"{word}-2", "description": None})
    assert (await person.graph("{ domain { name } }"))["data"]["domain"]["name"] == f"{word}-2"
    assert (await root.graph(query, name=word))["errors"]

    await done(root, DELETE_DOMAIN, name=f"{word}-2")
    assert (await person.ask("GET", "/auth")).status == 401
    told = await refused(root, PURGE_DOMAIN, name=f"{word}-2")
    assert f"still has users: {email}" in told
    await done(root, PURGE_USER, email=email, input={"purge_shared_vfolders": False})
    await done(root, PURGE_DOMAIN, name=f"{word}-2")
    assert (await refused(root, PURGE_DOMAIN, name=f"{word}-2")).startswith("No such domain.")
    left = "SELECT name FROM domains WHERE name LIKE :name"
    assert await fetch(manager.stores.database, left, name=f"{word}%") == []


@pytest.mark.parametrize(
    ("props", "told"),
    [
        ({"total_resource_slots": "[]"}, "total_resource_slots: write a JSON object"),
        ({"total_resource_slots": "{"}, "total_resource_slots: "),
        ({"total_resource_slots": '{"cpu": "many"}'}, "total_resource_slots: "),
        ({"allowed_vfolder_hosts": '{"h": ["fly"]}'}, "write a list of create-vfolder"),
        ({"allowed_vfolder_hosts": '{"h": 5}'}, "allowed_vfolder_hosts: h: "),
        ({"allowed_docker_registries": [None]}, "allowed_docker_registries: write a list"),
        ({"integration_id": "a\nb"}, "integration_id: write one line"),
        ({"description": "x" * 5000}, "description: write at most 4096"),
    ],
)
async def test_bad_values_are_told_by_field(
    root: Caller, word: str, props: dict[str, Any], told: str
) -> None:
    assert told in await refused(root, CREATE_DOMAIN, name=word, input=props)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 65, "ä", "../x", "a\n"])
async def test_names_are_slugs(root: Caller, name: str) -> None:
    assert "is no name: write at most 64" in await refused(root, CREATE_DOMAIN, name=name, input={})


async def test_all_mistakes_are_told_at_once(root: Caller) -> None:
    wrong = new_user(role="king", status="asleep", allowed_client_ip=["10.0.0.0/99"], password="")
    told = await refused(root, CREATE_USER, email="nobody", input=wrong)
    for field in ("email", "role", "status", "allowed_client_ip", "password"):
        assert f"{field}: " in told
    assert "superadmin, admin, user, monitor" in told
    escaped = 'mutation { delete_user(email: "a\\u0000b") { ok msg } }'
    assert (await root.graph(escaped))["errors"][0]["message"] == "Text must not contain NUL"


async def test_unknown_references_name_what_there_is(root: Caller, word: str) -> None:
    wrong = new_user(domain_name="nosuch", resource_policy="nosuch")
    told = await refused(root, CREATE_USER, email=f"{word}@example.com", input=wrong)
    assert "domain_name: there is no 'nosuch'; there are: default, other" in told
    assert "resource_policy: there is no 'nosuch'; there are: default" in told


async def test_of_twenty_creates_of_one_name_one_succeeds(
    root: Caller, word: str, manager: Manager
) -> None:
    for query, more in (
        (CREATE_DOMAIN, {"name": word, "input": {}}),
        (CREATE_GROUP, {"name": word, "input": {"domain_name": "default"}}),
        (CREATE_USER, {"email": f"{word}@example.com", "input": new_user(username=word)}),
    ):
        answers = await asyncio.gather(*(run(root, query, **more) for _ in range(20)))
        assert sum(answer["ok"] for answer in answers) == 1
        assert {answer["msg"].split(".")[0] for answer in answers if not answer["ok"]} == {
            "The request conflicts with the present state"
        }
    made = "SELECT count(*) FROM audit_log WHERE action = 'user.create' AND target_id = :email"
    # Of the user itself, and that the keypair is the main one.
    email = f"{word}@example.com"
    assert await fetch(manager.stores.database, made, email=email) == [(2,)]


async def test_a_project_and_its_members(root: Caller, word: str, as_user: AsUser) -> None:
    carol = as_user("carol")
    gid = await add_group(carol, word)
    email = await add_user(root, word)
    user_id = (await root.graph(f'{{ user(email: "{email}") {{ uuid }} }}'))["data"]["user"]["uuid"]
    for _ in range(2):
        members = {"user_update_mode": "add", "user_uuids": [user_id]}
        await done(carol, MODIFY_GROUP, gid=gid, input=members)
    query = "query($g: UUID) { users(group_id: $g) { email groups { id name } } }"
    (found,) = (await root.graph(query, g=gid))["data"]["users"]
    assert found == {"email": email, "groups": [{"id": gid, "name": word}]}
    members = {"user_update_mode": "remove", "user_uuids": [user_id]}
    await done(carol, MODIFY_GROUP, gid=gid, input=members)
    assert (await root.graph(query, g=gid))["data"]["users"] == []

    wrong = {"user_update_mode": "swap", "user_uuids": [user_id]}
    told = await refused(carol, MODIFY_GROUP, gid=gid, input=wrong)
    assert told == "user_update_mode: 'swap' is none of add, remove"
    mallory = (await root.graph('{ user(email: "mallory@example.com") { uuid } }'))["data"]["user"]
    wrong = {"user_update_mode": "add", "user_uuids": [mallory["uuid"]]}
    assert "no users of domain default" in await refused(carol, MODIFY_GROUP, gid=gid, input=wrong)

    await done(carol, MODIFY_GROUP, gid=gid, input={"name": f"{word}-2", "is_active": None})
    other = await add_group(carol, word)
    told = await refused(carol, MODIFY_GROUP, gid=other, input={"name": f"{word}-2"})
    assert "already exists" in told
    await done(carol, DELETE_GROUP, gid=gid)
    info = "query($gid: UUID!) { group(id: $gid) { is_active name } }"
    assert (await root.graph(info, gid=gid))["data"]["group"]["is_active"] is False
    await done(carol, PURGE_GROUP, gid=gid)
    assert (await root.graph(info, gid=gid))["data"]["group"] is None


async def test_domain_admins_make_projects_only_at_home(as_user: AsUser, word: str) -> None:
    told = await refused(as_user("carol"), CREATE_GROUP, name=word, input={"domain_name": "other"})
    assert told == "No such domain. other"
    home = await add_group(as_user("carol"), word)
    told = await refused(as_user("carol"), MODIFY_GROUP, gid=home, input={"domain_name": "other"})
    assert told == "No such domain. other"


async def test_a_user_comes_with_a_keypair(root: Caller, word: str, manager: Manager) -> None:
    gid = await add_group(root, word)
    email = await add_user(root, word, full_name="Full", group_ids=[gid])
    query = """query($email: String) { user(email: $email) { uuid username role full_name status
        domain_name main_access_key groups { name } } }"""
    found = (await root.graph(query, email=email))["data"]["user"]
    assert (found["role"], found["status"], found["full_name"]) == ("user", "active", "Full")
    assert found["groups"] == [{"name": word}]
    keys = "query($email: String) { keypairs(email: $email) { access_key secret_key is_active } }"
    (key,) = (await root.graph(keys, email=email))["data"]["keypairs"]
    assert key == {"access_key": found["main_access_key"], "secret_key": None, "is_active": True}
    stored = "SELECT password_hash FROM users WHERE email = :email"
    ((hashed,),) = await fetch(manager.stores.database, stored, email=email)
    assert hashed.startswith("$argon2id$")
    again = await refused(root, CREATE_USER, email=email, input=new_user(username="other"))
    assert f"Key (email)=({email}) already exists" in again
    by_id = "query($id: ID) { user_from_uuid(user_id: $id) { email } }"
    assert (await root.graph(by_id, id=found["uuid"]))["data"]["user_from_uuid"] == {"email": email}


async def test_newer_clients_look_up_the_project_and_tell_more(root: Caller, word: str) -> None:
    gid = await add_group(root, word)
    by_name = 'query($name: String!) { groups_by_name(name: $name, domain_name: "default") { id } }'
    [found] = (await root.graph(by_name, name=word))["data"]["groups_by_name"]
    assert found == {"id": gid}
    email = f"{word}@example.com"
    nothing = dict.fromkeys(("container_uid", "container_main_gid", "container_gids"))
    given = {"username": word, "group_ids": [gid], **nothing}
    query = CREATE_USER.replace("uuid }", "uuid groups { id name } }")
    made = await done(root, query, email=email, input=new_user(**given))
    assert made["user"]["groups"] == [{"id": gid, "name": word}]
    for chosen in ({"container_uid": 0}, {"container_main_gid": 7}, {"container_gids": []}):
        for change, more in ((CREATE_USER, new_user(username="x")), (MODIFY_USER, {})):
            told = await refused(root, change, email=email, input={**more, **chosen})
            assert told.startswith(f"{next(iter(chosen))}: whom containers run as is not chosen")
    wanted = {"purge_shared_vfolders": False, "delegate_endpoint_ownership": False}
    await done(root, PURGE_USER, email=email, input=wanted)


async def test_a_user_is_changed_as_the_command_does_it(root: Caller, word: str) -> None:
    email = await add_user(root, word, description="kept?")
    person = await add_key(root, email)
    changes = {"password": "pw2", "status": "inactive", "description": ""}
    await done(root, MODIFY_USER, email=email, input=changes)
    assert (await person.ask("GET", "/auth")).status == 401
    await done(root, MODIFY_USER, email=email, input={"is_active": True, "role": None})
    assert (await person.ask("GET", "/auth")).status == 200
    await done(root, MODIFY_USER, email=email, input={"main_access_key": person.access_key})
    told = await refused(root, MODIFY_USER, email=email, input={"main_access_key": "AKALICE"})
    assert "is no keypair of" in told
    assert str(person.access_key) in told
    await done(root, MODIFY_USER, email=email, input={"role": "admin", "domain_name": "other"})
    own = (await person.graph("{ user { domain_name groups { name } } keypair { is_admin } }"))[
        "data"
    ]
    assert own == {"user": {"domain_name": "other", "groups": []}, "keypair": {"is_admin": True}}
    await done(root, MODIFY_USER, email=email, input={"allowed_client_ip": ["10.9.9.0/24"]})
    assert (await person.ask("GET", "/auth")).status == 401
    await done(root, MODIFY_USER, email=email, input={"allowed_client_ip": []})
    assert (await person.ask("GET", "/auth")).status == 200
    assert (await refused(root, MODIFY_USER, email="x@y.z", input={})).startswith("No such user.")


async def test_a_deleted_user_is_shut_out_at_once_and_kept(root: Caller, word: str) -> None:
    email = await add_user(root, word)
    person = await add_key(root, email)
    assert (await person.ask("GET", "/auth")).status == 200
    for _ in range(2):
        await done(root, DELETE_USER, email=email)
    assert (await person.ask("GET", "/auth")).status == 401
    query = "query($email: String) { user(email: $email) { status status_info is_active } }"
    found = (await root.graph(query, email=email))["data"]["user"]
    assert found == {"status": "deleted", "status_info": "admin-requested", "is_active": False}
    listed = await root.graph('{ users(status: "deleted") { email } }')
    assert {"email": email} in listed["data"]["users"]


async def test_a_purge_waits_for_sessions_and_names_them(
    root: Caller, word: str, create: Create, manager: Manager
) -> None:
    gid = await add_group(root, word)
    email = await add_user(root, word, group_ids=[gid])
    person = await add_key(root, email)
    made = await create(person, word, enqueueOnly=True, group=word)
    for query, variables in (
        (PURGE_USER, {"email": email, "input": {}}),
        (PURGE_GROUP, {"gid": gid}),
        (DELETE_KEYPAIR, {"access_key": person.access_key}),
    ):
        told = await refused(root, query, **variables)
        assert f"are not over: {word} ({made['sessionId']}). End them first." in told
    assert (await person.ask("DELETE", f"/session/{word}")).status == 200

    await done(root, DELETE_KEYPAIR, access_key=person.access_key)
    held = "SELECT access_key FROM sessions WHERE name = :name"
    ((heir,),) = await fetch(manager.stores.database, held, name=word)
    assert heir not in (None, person.access_key)
    await done(root, PURGE_USER, email=email, input={})
    assert await fetch(manager.stores.database, held, name=word) == []
    await done(root, PURGE_GROUP, gid=gid)
    note = "SELECT before FROM audit_log WHERE action = 'user.purge' AND target_id = :email"
    ((before,),) = await fetch(manager.stores.database, note, email=email)
    assert before["erased"]["sessions"] == 1
    assert before["password_hash"] == "***"


async def test_sessions_made_for_others_stay_theirs(
    root: Caller, word: str, create: Create, manager: Manager
) -> None:
    gid = await add_group(root, word)
    email = await add_user(root, word, role="superadmin", group_ids=[gid])
    boss = await add_key(root, email)
    await create(boss, word, enqueueOnly=True, owner_access_key="AKALICE")
    await done(root, PURGE_USER, email=email, input={})
    made = "SELECT u.email FROM sessions s JOIN users u ON u.id = s.created_by WHERE s.name = :name"
    assert await fetch(manager.stores.database, made, name=word) == [("alice@example.com",)]
    session = "SELECT CAST(id AS text) FROM sessions WHERE name = :name"
    ((session_id,),) = await fetch(manager.stores.database, session, name=word)
    assert (await root.ask("DELETE", f"/session/{session_id}")).status == 200


async def test_keypairs_are_shown_once_and_end_at_once(root: Caller, word: str) -> None:
    email = await add_user(root, word)
    given = {"is_active": True, "is_admin": True, "resource_policy": "default", "rate_limit": 100}
    person = await add_key(root, email, **given)
    assert len(str(person.access_key)) == 20
    assert len(person.secret_key) == 40
    answer = await person.ask("GET", "/auth")
    assert (answer.status, answer.headers["X-RateLimit-Limit"]) == (200, "100")
    nulls = {"is_admin": None, "resource_policy": None, "rate_limit": None}
    key = person.access_key
    await done(root, MODIFY_KEYPAIR, access_key=key, input={"is_active": False, **nulls})
    assert (await person.ask("GET", "/auth")).status == 401
    await done(root, MODIFY_KEYPAIR, access_key=key, input={"is_active": True, **nulls})
    query = "{ keypair { is_admin resource_policy rate_limit secret_key num_queries } }"
    assert (await person.graph(query))["data"]["keypair"] == {
        "is_admin": True,
        "resource_policy": "default",
        "rate_limit": 100,
        "secret_key": None,
        "num_queries": 0,
    }
    told = await refused(root, MODIFY_KEYPAIR, access_key=key, input={"rate_limit": 0})
    assert told.startswith("rate_limit: write a number of requests from 1 to")
    told = await refused(root, MODIFY_KEYPAIR, access_key=key, input={"resource_policy": "x"})
    assert "there are: default, few-waiting, small" in told
    await done(root, DELETE_KEYPAIR, access_key=key)
    assert (await person.ask("GET", "/auth")).status == 401
    assert (await refused(root, DELETE_KEYPAIR, access_key=key)).startswith("No such keypair.")


async def test_the_main_keypair_is_not_deleted(root: Caller) -> None:
    told = await refused(root, DELETE_KEYPAIR, access_key="AKBOB")
    assert "is the main keypair of bob@example.com" in told


async def test_what_is_selected_of_a_new_keypair_is_there(root: Caller, word: str) -> None:
    email = await add_user(root, word)
    query = """mutation($user_id: String!) {
      create_keypair(user_id: $user_id, props: {}) { keypair {
        id user_id full_name access_key is_active is_admin resource_policy created_at last_used
        rate_limit num_queries user projects ssh_public_key compute_sessions { id }
        concurrency_used user_info { email } concurrency_limit } } }"""
    made = (await root.graph(query, user_id=email))["data"]["create_keypair"]["keypair"]
    assert made["user_info"] == {"email": email}
    assert (made["compute_sessions"], made["concurrency_used"]) == ([], 0)


async def test_nobody_locks_himself_out(root: Caller) -> None:
    me = "root@example.com"
    for query, variables in (
        (DELETE_USER, {"email": me}),
        (PURGE_USER, {"email": me, "input": {}}),
        (MODIFY_USER, {"email": me, "input": {"status": "inactive"}}),
        (MODIFY_USER, {"email": me, "input": {"role": "user"}}),
        (DELETE_DOMAIN, {"name": "default"}),
        (MODIFY_KEYPAIR, {"access_key": "AKROOT", "input": {"is_active": False}}),
        (DELETE_KEYPAIR, {"access_key": "AKROOT"}),
    ):
        told = await refused(root, query, **variables)
        assert "yourself; another superadmin can" in told, told
    assert (await root.ask("GET", "/auth")).status == 200


async def test_superadmins_who_remove_each_other_leave_one(root: Caller, word: str) -> None:
    """Root is switched off meanwhile, so that it is between the two."""
    one = await add_user(root, f"{word}-1", role="superadmin")
    two = await add_user(root, f"{word}-2", role="superadmin")
    first, second = await add_key(root, one), await add_key(root, two)
    await done(first, MODIFY_USER, email="root@example.com", input={"status": "inactive"})
    orders = [
        caller.ask("POST", "/admin/gql", {"query": DELETE_USER, "variables": {"email": email}})
        for caller, email in ((first, two), (second, one))
    ]
    answers = await asyncio.gather(*orders)
    # Who was removed before the gate looked is not even let in.
    ok = [each.status == 200 and each.json["data"]["delete_user"]["ok"] for each in answers]
    assert sum(ok) == 1
    left = first if ok[0] else second
    await done(left, MODIFY_USER, email="root@example.com", input={"status": "active"})
    for email in (one, two):
        await done(root, PURGE_USER, email=email, input={})


async def test_users_see_only_themselves(as_user: AsUser) -> None:
    query = "{ users { email domain_name } }"
    alice = (await as_user("alice").graph(query))["data"]["users"]
    assert [each["email"] for each in alice] == ["alice@example.com"]
    carol = (await as_user("carol").graph(query))["data"]["users"]
    assert {each["domain_name"] for each in carol} == {"default"}
    root = (await as_user("root").graph(query))["data"]["users"]
    assert {"default", "other"} <= {each["domain_name"] for each in root}
    bob = (await as_user("root").graph('{ user(email: "bob@example.com") { uuid } }'))["data"]
    query = "query($id: ID) { user_from_uuid(user_id: $id) { email } }"
    assert (await as_user("alice").graph(query, id=bob["user"]["uuid"]))["errors"]
    found = await as_user("mallory").graph(query, id=bob["user"]["uuid"])
    assert found["data"]["user_from_uuid"] is None
    assert (await as_user("alice").graph("{ users(group_id: 5) { email } }"))["errors"]


ODD: list[Any] = [
    "",
    " ",
    "a" * 70_000,
    "\u202e\u2028",
    "\U0001f600",
    "'; drop table users; --",
    "null",
    "[1]",
    '{"cpu": "1e400", "mem": {}}',
    '{"a": {"b": [null]}}',
    "{" * 200,
    0,
    -1,
    2**31,
    1e308,
    True,
    [],
    [None, 5, "x", []],
    {"a": {"b": []}},
]
INPUTS: dict[str, tuple[str, dict[str, Any]]] = {
    "DomainInput": (CREATE_DOMAIN, {"name": "fuzz"}),
    "ModifyDomainInput": (MODIFY_DOMAIN, {"name": "nosuch"}),
    "GroupInput": (CREATE_GROUP, {"name": "fuzz"}),
    "ModifyGroupInput": (MODIFY_GROUP, {"gid": str(uuid.UUID(int=9))}),
    "UserInput": (CREATE_USER, {"email": "fuzz@example.com"}),
    "ModifyUserInput": (MODIFY_USER, {"email": "tiny@example.com"}),
    "KeyPairInput": (CREATE_KEYPAIR, {"user_id": "tiny@example.com"}),
    "ModifyKeyPairInput": (MODIFY_KEYPAIR, {"access_key": "AKTINY"}),
}


@pytest.mark.parametrize("kind", INPUTS)
async def test_no_value_is_more_than_refused(root: Caller, kind: str, word: str) -> None:
    """Whatever stands in one field: an answer with `ok`, or an error of the document, never 500."""
    found = await root.graph(f'{{ __type(name: "{kind}") {{ inputFields {{ name }} }} }}')
    query, key = INPUTS[kind]
    if "gid" in key:
        key = {"gid": await add_group(root, word)}
    required = {"GroupInput": {"domain_name": "default"}, "UserInput": {"password": "x"}}
    for field in found["data"]["__type"]["inputFields"]:
        for odd in ODD:
            props = {**required.get(kind, {}), field["name"]: odd}
            body = {"query": query, "variables": {**key, "input": props}}
            answer = await root.ask("POST", "/admin/gql", body)
            assert answer.status == 200, (kind, props, answer.body)
            answered = answer.json
            assert answered.get("errors") or "ok" in next(iter(answered["data"].values()))
