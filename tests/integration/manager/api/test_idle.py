"""What users see of idleness: checks in two renderings, warnings, and an extension."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.manager.app import Manager
from backendai.manager.db import tables as t
from backendai.manager.idle.loop import LEASE_NAME
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.strangers import refuse_strangers

Create = Callable[..., Awaitable[dict[str, Any]]]
QUERY = "query($id: UUID!) { compute_session(id: $id) { idle_checks } }"


@pytest.fixture
async def limited(manager: Manager) -> AsyncIterator[None]:
    """Everybody's sessions have limits."""

    async def limit(**policy: int) -> None:
        async with manager.stores.database.begin() as connection:
            await connection.execute(sa.update(t.keypair_policies).values(**policy))

    await limit(idle_timeout=600, max_session_lifetime=86400)
    yield
    await limit(idle_timeout=0, max_session_lifetime=0)


async def look(manager: Manager) -> None:
    """It is this manager's turn, whoever had it before."""
    async with manager.stores.database.begin() as connection:
        await connection.execute(sa.delete(t.leases).where(t.leases.c.name == LEASE_NAME))
    await manager.services.idle_watch.step()


async def test_strangers_are_refused(alice: Caller) -> None:
    await refuse_strangers(alice, ("POST", "/session/demo/extend", None))


async def test_nobody_extends_what_is_anothers_or_does_not_run(
    alice: Caller, bob: Caller, as_user: Callable[[str], Caller], create: Create, name: str
) -> None:
    made = await create(alice, name, enqueueOnly=True)
    for reference in (name, made["sessionId"], "nothing"):
        answer = await bob.ask("POST", f"/session/{reference}/extend")
        assert (answer.status, answer.slug) == (404, "object-not-found")
    answer = await as_user("mallory").ask("POST", f"/session/{made['sessionId']}/extend")
    assert answer.status == 404
    answer = await alice.ask("POST", f"/session/{name}/extend")
    assert answer.status == 409
    assert "only a running one" in str(answer.json)
    wrong = await alice.ask("POST", f"/session/{name}/extend", {"seconds": 5})
    assert (wrong.status, wrong.slug) == (400, "invalid-api-params")
    assert (await alice.ask("DELETE", f"/session/{name}")).status == 200


@pytest.mark.usefixtures("limited")
async def test_a_session_shows_what_last_counted_and_when_it_ends(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str, manager: Manager
) -> None:
    made = await create(alice, name)
    run = {"mode": "query", "code": "1", "runId": "r"}
    assert (await alice.ask("POST", f"/session/{name}", run)).status == 200
    await manager.services.activities.save()
    await look(manager)
    checks = (await alice.ask("GET", f"/session/{name}")).json["idleChecks"]
    assert set(checks) == {"network_timeout", "session_lifetime"}
    assert checks["network_timeout"]["extra"]["last_activity"]["by"] == "execute"
    assert 590 <= checks["network_timeout"]["remaining"] <= 600
    assert 86390 <= checks["session_lifetime"]["remaining"] <= 86400
    found = await alice.graph(QUERY, id=made["sessionId"])
    text = found["data"]["compute_session"]["idle_checks"]
    assert '"network_timeout":{"remaining":' in text
    extended = await alice.ask("POST", f"/session/{name}/extend")
    assert extended.status == 200
    assert (
        extended.json["idleChecks"]["network_timeout"]["extra"]["last_activity"]["by"] == "extend"
    )
    assert (await alice.ask("DELETE", f"/session/{name}")).status == 200
    assert (await alice.ask("GET", f"/session/{made['sessionId']}")).json["idleChecks"] == {}
    assert agent.agent_id


@pytest.mark.usefixtures("limited")
async def test_files_and_completions_count_too(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str, manager: Manager
) -> None:
    made = await create(alice, name)
    statement = sa.select(t.session_idleness.c.active_by).where(
        t.session_idleness.c.session_id == made["sessionId"]
    )
    assert (await alice.ask("GET", f"/session/{name}/files")).status == 200
    await manager.services.activities.save()
    async with manager.stores.database.begin() as connection:
        assert await connection.scalar(statement) == "list_files"
    assert (await alice.ask("DELETE", f"/session/{name}")).status == 200
    assert agent.agent_id


@pytest.mark.usefixtures("limited")
async def test_a_warning_is_an_event_of_the_session(
    alice: Caller, agent: ScriptedAgent, create: Create, name: str, manager: Manager
) -> None:
    made = await create(alice, name)
    past = sa.text(
        "update sessions set started_at = now() - interval '86399 s', "
        "status_changed_at = now() - interval '1 hour' where id = :id"
    )
    async with alice.stream(f"/events/session?sessionId={made['sessionId']}") as stream:
        assert stream.status == 200
        await stream.content.readuntil(b"\n\n")
        async with manager.stores.database.begin() as connection:
            await connection.execute(past, {"id": made["sessionId"]})
        await look(manager)
        told = b""
        while b"session_lifetime" not in told:
            told = await stream.content.readuntil(b"\n\n")
    assert b"event: session_idle_warning" in told
    assert b'"reason":"idle-session-lifetime"' in told
    assert b'"remaining":300' in told
    assert (await alice.ask("DELETE", f"/session/{name}")).status == 200
    assert agent.agent_id
