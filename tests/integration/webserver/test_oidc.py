"""Logging in at another provider, and by tokens of sites that are trusted."""

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from backendai.common.login_tokens import LoginClaims, sign_login
from backendai.common.secretfile import load_secret_key, write_secret_key
from backendai.manager.app import Manager
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api import conftest as managers
from tests.integration.manager.api.caller import Answer
from tests.integration.webserver.conftest import Browser, trusting_settings
from tests.integration.webserver.provider import (
    CLIENT,
    SECRET,
    SmallProvider,
    make_key,
    small_provider,
)
from tests.running.webserver import make_settings, running_webserver


@pytest.fixture(scope="module")
def settings(
    module_dir: Path,
    filled: managers.Filled,
    make_database: Callable[[str | None], str],
    redis_url: str,
    etcd_addr: str,
) -> ManagerSettings:
    """Of a manager that takes logins of other providers, and makes accounts of newcomers."""
    made = trusting_settings(module_dir, filled, make_database, redis_url, etcd_addr)
    key = module_dir / "login-token.key"
    write_secret_key(key)
    own = replace(made.manager, login_token_key_file=key, login_token_creates_users=True)
    return replace(made, manager=own)


@pytest.fixture
async def provider() -> AsyncIterator[SmallProvider]:
    async with small_provider() as made:
        yield made


@pytest.fixture
async def nobody(
    manager: Manager,
    settings: ManagerSettings,
    tmp_path: Path,
    provider: SmallProvider,
    http: aiohttp.ClientSession,
) -> AsyncIterator[Browser]:
    made = make_settings(f"http://{manager.address}", settings.redis, tmp_path)
    oidc = replace(
        made.oidc,
        issuer=provider.issuer,
        client_id=CLIENT,
        client_secret=SECRET,
        login_token_key_file=settings.manager.login_token_key_file,
    )
    async with running_webserver(replace(made, oidc=oidc)) as (_, address):
        yield Browser(http, address)


async def go(browser: Browser, next_path: str = "/session") -> tuple[str, str]:
    """To the provider and back, as a browser goes: where it comes back to, and its cookie."""
    sent = await browser.ask("GET", f"/server/oidc/login?next={next_path}")
    assert sent.status == 302, sent.body
    cookie = sent.headers["Set-Cookie"].partition(";")[0]
    async with browser.http.get(sent.headers["Location"], allow_redirects=False) as answer:
        return answer.headers["Location"].removeprefix(browser.endpoint), cookie


async def come_back(browser: Browser, back: str, cookie: str) -> Answer:
    answer = await browser.ask(
        "GET", back, Cookie=cookie, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate"
    )
    browser.cookie = answer.headers.get("X-BackendAI-SessionID", "")
    return answer


def refusal_of(answer: Answer) -> tuple[str, str]:
    """The page that the browser is sent to, and the code that it is to tell in words."""
    assert (answer.status, answer.body) == (302, b"")
    assert "X-BackendAI-SessionID" not in answer.headers
    url = URL(answer.headers["Location"])
    assert not url.is_absolute()
    assert url.query["request"] == answer.headers["X-Request-Id"]
    return url.path, url.query["refused"]


async def test_without_a_cookie_or_with_anothers_nobody_comes_back(nobody: Browser) -> None:
    back, _ = await go(nobody)
    _, other = await go(nobody)
    for cookie in ("", "backendai_oidc=00", "backendai_oidc=xyz", other):
        answer = await nobody.ask("GET", back, Cookie=cookie)
        assert refusal_of(answer) == ("/", "web.way_expired")
        # The login that is under way in another tab goes on.
        assert "Set-Cookie" not in answer.headers


async def test_who_says_no_at_the_provider_is_back_where_they_were(nobody: Browser) -> None:
    back, cookie = await go(nobody, "/sessions?open=1")
    declined = str(URL(back).without_query_params("code").update_query(error="access_denied"))
    answer = await come_back(nobody, declined, cookie)
    assert refusal_of(answer) == ("/sessions", "web.provider_declined")
    assert URL(answer.headers["Location"]).query["open"] == "1"
    # The way is over: nobody comes in by it afterwards.
    assert answer.headers["Set-Cookie"].startswith('backendai_oidc=""')


async def test_a_newcomer_gets_an_account_and_is_let_in_again(nobody: Browser) -> None:
    for _ in range(2):
        back, cookie = await go(nobody)
        answer = await come_back(nobody, back, cookie)
        assert (answer.status, answer.headers["Location"]) == (302, "/session")
        query = {"query": "{ user { email full_name role groups { name } } }"}
        own = (await nobody.ask("POST", "/func/admin/gql", query)).json["data"]["user"]
        assert own == {
            "email": "newcomer@example.com",
            "full_name": "New Comer",
            "role": "user",
            "groups": [{"name": "default"}],
        }
        assert (await nobody.ask("POST", "/server/logout")).status == 201
    spent = await come_back(nobody, back, cookie)
    assert refusal_of(spent) == ("/session", "web.provider_untrusted")
    assert (await nobody.log_in("newcomer", "")).json.get("authenticated") is not True


async def test_somebody_who_is_known_is_the_same_person(
    nobody: Browser, provider: SmallProvider
) -> None:
    provider.claims = {"email": "alice@example.com"}
    await come_back(nobody, *await go(nobody))
    check = (await nobody.ask("POST", "/server/login-check")).json
    assert check["data"]["access_key"] == "AKALICE"


async def test_capitals_of_an_address_make_nobody_else(
    nobody: Browser, provider: SmallProvider
) -> None:
    assert (await nobody.log_in("root")).json["authenticated"]
    props = {"username": "capital", "password": "a-password-1", "domain_name": "default"}
    body = {
        "query": "mutation($email: String!, $props: UserInput!)"
        " { create_user(email: $email, props: $props) { ok msg } }",
        "variables": {"email": "Capital@Example.com", "props": props},
    }
    answer = await nobody.ask("POST", "/func/admin/gql", body)
    assert answer.json["data"]["create_user"]["ok"], answer.json
    await nobody.ask("POST", "/server/logout")
    provider.claims = {"email": "capital@example.com"}
    await come_back(nobody, *await go(nobody))
    own = await nobody.ask("POST", "/func/admin/gql", {"query": "{ user { email } }"})
    assert own.json["data"]["user"]["email"] == "Capital@Example.com"


UNTRUSTED = "web.provider_untrusted"
UNVERIFIED = "web.address_unverified"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"nonce": "other"}, UNTRUSTED),
        ({"aud": "other"}, UNTRUSTED),
        ({"iss": "http://other"}, UNTRUSTED),
        ({"exp": 1}, UNTRUSTED),
        ({"email_verified": False}, UNVERIFIED),
        ({"email_verified": "true"}, UNVERIFIED),
        ({"email": None}, UNVERIFIED),
        ({"email": "no address"}, UNVERIFIED),
    ],
    ids=str,
)
async def test_what_the_provider_did_not_say_of_this_login_is_refused(
    nobody: Browser, provider: SmallProvider, claims: dict[str, object], code: str
) -> None:
    provider.claims = claims
    answer = await come_back(nobody, *await go(nobody))
    assert refusal_of(answer) == ("/session", code)
    assert not nobody.cookie


async def test_who_may_not_come_in_here_is_told(nobody: Browser, provider: SmallProvider) -> None:
    assert (await nobody.log_in("root")).json["authenticated"]
    props = {"username": "away", "password": "a-password-1", "domain_name": "default"}
    variables = {"email": "away@example.com", "props": props}
    for query in (
        "mutation($email: String!, $props: UserInput!)"
        " { create_user(email: $email, props: $props) { ok msg } }",
        "mutation($email: String!)"
        ' { modify_user(email: $email, props: {status: "inactive"}) { ok msg } }',
    ):
        body = {"query": query, "variables": variables}
        answer = await nobody.ask("POST", "/func/admin/gql", body)
        assert all(done["ok"] for done in answer.json["data"].values()), answer.json
    await nobody.ask("POST", "/server/logout")
    provider.claims = {"email": "away@example.com"}
    answer = await come_back(nobody, *await go(nobody))
    assert refusal_of(answer) == ("/session", "auth.failed")


async def test_what_somebody_else_signed_is_refused(
    nobody: Browser, provider: SmallProvider
) -> None:
    back, cookie = await go(nobody)
    provider.algorithm = "HS256"
    assert refusal_of(await come_back(nobody, back, cookie))[1] == UNTRUSTED
    provider.algorithm = "RS256"
    answer = await come_back(nobody, *await go(nobody))
    assert (answer.status, answer.headers["Location"]) == (302, "/session")
    provider.key = make_key()
    fresh, cookie = await go(nobody)
    # Keys are looked up by their names; under the old name there is another key now.
    assert refusal_of(await come_back(nobody, fresh, cookie))[1] == UNTRUSTED


@pytest.mark.parametrize(
    "path",
    [
        *("//evil.example", "/\\evil.example", "\\\\evil", "https:evil", "javascript:alert(1)"),
        *("http://evil.example", "evil", "", "/%0d%0aX:y", "/%09/evil"),
    ],
)
async def test_nobody_is_sent_elsewhere_afterwards(nobody: Browser, path: str) -> None:
    sent = await nobody.ask("GET", f"/server/oidc/login?next={path}")
    if sent.status == 302:
        back, cookie = await go(nobody, path)
        assert (await come_back(nobody, back, cookie)).headers["Location"].startswith("/%")
    else:
        assert sent.status == 400


async def test_a_provider_that_is_away_is_told(nobody: Browser, provider: SmallProvider) -> None:
    provider.issuer = "http://127.0.0.1:1"
    answer = await nobody.ask("GET", "/server/oidc/login?next=/usage")
    assert refusal_of(answer) == ("/usage", "web.provider_away")


async def test_answers_of_a_provider_come_in_pieces(
    nobody: Browser, provider: SmallProvider
) -> None:
    provider.pause_seconds = 0.2
    back, cookie = await go(nobody)
    assert (await come_back(nobody, back, cookie)).status == 302


async def test_a_token_of_a_trusted_site_is_good_for_one_login(
    nobody: Browser, settings: ManagerSettings
) -> None:
    path = settings.manager.login_token_key_file
    assert path is not None
    key, now = load_secret_key(path), datetime.now(UTC)
    claims = LoginClaims("bob@example.com", uuid.uuid4().hex)
    token = sign_login(claims, key, now)
    answer = await nobody.ask("POST", "/server/token-login", {"sToken": token})
    assert answer.json["data"]["access_key"] == "AKBOB"
    again = await nobody.ask("POST", "/server/token-login", {}, Cookie=f"sToken={token}")
    assert again.json["authenticated"] is False
    for wrong in (
        sign_login(claims, bytes(32), now),
        sign_login(LoginClaims("bob@example.com", "x"), key, now - timedelta(hours=1)),
        sign_login(LoginClaims("bob@example.com", "y"), key, now + timedelta(hours=1)),
        sign_login(LoginClaims("mallory@example.com", "z"), key, now),
        "x.y.z",
        "x" * 5000,
    ):
        answer = await nobody.ask("POST", "/server/token-login", {"sToken": wrong})
        assert answer.json.get("authenticated") is not True, answer.body
    assert (await nobody.ask("POST", "/server/token-login", {})).status == 400
