"""Owners change the name of a session, and its priority while it waits."""

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.conftest import body_of
from tests.integration.manager.api.scripted import ScriptedAgent

Create = Callable[..., Awaitable[dict[str, Any]]]
MODIFY = (
    "mutation($input: ModifyComputeSessionInput!) { modify_compute_session(input: $input)"
    " { item { id row_id name priority status } clientMutationId } }"
)


async def modified(caller: Caller, session_id: str, **given: Any) -> Any:
    """The answer, or what was refused."""
    answer = await caller.graph(MODIFY, input={"id": session_id, **given})
    if "errors" in answer:
        return answer["errors"][0]["message"]
    return answer["data"]["modify_compute_session"]


async def test_others_change_nothing(
    alice: Caller,
    bob: Caller,
    as_user: Callable[[str], Caller],
    agent: ScriptedAgent,
    create: Create,
    name: str,
) -> None:
    session_id = (await create(alice, name))["sessionId"]
    body = {"query": MODIFY, "variables": {"input": {"id": session_id, "name": "taken-over"}}}
    for stranger in (alice.but(access_key=None), alice.but(secret_key="wrong")):
        assert (await stranger.ask("POST", "/admin/gql", body)).status == 401
    for other in (bob, as_user("carol"), as_user("mallory")):
        for reference in (session_id, str(uuid.uuid4())):
            assert "No such session" in await modified(other, reference, name="taken-over")
    assert "no permission" in await modified(as_user("eve"), session_id, name="taken-over")
    assert (await alice.ask("GET", f"/session/{name}")).status == 200


async def test_its_owner_does(
    alice: Caller,
    as_user: Callable[[str], Caller],
    agent: ScriptedAgent,
    create: Create,
    name: str,
) -> None:
    running = (await create(alice, name))["sessionId"]
    given = {"name": f"{name}-new", "clientMutationId": "m1"}
    answer = await modified(alice, running, **given)
    assert answer["clientMutationId"] == "m1"
    assert (answer["item"]["row_id"], answer["item"]["name"]) == (running, f"{name}-new")
    again = await modified(alice, answer["item"]["id"], priority=answer["item"]["priority"])
    assert again == {**answer, "clientMutationId": None}
    assert "only while it waits" in await modified(alice, running, priority=50)
    assert "write" in await modified(alice, running, name="../x")

    body = body_of(f"{name}-waits", enqueueOnly=True, config={"resources": {"cpu": "7.5"}})
    waiting = (await alice.ask("POST", "/session", body)).json["sessionId"]
    assert "write a whole number" in await modified(alice, waiting, priority=101)
    assert (await modified(alice, waiting, priority=50))["item"]["priority"] == 50
    taken = await modified(alice, waiting, name=f"{name}-new", priority=70)
    assert "is called" in taken
    query = "query($id: UUID!) { compute_session(id: $id) { name priority } }"
    shown = (await alice.graph(query, id=waiting))["data"]["compute_session"]
    assert shown == {"name": f"{name}-waits", "priority": 50}
    noted = (await as_user("root").ask("GET", "/audit?limit=1")).json["items"][0]
    assert (noted["action"], noted["target_id"]) == ("session.modify", waiting)
    assert (noted["before"], noted["after"]) == ({"priority": 10}, {"priority": 50})
    await alice.ask("DELETE", f"/session/{name}-waits")
