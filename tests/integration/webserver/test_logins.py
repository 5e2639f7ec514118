"""Logging in and out, and one's own logins."""

import json
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime

from tests.integration.webserver.conftest import VERSION, Browser
from tests.running.encoded import encode_body


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


async def test_somebody_who_is_logged_in_logs_out_first(alice: Browser) -> None:
    answer = await alice.ask("POST", "/server/login", {"username": "x", "password": "y"})
    assert (answer.status, answer.slug) == (400, "generic-bad-request")


async def test_a_login_encoded_for_this_address_is_read(nobody: Browser) -> None:
    body = {"username": "alice@example.com", "password": "password of alice"}
    encoded = encode_body(json.dumps(body).encode(), nobody.endpoint)
    headers = {"X_BackendAI_Encoded": "true", "Content_Type": "application/octet-stream"}
    answer = await nobody.ask("POST", "/server/login", raw=encoded, **headers)
    assert answer.json["authenticated"] is True, answer.body
    nobody.cookie = answer.headers["X-BackendAI-SessionID"]
    query = {"query": "{ user { email } }"}
    encoded = encode_body(json.dumps(query).encode(), nobody.endpoint)
    answer = await nobody.ask("POST", "/func/admin/gql", raw=encoded, **headers)
    assert answer.json["data"]["user"]["email"] == "alice@example.com"


async def test_the_header_is_as_good_as_the_cookie(alice: Browser) -> None:
    token, alice.cookie = alice.cookie, ""
    answer = await alice.ask("GET", "/func/auth?echo=x", X_BackendAI_SessionID=token)
    assert answer.status == 200


async def test_own_logins_are_listed_and_ended(
    alice: Browser, browse: Callable[[], Browser]
) -> None:
    await alice.ask("DELETE", "/server/sessions")
    elsewhere = browse()
    await elsewhere.ask("POST", "/server/login-check", User_Agent="x")
    await elsewhere.log_in("alice")
    items = (await alice.ask("GET", "/server/sessions")).json["items"]
    assert [item["is_current"] for item in items] == [True, False]
    assert {item["address"] for item in items} == {"127.0.0.1"}
    assert alice.cookie not in str(items)
    other = items[1]["id"]
    assert (await alice.ask("DELETE", f"/server/sessions/{other}")).json == {"ended": 1}
    assert (await elsewhere.ask("GET", "/func/auth?echo=x")).status == 401
    assert (await alice.ask("DELETE", f"/server/sessions/{other}")).status == 404
    await elsewhere.log_in("alice")
    assert (await alice.ask("DELETE", "/server/sessions")).json == {"ended": 1}
    assert (await elsewhere.ask("GET", "/func/auth?echo=x")).status == 401
    assert (await alice.ask("GET", "/func/auth?echo=x")).status == 200


async def test_a_login_is_extended(alice: Browser) -> None:
    answer = await alice.ask("POST", "/server/extend-login-session")
    assert answer.json["status"] == 201
    assert "AIOHTTP_SESSION=" in answer.headers["Set-Cookie"]
    assert datetime.fromisoformat(answer.json["expires"]) > datetime.now(UTC)


async def test_a_password_that_does_not_expire_is_not_renewed_here(nobody: Browser) -> None:
    body = {"username": "alice", "current_password": "password of alice", "new_password": "y"}
    answer = await nobody.ask("POST", "/server/update-password-no-auth", body)
    assert answer.status == 200
    assert "do not expire" in answer.json["data"]["details"]


async def test_pages_are_served_with_a_policy_and_a_nonce(nobody: Browser) -> None:
    for path in ("/", "/session", "/data/x/y"):
        answer = await nobody.ask("GET", path)
        assert answer.headers["Content-Type"].startswith("text/html")
        assert b"{{nonce}}" not in answer.body
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert (
        (await nobody.ask("GET", "/assets/app.js")).headers["Cache-Control"].endswith("immutable")
    )
    for path in ("/assets/nosuch.js", "/x.toml", "/config.ini.bak", "/nosuch.css", "/server/x"):
        assert (await nobody.ask("GET", path)).status == 404, path
    config = tomllib.loads((await nobody.ask("GET", "/config.toml")).body.decode())
    assert config["general"]["apiEndpoint"] == nobody.endpoint
    assert config["general"]["connectionMode"] == "SESSION"
