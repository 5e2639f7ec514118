"""Error logs: own ones, those of one's domain, or all; paged, read, cleared."""

import json
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.client import Client, Config
from backendai.common.faults import ErrorLogNotFound
from backendai.manager.app import Manager
from backendai.manager.error_logs import store
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.command import run_inside as run
from tests.integration.manager.api.strangers import refuse_role, refuse_strangers
from tests.integration.manager.api.test_client import environ_of

NEW: dict[str, Any] = {
    "severity": "error",
    "source": "web",
    "message": "It broke",
    "context_lang": "js",
    "context_env": json.dumps({"page": "/summary"}),
}
ROUTES = [
    ("GET", "/logs/error", None),
    ("POST", "/logs/error", NEW),
    ("POST", f"/logs/error/{uuid.UUID(int=1)}/clear", None),
]


@pytest.fixture(autouse=True)
async def no_logs(manager: Manager) -> AsyncIterator[None]:
    yield
    async with manager.stores.database.begin() as connection:
        await connection.execute(sa.text("delete from error_logs"))


async def add(caller: Caller, message: str, **more: Any) -> None:
    answer = await caller.ask("POST", "/logs/error", {**NEW, "message": message, **more})
    assert (answer.status, answer.json) == (200, {"success": True}), answer.body


async def page(caller: Caller, query: str = "") -> Any:
    answer = await caller.ask("GET", f"/logs/error{query}")
    assert answer.status == 200, answer.body
    return answer.json


async def messages(caller: Caller, query: str = "") -> list[str]:
    return [one["message"] for one in (await page(caller, query))["logs"]]


@pytest.mark.parametrize("route", ROUTES)
async def test_strangers_are_refused(alice: Caller, route: tuple[str, str, Any]) -> None:
    await refuse_strangers(alice, route)


async def test_logs_of_others_are_not_there(
    alice: Caller, bob: Caller, as_user: Callable[[str], Caller]
) -> None:
    await add(alice, "of alice")
    [log] = (await page(alice))["logs"]
    for stranger in (bob, as_user("mallory")):
        assert await page(stranger) == {"logs": [], "count": 0}
        refused = await stranger.ask("POST", f"/logs/error/{log['log_id']}/clear")
        assert (refused.status, refused.json["title"]) == (404, "No such error log.")
    for administrator in ("carol", "root"):
        assert await messages(as_user(administrator)) == ["of alice"]
    assert await messages(alice) == ["of alice"]


async def test_a_monitor_writes_nothing(as_user: Callable[[str], Caller]) -> None:
    for route in ROUTES[1:]:
        await refuse_role(as_user("eve"), route)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"severity": "dire"}, "severity"),
        ({"message": 7}, "message"),
        ({"message": "x" * 65537}, "message"),
        ({"source": "x" * 257}, "source"),
        ({"context_env": "[1]"}, "context_env"),
        ({"request_status": 99}, "request_status"),
        ({"more": 1}, "more"),
    ],
)
async def test_bad_logs_name_what_is_wrong(
    alice: Caller, changes: dict[str, Any], field: str
) -> None:
    answer = await alice.ask("POST", "/logs/error", {**NEW, **changes})
    assert (answer.status, answer.slug) == (400, "invalid-api-params")
    assert [key.partition(".")[0] for key in answer.json["data"]] == [field]


async def test_a_context_that_is_no_json_is_refused(alice: Caller) -> None:
    answer = await alice.ask("POST", "/logs/error", {**NEW, "context_env": "{"})
    assert answer.status == 400


@pytest.mark.parametrize(
    "query", ["?page_size=0", "?page_size=101", "?page_no=0", "?page_no=x", "?mark_read=perhaps"]
)
async def test_bad_pages_are_refused(alice: Caller, query: str) -> None:
    answer = await alice.ask("GET", f"/logs/error{query}")
    assert (answer.status, answer.slug) == (400, "invalid-api-params")


@pytest.mark.parametrize("log_id", ["x", str(uuid.UUID(int=7))])
async def test_unknown_logs_are_not_cleared(alice: Caller, log_id: str) -> None:
    answer = await alice.ask("POST", f"/logs/error/{log_id}/clear")
    assert (answer.status, answer.slug) == (404, "object-not-found")


async def test_what_is_told_is_shown(alice: Caller) -> None:
    await add(
        alice,
        "whole",
        severity="critical",
        request_url="/func/session",
        request_status="500",
        traceback="line 1\nline 2",
    )
    await add(alice, "bare", context_env={"page": "/start"}, traceback=None)
    found = await page(alice, "?mark_read=False&page_size=20&page_no=1")
    assert found["count"] == 2
    bare, whole = found["logs"]
    assert isinstance(whole["created_at"], float)
    assert whole["created_at"] <= bare["created_at"]
    assert uuid.UUID(whole["log_id"])
    assert uuid.UUID(whole["user"])
    told = {key: whole[key] for key in whole if key not in ("log_id", "user", "created_at")}
    assert told == {
        "severity": "critical",
        "source": "web",
        "is_read": False,
        "message": "whole",
        "context_lang": "js",
        "context_env": {"page": "/summary"},
        "request_url": "/func/session",
        "request_status": 500,
        "traceback": "line 1\nline 2",
    }
    assert (bare["context_env"], bare["traceback"]) == ({"page": "/start"}, None)


async def test_pages_are_whole_and_newest_first(alice: Caller) -> None:
    for number in range(5):
        await add(alice, str(number))
    assert await messages(alice, "?page_size=2") == ["4", "3"]
    assert await messages(alice, "?page_size=2&page_no=3") == ["0"]
    assert await page(alice, "?page_size=2&page_no=4") == {"logs": [], "count": 5}


async def test_what_was_shown_may_be_marked_as_read(alice: Caller) -> None:
    await add(alice, "one")
    await add(alice, "two")

    async def reads(query: str = "") -> list[bool]:
        return [one["is_read"] for one in (await page(alice, query))["logs"]]

    assert await reads("?mark_read=False") == [False, False]
    assert await reads("?mark_read=True&page_size=1") == [False]
    assert await reads() == [True, False]


async def test_what_is_cleared_is_gone_for_everybody(
    alice: Caller, as_user: Callable[[str], Caller]
) -> None:
    await add(alice, "kept")
    await add(alice, "cleared")
    log_id = (await page(alice))["logs"][0]["log_id"]
    cleared = await as_user("carol").ask("POST", f"/logs/error/{log_id}/clear")
    assert (cleared.status, cleared.json) == (200, {"success": True})
    for caller in (alice, as_user("root")):
        assert await messages(caller) == ["kept"]
    assert (await alice.ask("POST", f"/logs/error/{log_id}/clear")).status == 404


async def test_only_so_many_of_a_user_are_kept(
    alice: Caller, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "KEPT_PER_USER", 3)
    await add(bob, "of bob")
    for number in range(5):
        await add(alice, str(number))
    assert await messages(alice) == ["4", "3", "2"]
    assert await messages(bob) == ["of bob"]


async def test_our_own_sdk_and_command(manager: Manager, alice: Caller) -> None:
    async with Client(Config.from_environment(environ_of(manager, "alice"))) as client:
        await client.error_logs.add("of the SDK", source="test", request_status=500)
        told = await run(manager, "error-log", "add", "--severity", "info", "typed", name="alice")
        assert (told.returncode, told.stdout) == (0, "")
        page = await client.error_logs.list(is_marking=True)
        assert [each.message for each in page.logs] == ["typed", "of the SDK"]
        assert (page.count, page.logs[1].request_status, page.logs[0].is_read) == (2, 500, False)
        assert [each.is_read for each in (await client.error_logs.list(page_size=1)).logs] == [True]
        listed = await run(manager, "error-log", "list", name="alice")
        assert "typed" in listed.stdout
        shown = await run(manager, "admin", "error-log", "list", "--output", "json")
        (last, first) = json.loads(shown.stdout)
        assert (last["severity"], first["source"]) == ("info", "test")
        gone = await run(manager, "error-log", "clear", last["log_id"], name="alice")
        assert gone.stdout == f"{last['log_id']}\n"
        assert await messages(alice) == ["of the SDK"]
        others = await run(manager, "error-log", "clear", first["log_id"], name="bob")
        assert (others.returncode, others.stdout) == (6, "")
        with pytest.raises(ErrorLogNotFound):
            await client.error_logs.clear(str(uuid.UUID(int=1)))
    assert "No error logs." in (await run(manager, "error-log", "list", name="bob")).stderr
