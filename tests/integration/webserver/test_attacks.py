"""What others try on a webserver, and what comes of it: cookies, pages elsewhere, names, paths."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from backendai.manager.app import Manager
from backendai.manager.settings import ManagerSettings
from backendai.webserver.logins.model import make_token
from tests.integration.webserver.conftest import Browser
from tests.running.webserver import make_settings, running_webserver

OWN = "/func/auth?echo=x"
FORM = "application/x-www-form-urlencoded"


def speak(endpoint: str, text: str) -> bytes:
    """Everything that is answered to raw text on a connection."""
    host, _, port = endpoint.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(text.encode())
        found = b""
        while piece := connection.recv(65536):
            found += piece
    return found


async def ask_raw(browser: Browser, line: str, *headers: str) -> int:
    """The status that a request has whose line and headers are as they are written."""
    host = browser.endpoint.removeprefix("http://")
    if not any(header.startswith("Host:") for header in headers):
        headers = (f"Host: {host}", *headers)
    text = "\r\n".join([line, *headers, "Connection: close", "", ""])
    answer = await asyncio.to_thread(speak, browser.endpoint, text)
    return int(answer.split()[1])


# Cookies


async def test_a_cookie_that_was_put_there_before_is_not_logged_in(nobody: Browser) -> None:
    planted = make_token()
    nobody.cookie = planted
    assert (await nobody.log_in("alice")).json["authenticated"]
    assert nobody.cookie != planted
    nobody.cookie = planted
    assert (await nobody.ask("GET", OWN)).status == 401


async def test_cookies_that_are_not_ours_are_nobody(alice: Browser) -> None:
    token = alice.cookie
    for cookie in (
        *(token[:-1], f"{token}x", token.swapcase(), "x" * 43, "", "%00", '"', "=" * 43),
        "é",
    ):
        answer = await alice.ask("GET", OWN, Cookie=f"AIOHTTP_SESSION={cookie}")
        assert answer.status == 401, cookie
    assert (await alice.ask("GET", OWN, Cookie="x=" + "y" * 65536)).status == 400
    assert (await alice.ask("GET", OWN)).status == 200


async def test_a_second_cookie_of_the_name_is_no_login(
    alice: Browser, browse: Callable[[], Browser]
) -> None:
    mallory = browse()
    await mallory.log_in("bob")
    for both in (
        f"AIOHTTP_SESSION={mallory.cookie}; AIOHTTP_SESSION={alice.cookie}",
        f"AIOHTTP_SESSION={alice.cookie}; AIOHTTP_SESSION={mallory.cookie}",
    ):
        assert (await alice.ask("GET", OWN, Cookie=both)).status == 401


async def test_flags_of_the_cookie(nobody: Browser) -> None:
    header = (await nobody.log_in("alice")).headers["Set-Cookie"]
    parts = {part.strip().lower() for part in header.split(";")}
    assert {"httponly", "samesite=lax", "path=/", "max-age=604800"} <= parts
    assert not any(part.startswith("domain") for part in parts)
    assert len(header.partition("=")[2].partition(";")[0]) == 43


async def test_a_login_that_was_ended_does_not_come_back(alice: Browser) -> None:
    token = alice.cookie
    assert (await alice.ask("POST", "/server/logout")).status == 201
    alice.cookie = token
    assert (await alice.ask("GET", OWN)).status == 401
    assert (await alice.ask("GET", OWN, X_BackendAI_SessionID=token)).status == 401


async def test_a_new_password_ends_all_other_logins(
    alice: Browser, browse: Callable[[], Browser]
) -> None:
    elsewhere, bob = browse(), browse()
    await elsewhere.log_in("alice")
    await bob.log_in("bob")
    for old, new in (("password of alice", "another 1"), ("another 1", "password of alice")):
        body = {"old_password": old, "new_password": new, "new_password2": new}
        answer = await alice.ask("POST", "/func/auth/update-password", body)
        assert answer.status == 200, answer.body
    assert (await alice.ask("GET", OWN)).status == 200
    assert (await elsewhere.ask("GET", OWN)).status == 401
    assert (await bob.ask("GET", OWN)).status == 200


async def test_another_users_objects_are_not_reached_by_ones_own_cookie(alice: Browser) -> None:
    for verb, path in (("GET", "/func/session/x"), ("DELETE", "/func/session/x")):
        answer = await alice.ask(verb, f"{path}?owner_access_key=AKBOB")
        assert (answer.status, answer.slug) == (403, "generic-forbidden")


# Pages elsewhere


@pytest.mark.parametrize("path", ["/server/logout", "/func/auth/update-full-name"])
async def test_another_page_does_not_ask_in_ones_name(alice: Browser, path: str) -> None:
    alice.headers = {}
    for more in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"{alice.endpoint}.evil.example"},
        {"Origin": alice.endpoint + "1"},
        {"Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Content-Type": FORM},
        {"Content-Type": "text/plain"},
        {},
    ):
        answer = await alice.ask("POST", path, raw=b"{}", **more)
        assert (answer.status, answer.slug) == (403, "generic-forbidden"), more
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert (await alice.ask("GET", OWN)).status == 200


async def test_nor_does_it_read(alice: Browser) -> None:
    for site in ("cross-site", "same-site"):
        assert (await alice.ask("GET", OWN, Sec_Fetch_Site=site)).status == 403
    assert (await alice.ask("GET", OWN, Origin="http://evil.example")).status == 403
    assert (await alice.ask("GET", OWN, Sec_Fetch_Site="same-origin")).status == 200
    assert (await alice.ask("POST", "/server/login-check", Origin=alice.endpoint)).status == 200


async def test_nor_does_it_open_sockets(alice: Browser) -> None:
    url = f"{alice.endpoint}/func/stream/session/x/execute"
    for origin in ("http://evil.example", "null"):
        headers = {"Cookie": f"AIOHTTP_SESSION={alice.cookie}", "Origin": origin}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await alice.http.ws_connect(url, headers=headers)
        assert refused.value.status == 403


async def test_a_socket_needs_a_login(nobody: Browser) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await nobody.http.ws_connect(f"{nobody.endpoint}/func/stream/session/x/execute")
    assert refused.value.status == 401


@pytest.fixture
async def strict(
    manager: Manager, settings: ManagerSettings, tmp_path: Path, http: aiohttp.ClientSession
) -> AsyncIterator[Browser]:
    """Before a webserver that knows another page's origin, and a proxy in front of it."""
    own = make_settings(
        f"http://{manager.address}",
        settings.redis,
        tmp_path,
        **{
            "allowed-origins": ["https://desk.example"],
            "allowed-hosts": ["console.example"],
            "trusted-proxies": ["127.0.0.1"],
        },
    )
    async with running_webserver(own) as (_, address):
        yield Browser(http, address)


async def test_a_page_that_the_operator_knows_may_ask(strict: Browser) -> None:
    answer = await strict.ask("POST", "/server/login-check", Origin="https://desk.example")
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "https://desk.example"
    asked = await strict.ask("OPTIONS", "/func/session", Origin="https://desk.example")
    assert (asked.status, asked.body) == (204, b"")
    for near in (
        "https://desk.example.evil.tld",
        "https://xdesk.example",
        "http://desk.example",
        "https://desk.example:8443",
    ):
        answer = await strict.ask("POST", "/server/login-check", Origin=near)
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_behind_tls_the_cookie_is_for_tls_alone(strict: Browser) -> None:
    strict.headers |= {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "console.example"}
    answer = await strict.log_in("alice")
    assert "secure" in answer.headers["Set-Cookie"].lower()
    assert "Strict-Transport-Security" in answer.headers
    config = await strict.ask("GET", "/config.toml")
    assert b'apiEndpoint = "https://console.example"' in config.body
    assert (await strict.ask("GET", OWN, Origin="http://console.example")).status == 403
    assert (await strict.ask("GET", OWN, Origin="https://console.example")).status == 200


# Names and paths


async def test_asked_by_another_name(nobody: Browser) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil", "[::1].x"):
        status = await ask_raw(nobody, "GET /config.toml HTTP/1.1", f"Host: {host}")
        assert status in (400, 421), host
    for host in ("a b", "a@127.0.0.1", "127.0.0.1/x", ""):
        assert await ask_raw(nobody, "GET / HTTP/1.1", f"Host: {host}") == 400, host
    assert await ask_raw(nobody, "GET / HTTP/1.1", "Host: localhost", "Host: evil") == 400
    said = "X-Forwarded-Host: evil.example"
    assert await ask_raw(nobody, "GET /config.toml HTTP/1.1", said) == 200
    answer = await nobody.ask("GET", "/config.toml", X_Forwarded_Host="evil.example")
    assert b"evil" not in answer.body


async def test_a_target_is_a_path_of_the_api(alice: Browser) -> None:
    cookie = f"Cookie: AIOHTTP_SESSION={alice.cookie}"
    for target in (
        *("/func/..//evil", "/func//evil.example/x", "/func/../server/login-check"),
        *("/func/%2e%2e/x", "/func/x/..", "/func/x/%2E%2E/y", "/func/x/..%2fy", "/func/./auth"),
        *("/func/x\\..\\y", "/func/%5c..%5cx", "/func/x%00y", "/func/x%0d%0ay", "/func@evil/x"),
        *("/func/%2e%2e%2fserver", "/funcx/auth"),
    ):
        assert await ask_raw(alice, f"GET {target} HTTP/1.1", cookie) in (400, 404), target
    for target in ("http://evil.example/func/auth", "http://127.0.0.1/func/auth", "*"):
        assert await ask_raw(alice, f"GET {target} HTTP/1.1", cookie) in (400, 404, 421), target
    assert await ask_raw(alice, "CONNECT evil:80 HTTP/1.1", cookie) in (400, 404, 405)


async def test_unknown_methods_are_refused(alice: Browser) -> None:
    for method in ("TRACE", "OPTIONS", "PROPFIND"):
        for path in (OWN, "/", "/server/login"):
            assert (await alice.ask(method, path)).status in (403, 405), (method, path)
    overridden = await alice.ask("GET", OWN, X_HTTP_Method_Override="DELETE")
    assert overridden.status == 200


async def test_files_outside_of_the_pages_are_not_served(nobody: Browser, tmp_path: Path) -> None:
    (tmp_path / "pages" / ".digest").write_text("x")
    (tmp_path / "pages" / "out").symlink_to(tmp_path / "webserver.secret")
    for target in (
        *("/../webserver.secret", "/%2e%2e/webserver.secret", "/assets/..%2f..%2fwebserver.secret"),
        *("/.digest", "/assets/../.digest", "//etc/passwd", "/assets/%2fetc%2fpasswd", "/out"),
        *("/assets/app.js/..", "/%00", "/assets/app.js%00.html"),
    ):
        status = await ask_raw(nobody, f"GET {target} HTTP/1.1")
        assert status in (200, 400, 404), target
        answer = await nobody.ask("GET", "/assets/app.js")
        assert answer.body == b"let x = 1;\n"
    secret = (tmp_path / "webserver.secret").read_text().strip().encode()
    for path in ("/out", "/assets/..%2f..%2fwebserver.secret"):
        assert secret not in (await nobody.ask("GET", path)).body


async def test_smuggled_requests_are_refused(nobody: Browser) -> None:
    for headers in (
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Transfer-Encoding: chunked123",),
        ("Transfer-Encoding: xchunked",),
        ("Content-Length: +5",),
        ("Content-Length: \u0665",),
    ):
        assert await ask_raw(nobody, "POST /server/login HTTP/1.1", *headers) == 400, headers


# Guessing


async def test_guessing_is_stopped_for_the_guesser_alone(
    strict: Browser,
) -> None:
    strict.headers["X-Forwarded-For"] = "203.0.113.7"
    for _ in range(10):
        assert (await strict.log_in("bob", "wrong")).json["authenticated"] is False
    for password in ("wrong", "password of bob"):
        answer = await strict.log_in("bob", password)
        assert (answer.status, answer.slug) == (429, "too-many-requests")
        assert 0 < int(answer.headers["Retry-After"]) <= 1200
    strict.headers["X-Forwarded-For"] = "203.0.113.7, 198.51.100.1"
    assert (await strict.log_in("bob")).json["authenticated"] is True


async def test_bad_bodies_are_told_and_no_fault_of_ours(nobody: Browser) -> None:
    for data in (
        *(b"", b"{", b"[]", b"null", b'{"username": 1, "password": "x"}', b"\xff", b"\0"),
        b'{"username": "a", "username": "b", "password": "x"}',
        b'{"username": "' + b"a" * 2000 + b'", "password": "x"}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ):
        answer = await nobody.ask("POST", "/server/login", raw=data)
        assert answer.status == 400, data[:40]
        assert answer.headers["Content-Type"].startswith("application/problem+json")
