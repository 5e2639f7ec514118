"""Logging in and out, and one's own logins."""

from collections.abc import Callable

from tests.integration.webserver.conftest import Browser


async def test_nobody_asks_the_api(nobody: Browser) -> None:
    answer = await nobody.ask("GET", "/func/auth")
    assert (answer.status, answer.slug) == (401, "auth-failed")
    assert answer.json["title"] == "Unauthorized access"
    nobody.cookie = "x" * 43
    assert (await nobody.ask("GET", "/func/auth")).status == 401
    check = (await nobody.ask("POST", "/server/login-check")).json
    assert check == {"authenticated": False, "data": None, "session_id": None}


async def test_a_wrong_password_is_told_and_no_login_begins(nobody: Browser) -> None:
    answer = await nobody.log_in("alice", "wrong")
    assert answer.status == 200
    assert answer.json["authenticated"] is False
    assert answer.json["data"]["details"] == "User credential mismatch."
    assert answer.json["data"]["type"].endswith("/auth-failed")
    assert "Set-Cookie" not in answer.headers


async def test_anothers_login_cannot_be_ended(
    alice: Browser, browse: Callable[[], Browser]
) -> None:
    bob = browse()
    await bob.log_in("bob")
    own = (await alice.ask("GET", "/server/sessions")).json["items"]
    answer = await bob.ask("DELETE", f"/server/sessions/{own[0]['id']}")
    assert (answer.status, answer.slug) == (404, "object-not-found")
    assert (await alice.ask("GET", "/func/auth", {"echo": "x"})).status == 200


async def test_a_login_works_until_it_is_ended(alice: Browser) -> None:
    answer = await alice.ask("GET", "/func/auth?echo=hi")
    assert answer.json == {"authorized": "yes", "echo": "hi"}
    check = (await alice.ask("POST", "/server/login-check")).json
    assert check["authenticated"] is True
    assert check["data"] == {"access_key": "AKALICE", "role": "user", "status": "active"}
    assert check["session_id"] == alice.cookie
    out = await alice.ask("POST", "/server/logout")
    assert out.status == 201
    assert (await alice.ask("GET", "/func/auth?echo=hi")).status == 401


async def test_the_empty_login_of_pages_is_not_counted(nobody: Browser) -> None:
    for _ in range(12):
        answer = await nobody.ask("POST", "/server/login", {"username": "", "password": ""})
        assert (answer.status, answer.slug) == (400, "invalid-api-params")
    assert (await nobody.log_in("alice")).json["authenticated"] is True


async def test_hello_and_ping_need_no_login(nobody: Browser) -> None:
    assert (await nobody.ask("GET", "/func/")).json["version"] == VERSION
    assert (await nobody.ask("GET", "/func/ping")).json["details"] == "Success"


VERSION = "v7.20230615"
