"""How many statements a session's way costs: each is a round trip that somebody waits for."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.conftest import body_of
from tests.integration.manager.api.scripted import ScriptedAgent

Create = Callable[..., Awaitable[dict[str, Any]]]

REQUEST, PLANNER, AGENT = "request", "planner", "agent"
_STATUS = "SELECT sessions.status"
# By the clock and not by the session: leases, words of nodes, use, who signs a request.
_BY_THE_CLOCK = ("expires_at = ", "SET last_use", "last_seen_at=", "k.secret_key_encrypted")


class Executed:
    """Statements and how often, by who executes them; begin and commit are not among them."""

    def __init__(self) -> None:
        self.by: dict[str, Counter[str]] = {
            REQUEST: Counter(),
            PLANNER: Counter(),
            AGENT: Counter(),
        }

    def once(self, who: str) -> int:
        """How many different ones: on a slow machine a look is repeated."""
        return len(self.by[who])

    def in_a_row(self) -> int:
        """Those of the request, with each repetition but that of looking for the status."""
        return sum(1 if _STATUS in text else n for text, n in self.by[REQUEST].items())


@contextmanager
def executed(manager: Manager) -> Iterator[Executed]:
    found = Executed()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        who = _who()
        if who and not any(word in statement for word in _BY_THE_CLOCK):
            found.by[who][statement] += 1

    engine = manager.stores.database.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def _who() -> str:
    """Requests are handled in tasks that have no name of their own."""
    task = asyncio.current_task()
    name = task.get_name() if task is not None else ""
    if name.startswith("Task-"):
        return REQUEST
    if name == "core.plan":
        return PLANNER
    return AGENT if name.startswith("agent.") else ""


@pytest.fixture
async def warm(alice: Caller, agent: ScriptedAgent, create: Create) -> None:
    """Everything that is done once has been done."""
    await create(alice, "statements-warm")
    assert (await alice.ask("DELETE", "/session/statements-warm")).status == 200


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("headers", [{}, {"X-BackendAI-Client-Token": "statements-token"}])
async def test_a_session_is_created_placed_and_ended_in_few_statements(
    manager: Manager, alice: Caller, create: Create, name: str, headers: dict[str, str]
) -> None:
    with executed(manager) as creating:
        made = await alice.ask("POST", "/session", body_of(name), headers=headers)
    assert made.json["status"] == "RUNNING"
    # What it needs to know, the image, its rows; that it runs, and what it is then.
    assert creating.in_a_row() <= 5, creating.by
    # Who waits, where, with which limits; the lock, the node, the session, the limits, the rows.
    assert creating.once(PLANNER) <= 8, creating.by
    # Cases and spec; the session and its rows.
    assert creating.once(AGENT) <= 4, creating.by
    with executed(manager) as ending:
        assert (await alice.ask("DELETE", f"/session/{name}")).status == 200
    # The session, its rows; that it has ended.
    assert ending.in_a_row() <= 3, ending.by
    assert ending.once(AGENT) <= 3, ending.by
