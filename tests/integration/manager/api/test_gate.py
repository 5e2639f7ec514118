"""The door: credentials, dates, replays, revoked keys, addresses, limits, versions."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from backendai.common.signing import SignMethod
from backendai.manager.app import Manager
from tests.integration.manager.api.caller import SOON_SECONDS, Answer, Caller
from tests.integration.manager.api.conftest import body_of, empty


@pytest.mark.parametrize(
    "authorization", ["", "Basic abc", "BackendAI", "BackendAI x=y", "B" * 65536]
)
async def test_malformed_credentials_are_refused(alice: Caller, authorization: str) -> None:
    answer = await alice.ask("GET", "/auth", headers={"Authorization": authorization})
    assert answer.status in (400, 401)


async def test_a_wrong_signature_is_refused(alice: Caller) -> None:
    answer = await alice.but(secret_key="secret-of-bob").ask("GET", "/auth")
    assert (answer.status, answer.json["msg"]) == (401, "Signature mismatch")


async def test_an_expired_date_is_refused(alice: Caller) -> None:
    for shift in (timedelta(minutes=15, seconds=2), timedelta(minutes=-15, seconds=-2)):
        assert (await alice.but(shift=shift).ask("GET", "/auth")).status == 400


async def test_the_key_of_another_user_does_not_open(alice: Caller) -> None:
    assert (await alice.but(access_key="AKBOB").ask("GET", "/auth")).status == 401
    unknown = await alice.but(access_key="AKNOSUCH").ask("GET", "/auth")
    assert unknown.status == 401


@pytest.mark.parametrize(
    "method",
    ["HMAC-MD5", "HMAC-SHAKE_128", "none", "HMAC-SHA256-X", "hmac-sha256", "HMAC-SHA1"],
)
async def test_only_one_hash_is_allowed(alice: Caller, method: str) -> None:
    signed = alice.headers("GET", "/auth", "text/plain")
    signed["Authorization"] = signed["Authorization"].replace("HMAC-SHA256", method)
    answer = await alice.ask("GET", "/auth", headers=signed)
    assert answer.status == 401


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text[:32],
        lambda text: text.upper(),
        lambda text: text[:-1] + "é",
    ],
)
async def test_signatures_that_are_nearly_right_are_refused(
    alice: Caller, spoil: Callable[[str], str]
) -> None:
    signed = alice.headers("GET", "/auth", "text/plain")
    head, _, signature = signed["Authorization"].rpartition(":")
    signed["Authorization"] = f"{head}:{spoil(signature)}"
    assert (await alice.ask("GET", "/auth", headers=signed)).status in (400, 401)


@pytest.mark.parametrize("date", ["now", "9999-12-31T23:59:59+00:00", "", "0" * 5000, "1e9"])
async def test_odd_dates_are_refused(alice: Caller, date: str) -> None:
    answer = await alice.ask("GET", "/auth", headers={"Date": date})
    assert answer.status in (400, 401)


async def test_two_dates_that_differ_are_refused(alice: Caller) -> None:
    extra = {"X-BackendAI-Date": "2020-01-01T00:00:00+00:00"}
    assert (await alice.ask("GET", "/auth", headers=extra)).status == 400


async def test_a_repeated_post_is_refused_also_after_redis_forgot(
    alice: Caller, redis_url: str, name: str
) -> None:
    signed = alice.headers("POST", "/session", "application/json")
    body = body_of(name, enqueueOnly=True)
    assert (await alice.ask("POST", "/session", body, headers=signed)).status == 201
    again = await alice.ask("POST", "/session", body, headers=signed)
    assert again.status == 401
    await empty(redis_url)
    assert (await alice.ask("POST", "/session", body, headers=signed)).status == 401
    assert (await alice.ask("DELETE", f"/session/{name}")).status == 200


async def test_old_requests_are_refused_when_the_memory_is_new(
    alice: Caller, redis_url: str
) -> None:
    await empty(redis_url)
    late = alice.but(shift=timedelta(seconds=-60))
    answer = await late.ask("POST", "/auth", {"echo": "x"})
    assert (answer.status, answer.slug) == (401, "auth-failed")
    assert (await late.ask("GET", "/auth")).status == 200


async def test_the_signature_may_cover_the_body(alice: Caller) -> None:
    strict = alice.but(method=SignMethod.BODY)
    assert (await strict.ask("POST", "/auth", {"echo": "x"})).json["echo"] == "x"
    signed = strict.headers("POST", "/auth", "application/json", b'{"echo": "x"}')
    altered = await strict.ask("POST", "/auth", raw=b'{"echo": "y"}', headers=signed)
    assert altered.status == 401


@pytest.mark.parametrize(
    ("off", "on"),
    [
        (
            "update keypairs set is_active = false where access_key = 'AKBOB'",
            "update keypairs set is_active = true where access_key = 'AKBOB'",
        ),
        (
            "update users set status = 'inactive' where username = 'bob'",
            "update users set status = 'active' where username = 'bob'",
        ),
    ],
)
async def test_what_is_switched_off_is_refused_soon(
    bob: Caller, manager: Manager, off: str, on: str
) -> None:
    async def run(words: str) -> None:
        async with manager.stores.database.begin() as connection:
            await connection.execute(sa.text(words))

    assert (await bob.ask("GET", "/auth")).status == 200
    await run(off)
    try:
        async with asyncio.timeout(SOON_SECONDS):
            while (await bob.ask("GET", "/auth")).status != 401:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await run(on)


async def test_accounts_may_be_bound_to_addresses(bob: Caller, manager: Manager) -> None:
    async def allow(networks: str) -> None:
        async with manager.stores.database.begin() as connection:
            await connection.execute(
                sa.text(f"update users set allowed_client_ip = {networks} where username = 'bob'")
            )

    async def answered(status: int) -> Answer:
        async with asyncio.timeout(SOON_SECONDS):
            while True:
                answer = await bob.ask("GET", "/auth", headers={"X-Forwarded-For": "10.0.0.1"})
                if answer.status == status:
                    return answer
                await asyncio.sleep(0.05)

    try:
        await allow("array['10.0.0.0/8']")
        # The header is not believed: nobody named this peer as a proxy.
        await answered(401)
        await allow("array['127.0.0.0/8']")
        await answered(200)
    finally:
        await allow("null")


async def test_every_answer_tells_the_rate(alice: Caller, nobody: Caller) -> None:
    first = await alice.ask("GET", "/auth")
    second = await alice.ask("GET", "/auth")
    assert first.headers["X-RateLimit-Window"] == "900"
    assert first.headers["Server"] == "BackendAI"
    left = [int(each.headers["X-RateLimit-Remaining"]) for each in (first, second)]
    assert left[1] == left[0] - 1
    assert (await nobody.ask("GET", "/")).headers["X-RateLimit-Limit"] == "1000"
    assert (await nobody.ask("GET", "/nothing")).headers["X-RateLimit-Limit"] == "1000"


async def test_too_many_requests_are_told_when_to_come_again(bob: Caller, manager: Manager) -> None:
    async def limit(number: int) -> None:
        async with manager.stores.database.begin() as connection:
            await connection.execute(
                sa.text("update keypairs set rate_limit = :n where access_key = 'AKBOB'"),
                {"n": number},
            )

    await limit(3)
    try:
        async with asyncio.timeout(SOON_SECONDS):
            while True:
                answer = await bob.ask("GET", "/auth")
                if answer.status == 429:
                    break
        assert answer.slug == "rate-limit-exceeded"
        assert int(answer.headers["Retry-After"]) > 0
        told = [answer.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining")]
        assert told == ["3", "0"]
    finally:
        await limit(100000)


async def test_odd_versions_are_refused(alice: Caller) -> None:
    for version in ("v7", "7.20230615", "x" * 100):
        answer = await alice.ask("GET", "/auth", headers={"X-BackendAI-Version": version})
        assert (answer.status, answer.json["msg"]) == (400, "Unsupported API version.")


async def test_hello_needs_no_credential(nobody: Caller, alice: Caller) -> None:
    for caller in (nobody, alice):
        answer = await caller.ask("GET", "/")
        assert answer.json == {"version": "v7.20230615", "manager": "23.9.10"}


async def test_open_pages_answer(nobody: Caller, alice: Caller) -> None:
    assert (await nobody.ask("GET", "/config/resource-slots")).json["mem"] == "bytes"
    details = (await nobody.ask("GET", "/config/resource-slots/details")).json
    assert details["cpu"]["slot_name"] == "cpu"
    assert (await nobody.ask("GET", "/manager/status")).json["status"] == "running"
    notice = (await nobody.ask("GET", "/manager/announcement")).json
    assert notice == {"enabled": False, "message": ""}
    assert (await nobody.ask("GET", "/health")).json["healthy"] is True
    role = (await alice.ask("GET", "/auth/role?group=default")).json
    assert role == {"global_role": "user", "domain_role": "user", "group_role": "user"}


async def test_unknown_paths_and_methods_are_problems(alice: Caller) -> None:
    missing = await alice.ask("GET", "/no/such/path")
    assert (missing.status, missing.slug) == (404, "url-not-found")
    wrong = await alice.ask("PUT", "/session")
    assert (wrong.status, wrong.slug) == (405, "method-not-allowed")
