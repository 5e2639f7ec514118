"""One's own account: passwords, lock-out, expiry, signing up and out, SSH keys."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa

from backendai.common.encoded import ENCODED_HEADER
from backendai.common.faults import RateLimited
from backendai.manager.accounts.attempts import ADDRESS_TRIES_MAX, Attempts
from backendai.manager.accounts.sshkeys import make_ssh_keypair
from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Answer, Caller, until
from tests.integration.manager.api.test_accounts import (
    CREATE_USER,
    DELETE_USER,
    MODIFY_USER,
    add_key,
    done,
    new_user,
)
from tests.integration.manager.world import fetch
from tests.running.encoded import encode_body

AsUser = Callable[[str], Caller]
PASSWORD = "pass-word-1"


@pytest.fixture
def root(as_user: AsUser) -> Caller:
    return as_user("root")


@pytest.fixture
async def email(root: Caller) -> str:
    """Somebody new, with a password."""
    word = f"n{uuid.uuid4().hex[:10]}"
    made = f"{word}@example.com"
    given = new_user(username=word, password=PASSWORD)
    await done(root, CREATE_USER, email=made, input=given)
    return made


@asynccontextmanager
async def setting(manager: Manager, key: str, value: str) -> AsyncIterator[None]:
    """A value of the cluster's configuration, for as long as the context is open."""
    facts = manager.services.cluster

    async def has(wanted: str | None) -> bool:
        return facts.find(key) == wanted

    await manager.stores.etcd.put(f"config/{key}", value)
    await until(lambda: has(value))
    yield
    await manager.stores.etcd.delete(f"config/{key}")
    await until(lambda: has(None))


async def log_in(caller: Caller, email: str, password: str = PASSWORD, **more: str) -> Answer:
    body = {"type": "keypair", "domain": "default", "username": email, "password": password}
    return await caller.ask("POST", "/auth/authorize", {**body, **more})


OWN = (
    ("POST", "/auth/signout", {"email": "x@y.z", "password": "x"}),
    ("POST", "/auth/update-password", {"old_password": "x", "new_password": "y"}),
    ("POST", "/auth/update-full-name", {"email": "x@y.z", "full_name": "x"}),
    ("GET", "/auth/ssh-keypair", None),
    ("PATCH", "/auth/ssh-keypair", None),
    ("POST", "/auth/ssh-keypair", {"pubkey": "x", "privkey": "y"}),
)


async def test_nothing_of_an_account_without_a_credential(nobody: Caller) -> None:
    for verb, path, body in OWN:
        assert (await nobody.ask(verb, path, body)).status == 401


async def test_nor_with_a_wrong_one(alice: Caller) -> None:
    for verb, path, body in OWN:
        assert (await alice.but(secret_key="x").ask(verb, path, body)).status == 401


async def test_the_account_of_somebody_else_is_left_alone(alice: Caller, bob: Caller) -> None:
    body = {"email": "bob@example.com", "full_name": "Robert"}
    assert (await alice.ask("POST", "/auth/update-full-name", body)).status == 403
    body = {"email": "bob@example.com", "password": "password of bob"}
    assert (await alice.ask("POST", "/auth/signout", body)).status == 403
    assert (await bob.ask("GET", "/auth")).status == 200


async def test_a_password_gives_the_main_keypair(nobody: Caller, email: str) -> None:
    answer = await log_in(nobody, email, extra="ignored")
    assert answer.status == 200
    data = answer.json["data"]
    assert (data["role"], data["status"]) == ("user", "active")
    person = nobody.but(access_key=data["access_key"], secret_key=data["secret_key"])
    own = (await person.graph("{ user { email main_access_key } }"))["data"]["user"]
    assert own == {"email": email, "main_access_key": data["access_key"]}
    by_name = await log_in(nobody, email.partition("@")[0])
    assert by_name.json["data"]["access_key"] == data["access_key"]


async def test_a_wrong_one_tells_nothing(nobody: Caller, email: str, root: Caller) -> None:
    told = [
        await log_in(nobody, email, "wrong"),
        await log_in(nobody, f"x{email}"),
        await log_in(nobody, email, domain="other"),
        await log_in(nobody, email, domain="nosuch"),
    ]
    await done(root, DELETE_USER, email=email)
    told.append(await log_in(nobody, email))
    bodies = {answer.body for answer in told}
    assert len(bodies) == 1
    assert (told[0].status, told[0].slug) == (401, "auth-failed")
    assert told[0].json["msg"] == "User credential mismatch."
    assert (await log_in(nobody, email, type="jwt")).status == 400
    assert (await nobody.ask("POST", "/auth/authorize", {"type": "keypair"})).status == 400


async def test_guessing_is_stopped(nobody: Caller, email: str) -> None:
    answers = await asyncio.gather(*(log_in(nobody, email, f"guess {n}") for n in range(15)))
    assert sorted(answer.status for answer in answers) == [401] * 10 + [429] * 5
    last = await log_in(nobody, email)
    assert last.status == 429
    assert 0 < int(last.headers["Retry-After"]) <= 1200
    assert (await log_in(nobody, "alice@example.com", "password of alice")).status == 200


async def test_one_address_does_not_try_a_password_on_all_accounts(manager: Manager) -> None:
    attempts = Attempts(manager.stores.redis)
    for n in range(ADDRESS_TRIES_MAX):
        await attempts.begin("login-from:x", ADDRESS_TRIES_MAX)
        if n % 2:
            await attempts.take_back("login-from:x")
    for _ in range(ADDRESS_TRIES_MAX // 2):
        await attempts.begin("login-from:x", ADDRESS_TRIES_MAX)
    with pytest.raises(RateLimited):
        await attempts.begin("login-from:x", ADDRESS_TRIES_MAX)


async def test_a_right_password_forgets_wrong_ones(nobody: Caller, email: str) -> None:
    for _ in range(3):
        for _ in range(4):
            assert (await log_in(nobody, email, "wrong")).status == 401
        assert (await log_in(nobody, email)).status == 200


async def test_a_password_is_changed_with_the_old_one(
    root: Caller, email: str, nobody: Caller, manager: Manager
) -> None:
    await done(root, MODIFY_USER, email=email, input={"need_password_change": True})
    person = await add_key(root, email)

    async def change(old: str, new: str, again: str) -> Answer:
        body = {"old_password": old, "new_password": new, "new_password2": again}
        return await person.ask("POST", "/auth/update-password", body)

    mismatch = await change(PASSWORD, "a", "b")
    assert (mismatch.status, mismatch.json) == (400, {"error_msg": "new password mismatch"})
    assert (await change("wrong", "new-1", "new-1")).status == 401
    changed = await change(PASSWORD, "new-1", "new-1")
    assert (changed.status, changed.json) == (200, {})
    assert (await log_in(nobody, email)).status == 401
    assert (await log_in(nobody, email, "new-1")).status == 200
    own = (await person.graph("{ user { need_password_change } }"))["data"]["user"]
    assert own == {"need_password_change": False}
    noted = "SELECT email, after FROM audit_log WHERE action = 'user.change_password'"
    rows = [after for by, after in await fetch(manager.stores.database, noted) if by == email]
    assert [after["password_hash"] for after in rows] == ["***"]


async def test_newer_clients_encode_their_passwords(
    root: Caller, nobody: Caller, email: str
) -> None:
    async def send(caller: Caller, target: str, body: dict[str, str], endpoint: str) -> Answer:
        raw = encode_body(json.dumps(body).encode(), endpoint)
        kind, headers = "application/octet-stream", {ENCODED_HEADER: "true"}
        return await caller.ask("POST", target, raw=raw, content_type=kind, headers=headers)

    own = f"http://{nobody.address}"
    body = {"type": "keypair", "domain": "default", "username": email, "password": PASSWORD}
    for endpoint in (own, f"{own}/"):
        answer = await send(nobody, "/auth/authorize", body, endpoint)
        assert answer.status == 200, answer.body
    assert (await send(nobody, "/auth/authorize", body, "http://elsewhere:1")).status == 400
    person = await add_key(root, email)
    words = {"old_password": PASSWORD, "new_password": "new-2", "new_password2": "new-2"}
    assert (await send(person, "/auth/update-password", words, own)).status == 200
    assert (await log_in(nobody, email, "new-2")).status == 200


async def test_passwords_expire_where_they_are_told_to(
    nobody: Caller, email: str, manager: Manager
) -> None:
    async def renew(new: str, old: str = PASSWORD) -> Answer:
        body = {"domain": "default", "username": email, "current_password": old}
        body["new_password"] = new
        return await nobody.ask("POST", "/auth/update-password-no-auth", body)

    assert (await renew("new-1")).status == 400
    async with setting(manager, "auth/max_password_age", "90"):
        assert (await log_in(nobody, email)).status == 200
        async with manager.stores.database.begin() as connection:
            aged = "update users set password_changed_at = now() - interval '91 days'"
            await connection.execute(sa.text(aged + " where email = :email"), {"email": email})
        expired = await log_in(nobody, email)
        assert (expired.status, expired.slug) == (401, "password-expired")
        assert expired.json["msg"].startswith("Password expired on 20")
        assert (await renew(PASSWORD)).status == 400
        assert (await renew("new-1", "wrong")).status == 401
        renewed = await renew("new-1")
        assert renewed.status == 201
        assert renewed.json["password_changed_at"].endswith("+00:00")
        assert (await log_in(nobody, email, "new-1")).status == 200


async def test_a_password_from_somebody_else_is_good_for_making_ones_own(
    nobody: Caller, email: str, manager: Manager
) -> None:
    async with manager.stores.database.begin() as connection:
        given = "update users set need_password_change = true where email = :email"
        await connection.execute(sa.text(given), {"email": email})
    refused = await log_in(nobody, email)
    assert (refused.status, refused.slug) == (401, "password-expired")
    assert (await log_in(nobody, email, "wrong")).slug == "auth-failed"
    body = {"domain": "default", "username": email, "current_password": PASSWORD}
    own = await nobody.ask(
        "POST", "/auth/update-password-no-auth", {**body, "new_password": "new-1"}
    )
    assert own.status == 201
    assert (await log_in(nobody, email, "new-1")).status == 200


async def test_signing_up_is_closed_until_it_is_opened(nobody: Caller, manager: Manager) -> None:
    word = f"n{uuid.uuid4().hex[:10]}"
    body = {"domain": "default", "email": f"{word}@example.com", "password": PASSWORD}
    assert (await nobody.ask("POST", "/auth/signup", body)).status == 403
    async with setting(manager, "auth/signup", "true"):
        made = await nobody.ask("POST", "/auth/signup", {**body, "username": word, "x": 1})
        assert made.status == 201
        person = nobody.but(**made.json)
        query = "{ user { username role status groups { name } } }"
        assert (await person.graph(query))["data"]["user"] == {
            "username": word,
            "role": "user",
            "status": "active",
            "groups": [{"name": "default"}],
        }
        again = await nobody.ask("POST", "/auth/signup", body)
        assert (again.status, again.slug) == (400, "generic-bad-request")
        wrong = await nobody.ask("POST", "/auth/signup", {**body, "domain": "nosuch"})
        assert wrong.status == 400
        claimed = {**body, "email": f"{word}2@example.com", "role": "superadmin", "status": "x"}
        made = await nobody.ask("POST", "/auth/signup", claimed)
        assert (await nobody.but(**made.json).graph(query))["data"]["user"]["role"] == "user"
        for _ in range(10):
            last = await nobody.ask("POST", "/auth/signup", body)
        assert last.status == 429
    noted = "SELECT email FROM audit_log WHERE action = 'user.sign_up' AND target_kind = 'user'"
    assert (f"{word}@example.com",) in await fetch(manager.stores.database, noted)


async def test_signing_out_ends_the_account(root: Caller, nobody: Caller, email: str) -> None:
    person = await add_key(root, email)
    wrong = {"email": email, "password": "wrong"}
    assert (await person.ask("POST", "/auth/signout", wrong)).status == 401
    right = {"username": email.partition("@")[0], "password": PASSWORD}
    answer = await person.ask("POST", "/auth/signout", right)
    assert (answer.status, answer.json) == (200, {})
    assert (await person.ask("GET", "/auth")).status == 401
    assert (await log_in(nobody, email)).status == 401
    last = {"email": "root@example.com", "password": "password of root"}
    refused = await root.ask("POST", "/auth/signout", last)
    assert (refused.status, refused.slug) == (409, "conflict")


async def test_the_own_name_is_changed(alice: Caller, as_user: AsUser) -> None:
    for who in ("alice", "eve"):
        body = {"email": f"{who}@example.com", "full_name": f"{who.title()} Example"}
        answer = await as_user(who).ask("POST", "/auth/update-full-name", body)
        assert (answer.status, answer.json) == (200, {})
        found = (await as_user(who).graph("{ user { full_name } }"))["data"]["user"]
        assert found["full_name"] == f"{who.title()} Example"
    body = {"email": "alice@example.com", "full_name": "a\nb"}
    assert (await alice.ask("POST", "/auth/update-full-name", body)).status == 400


async def test_ssh_keys_are_made_and_brought(alice: Caller, bob: Caller, manager: Manager) -> None:
    path = "/auth/ssh-keypair"
    assert (await alice.ask("GET", path)).json == {"ssh_public_key": ""}
    made = (await alice.ask("PATCH", path)).json
    assert made["ssh_public_key"].startswith("ssh-ed25519 ")
    assert made["ssh_private_key"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert (await alice.ask("GET", path)).json == {"ssh_public_key": made["ssh_public_key"]}
    assert (await bob.ask("GET", path)).json == {"ssh_public_key": ""}

    own, other = make_ssh_keypair(), make_ssh_keypair()
    brought = {"pubkey": f"{own.public} me@laptop", "privkey": own.private}
    answer = await alice.ask("POST", path, brought)
    assert (answer.status, answer.json["ssh_public_key"]) == (200, brought["pubkey"])
    for wrong in (
        {"pubkey": other.public, "privkey": own.private},
        {"pubkey": own.public, "privkey": "nonsense"},
    ):
        refused = await alice.ask("POST", path, wrong)
        assert (refused.status, refused.slug) == (400, "invalid-api-params")
    stored = "SELECT ssh_private_key_encrypted FROM keypairs WHERE access_key = 'AKALICE'"
    ((sealed,),) = await fetch(manager.stores.database, stored)
    assert b"OPENSSH" not in sealed
    found = (await alice.graph("{ keypair { ssh_public_key } }"))["data"]["keypair"]
    assert found == {"ssh_public_key": brought["pubkey"]}
