"""Nodes that join by a one-time token: who makes one, what it is good for, and what it is not."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import sqlalchemy as sa

from backendai.common.contracts.joining import (
    CONTRACT,
    JOIN_PATH,
    JOIN_TOKENS_PATH,
    PROVE,
    Proof,
    Prove,
)
from backendai.common.rpc.curve import generate_keypair
from backendai.common.rpc.server import RpcServer
from backendai.manager.agents.join_tokens import KEPT_DAYS, digest_of
from backendai.manager.agents.joining import TRIES_MAX
from backendai.manager.app import Manager
from backendai.manager.db import tables as t
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api.caller import Answer, Caller
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.test_nodes import AsUser

KEY: Final = generate_keypair().public
OTHER_KEY: Final = generate_keypair().public
GROUP: Final = "default"
# An address that nobody listens at.
CLOSED: Final = "127.0.0.1:9"
Join = Callable[..., Awaitable[Answer]]


@asynccontextmanager
async def node_at(agent_id: str) -> AsyncIterator[str]:
    """A machine that answers managers while it joins. Gives its address."""

    async def prove(asked: Prove) -> Proof:
        return Proof(asked.nonce, agent_id)

    server = RpcServer("tcp://127.0.0.1:*", None, [], CONTRACT)
    server.on(PROVE, prove)
    async with server:
        yield server.address.removeprefix("tcp://")


async def make_token(caller: Caller, **changes: Any) -> str:
    answer = await caller.ask("POST", JOIN_TOKENS_PATH, {"resource_group": GROUP, **changes})
    assert answer.status == 201, answer.body
    return str(answer.json["token"])


@pytest.fixture
def join(nobody: Caller) -> Join:
    async def ask(token: str, address: str, /, **changes: Any) -> Answer:
        body = {"token": token, "agent_id": "i-new", "address": address, "public_key": KEY}
        return await nobody.ask("POST", JOIN_PATH, {**body, **changes})

    return ask


@pytest.fixture
async def node() -> AsyncIterator[str]:
    async with node_at("i-new") as address:
        yield address


async def test_only_superadmins_make_tokens(nobody: Caller, alice: Caller, as_user: AsUser) -> None:
    body = {"resource_group": GROUP}
    assert (await nobody.ask("POST", JOIN_TOKENS_PATH, body)).status == 401
    for name in ("alice", "carol", "eve"):
        assert (await as_user(name).ask("POST", JOIN_TOKENS_PATH, body)).status == 401
    wrong = alice.but(secret_key="x")
    assert (await wrong.ask("POST", JOIN_TOKENS_PATH, body)).status == 401


async def test_tokens_that_are_open_are_listed_and_withdrawn(
    nobody: Caller, as_user: AsUser, join: Join, node: str
) -> None:
    root = as_user("root")
    used, kept, leaked = [await make_token(root, expires_seconds=60 * n) for n in (1, 2, 3)]
    assert (await join(used, node)).status == 200
    listed = await root.ask("GET", JOIN_TOKENS_PATH)
    first, second = listed.json["items"]
    assert first["expires_at"] < second["expires_at"]
    assert set(first) == {"id", "resource_group", "expires_at"}
    path = f"{JOIN_TOKENS_PATH}/{second['id']}"
    for who in (nobody, as_user("alice"), as_user("carol")):
        assert (await who.ask("GET", JOIN_TOKENS_PATH)).status == 401
        assert (await who.ask("DELETE", path)).status == 401
    assert (await root.ask("DELETE", path)).status == 204
    assert (await join(leaked, node)).status == 403
    assert (await join(kept, node)).status == 200
    assert (await root.ask("GET", JOIN_TOKENS_PATH)).json["items"] == []
    for gone in (second["id"], first["id"], "nothing"):
        answer = await root.ask("DELETE", f"{JOIN_TOKENS_PATH}/{gone}")
        assert (answer.status, answer.slug) == (404, "object-not-found")
        assert "join token" in answer.body.decode()
    logged = await root.ask("GET", "/audit?action=agent.withdraw_join_token")
    assert [each["target_id"] for each in logged.json["items"]] == [second["id"]]


@pytest.mark.parametrize("seconds", [0, -1, 59, 7 * 86400 + 1, "1h"])
async def test_a_token_lives_for_a_minute_to_a_week(as_user: AsUser, seconds: object) -> None:
    body = {"resource_group": GROUP, "expires_seconds": seconds}
    answer = await as_user("root").ask("POST", JOIN_TOKENS_PATH, body)
    assert answer.status == 400
    assert "expires_seconds" in answer.body.decode()


async def test_a_token_is_for_a_group_that_there_is(as_user: AsUser) -> None:
    body = {"resource_group": "nowhere"}
    answer = await as_user("root").ask("POST", JOIN_TOKENS_PATH, body)
    assert answer.status == 404, answer.body


async def test_a_node_gets_what_it_needs(
    as_user: AsUser, settings: ManagerSettings, join: Join, node: str
) -> None:
    answer = await join(await make_token(as_user("root")), node)
    assert answer.status == 200, answer.body
    etcd = settings.etcd
    assert answer.json["resource_group"] == GROUP
    assert answer.json["etcd"]["namespace"] == etcd.namespace
    assert answer.json["etcd"]["port"] == etcd.addr.port


async def test_the_same_node_may_ask_again(as_user: AsUser, join: Join, node: str) -> None:
    token = await make_token(as_user("root"))
    assert [(await join(token, node)).status for _ in range(3)] == [200, 200, 200]


async def test_a_token_is_for_one_node(as_user: AsUser, join: Join, node: str) -> None:
    token = await make_token(as_user("root"))
    assert (await join(token, node)).status == 200
    for changes in ({"public_key": OTHER_KEY}, {"agent_id": "i-other"}):
        answer = await join(token, node, **changes)
        assert (answer.status, answer.slug) == (403, "join-token-refused")
        assert "used by i-new" in answer.json["msg"]


async def test_an_expired_token_is_refused(
    as_user: AsUser, manager: Manager, join: Join, node: str
) -> None:
    token = await make_token(as_user("root"))
    past = sa.update(t.join_tokens).values(expires_at=sa.text("now() - interval '1 second'"))
    await manager.stores.database.transact(lambda conn: conn.execute(past))
    answer = await join(token, node)
    assert answer.status == 403
    assert "expired at" in answer.json["msg"]


async def test_tokens_that_expired_long_ago_are_forgotten(
    as_user: AsUser, manager: Manager, join: Join
) -> None:
    stores, told = manager.stores.database, []
    for days in (0, KEPT_DAYS - 1, KEPT_DAYS + 1):
        token = await make_token(as_user("root"))
        past = (
            sa.update(t.join_tokens)
            .where(t.join_tokens.c.token_hash == digest_of(token))
            .values(expires_at=sa.func.now() - sa.func.make_interval(0, 0, 0, days))
        )
        await stores.transact(lambda conn, past=past: conn.execute(past))
        await manager.services.joining.forget()
        told.append((await join(token, CLOSED)).json["msg"][:16])
    assert told == ["The token expire", "The token expire", "No such token: c"]


async def test_a_node_that_cannot_be_asked_back_keeps_its_token(
    as_user: AsUser, join: Join, node: str
) -> None:
    """What was told to nobody is not used up."""
    token = await make_token(as_user("root"))
    answer = await join(token, CLOSED)
    assert (answer.status, answer.slug) == (422, "node-unreachable")
    assert CLOSED in answer.json["msg"]
    assert "etcd" not in answer.json
    assert (await join(token, node)).status == 200


async def test_what_no_manager_can_connect_to_is_told(as_user: AsUser, join: Join) -> None:
    answer = await join(await make_token(as_user("root")), "-:1")
    assert (answer.status, answer.slug) == (422, "node-unreachable")
    assert "-:1" in answer.json["msg"]


async def test_another_node_that_answers_is_told(as_user: AsUser, join: Join) -> None:
    token = await make_token(as_user("root"))
    async with node_at("i-somebody-else") as address:
        answer = await join(token, address)
    assert answer.status == 422
    assert "another node answers" in answer.json["msg"]


async def test_a_name_that_a_living_node_has_is_refused(
    as_user: AsUser, join: Join, agent: ScriptedAgent
) -> None:
    token = await make_token(as_user("root"))
    async with node_at(agent.agent_id) as address:
        answer = await join(token, address, agent_id=agent.agent_id)
    assert answer.status == 409, answer.body
    assert "another name" in answer.json["msg"]


async def test_guesses_are_counted_by_address(as_user: AsUser, join: Join, node: str) -> None:
    token = await make_token(as_user("root"))
    seen = [(await join(f"join-{number}", node)).status for number in range(TRIES_MAX + 5)]
    assert seen == [403] * TRIES_MAX + [429] * 5
    # Whoever has tried too often learns nothing, be the next one right.
    assert (await join(token, node)).status == 429


async def test_nodes_that_join_do_not_use_up_the_tries(
    as_user: AsUser, join: Join, node: str
) -> None:
    token = await make_token(as_user("root"))
    seen = {(await join(token, node)).status for _ in range(TRIES_MAX + 5)}
    assert seen == {200}


@pytest.mark.parametrize(
    "changes",
    [
        {"public_key": "x" * 39},
        {"public_key": " " * 40},
        {"agent_id": "../etc"},
        {"agent_id": "i new"},
        {"address": "tcp://10.0.0.1:1"},
        {"address": "10.0.0.1"},
        {"address": "unix:///run/docker.sock:1"},
        {"token": "x" * 1000},
        {"resource_group": "gpu"},
    ],
)
async def test_what_is_no_node_is_refused(join: Join, changes: dict[str, str]) -> None:
    answer = await join("join-x", CLOSED, **changes)
    assert answer.status == 400, answer.body


async def test_who_made_and_who_used_a_token_is_audited_and_the_token_nowhere(
    as_user: AsUser, manager: Manager, join: Join, node: str
) -> None:
    token = await make_token(as_user("root"))
    assert (await join(token, node)).status == 200
    logged = await as_user("root").ask("GET", "/audit?limit=2")
    joined, made = logged.json["items"]
    assert (made["action"], made["email"]) == ("agent.join_token", "root@example.com")
    assert (joined["action"], joined["email"]) == ("agent.join", "node:i-new")
    assert joined["after"]["join_token"] == made["target_id"]
    assert token not in logged.body.decode()
    rows = await manager.stores.database.read(
        lambda conn: conn.execute(sa.text("select join_tokens::text from join_tokens"))
    )
    assert token not in str(rows.all())
