"""One-time codes of a device: who may set one up, what logins ask for then, and each code once."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.manager.accounts.totp import STEP_SECONDS, code_of
from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Answer, Caller
from tests.integration.manager.api.test_accounts import DELETE_USER, done
from tests.integration.manager.api.test_logins import PASSWORD, email, log_in, root, setting
from tests.integration.manager.world import fetch

__all__ = ["email", "root"]

AsUser = Callable[[str], Caller]
ROUTES: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/totp", None),
    ("POST", "/totp", None),
    ("POST", "/totp/verify", {"otp": "000000"}),
    ("DELETE", "/totp", None),
)


@pytest.fixture
async def person(nobody: Caller, email: str) -> Caller:
    """Somebody new, by the keypair that a login gave."""
    data = (await log_in(nobody, email)).json["data"]
    return nobody.but(access_key=data["access_key"], secret_key=data["secret_key"])


def code_at(key: str, offset: int = 0) -> str:
    return code_of(key, int(time.time()) // STEP_SECONDS + offset)


async def switch_on(person: Caller) -> str:
    """The key of the device, whose code of half a minute ago activated it."""
    key = str((await person.ask("POST", "/totp")).json["totp_key"])
    answer = await person.ask("POST", "/totp/verify", {"otp": code_at(key, -1)})
    assert answer.status == 200, answer.body
    return key


def told(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["msg"]


async def test_nothing_without_a_credential(nobody: Caller) -> None:
    for verb, path, body in ROUTES:
        assert (await nobody.ask(verb, path, body)).status == 401


async def test_nor_with_a_wrong_one(alice: Caller) -> None:
    for verb, path, body in ROUTES:
        assert (await alice.but(secret_key="x").ask(verb, path, body)).status == 401


async def test_the_device_of_somebody_else_is_removed_by_their_administrators_alone(
    person: Caller, email: str, alice: Caller, as_user: AsUser, nobody: Caller
) -> None:
    await switch_on(person)
    body = {"email": email}
    assert (await alice.ask("DELETE", "/totp", body)).status == 403
    assert (await as_user("mallory").ask("DELETE", "/totp", body)).status == 404
    assert (
        await as_user("carol").ask("DELETE", "/totp", {"email": "root@example.com"})
    ).status in (
        403,
        404,
    )
    assert told(await log_in(nobody, email)) == (401, "OTP not provided")
    assert (await as_user("carol").ask("DELETE", "/totp", body)).status == 200
    assert (await log_in(nobody, email)).status == 200


async def test_a_login_asks_for_a_code_once_the_device_has_shown_one(
    person: Caller, email: str, nobody: Caller, root: Caller
) -> None:
    made = (await person.ask("POST", "/totp")).json
    assert made["totp_key"] in made["totp_uri"]
    assert (await log_in(nobody, email)).status == 200
    assert (await person.ask("POST", "/totp/verify", {"otp": "000000"})).status == 401
    assert (await person.ask("GET", "/totp")).json["totp_activated"] is False
    answer = await person.ask("POST", "/totp/verify", {"otp": code_at(made["totp_key"], -1)})
    assert answer.status == 200
    assert (await person.ask("GET", "/totp")).json["totp_activated"] is True
    assert (await person.ask("POST", "/totp")).status == 400
    assert told(await log_in(nobody, email)) == (401, "OTP not provided")
    assert told(await log_in(nobody, email, otp="")) == (401, "OTP not provided")
    assert (await log_in(nobody, email, "wrong", otp=code_at(made["totp_key"]))).status == 401
    assert (await log_in(nobody, email, otp=code_at(made["totp_key"]))).status == 200
    own = (await person.graph("{ user { totp_activated totp_activated_at } }"))["data"]["user"]
    assert own["totp_activated"] is True
    assert own["totp_activated_at"]
    listed = """{ user_list(limit: 1, offset: 0, filter: "totp_activated == true") {
        total_count items { totp_activated } } }"""
    found = (await root.graph(listed))["data"]["user_list"]
    assert found["items"][0]["totp_activated"] is True


async def test_a_code_is_good_for_one_login(person: Caller, email: str, nobody: Caller) -> None:
    code = code_at(await switch_on(person))
    answers = await asyncio.gather(*(log_in(nobody, email, otp=code) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 401, 401, 401]
    assert (await log_in(nobody, email, otp=code)).status == 401


async def test_codes_are_not_guessed(person: Caller, email: str, nobody: Caller) -> None:
    await switch_on(person)
    answers = [await log_in(nobody, email, otp=f"{n:06d}") for n in range(12)]
    assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) > 0


async def test_a_key_is_told_to_nobody_else(
    person: Caller, email: str, root: Caller, nobody: Caller
) -> None:
    key = await switch_on(person)
    log = await root.ask("GET", "/audit?limit=100")
    assert key.encode() not in log.body
    await done(root, DELETE_USER, email=email)
    assert (await log_in(nobody, email, otp=code_at(key))).json[
        "msg"
    ] == "User credential mismatch."


async def test_a_device_is_removed_by_a_code_of_it(
    person: Caller, email: str, nobody: Caller
) -> None:
    key = await switch_on(person)
    for given in ({}, {"email": email}, {"otp": ""}):
        assert told(await person.ask("DELETE", "/totp", given)) == (401, "OTP not provided")
    assert (await person.ask("DELETE", "/totp", {"otp": "000000"})).status == 401
    assert told(await log_in(nobody, email)) == (401, "OTP not provided")
    code = code_at(key)
    assert (await log_in(nobody, email, otp=code)).status == 200
    assert (await person.ask("DELETE", "/totp", {"otp": code})).status == 401
    assert (await person.ask("DELETE", "/totp", {"otp": code_at(key, 1)})).status == 200
    assert (await log_in(nobody, email)).status == 200


async def test_codes_that_would_remove_a_device_are_not_guessed(person: Caller) -> None:
    await switch_on(person)
    guesses = [await person.ask("DELETE", "/totp", {"otp": f"{n:06d}"}) for n in range(12)]
    assert [answer.status for answer in guesses] == [401] * 10 + [429] * 2


async def test_a_device_that_was_never_used_is_removed_without(person: Caller) -> None:
    await person.ask("POST", "/totp")
    assert (await person.ask("DELETE", "/totp")).status == 200


async def test_who_removed_the_device_of_somebody_is_noted(
    person: Caller, email: str, as_user: AsUser, manager: Manager
) -> None:
    await switch_on(person)
    assert (await as_user("carol").ask("DELETE", "/totp", {"email": email})).status == 200
    noted = "SELECT email, after FROM audit_log WHERE action = 'auth.totp.remove'"
    noted += f" AND target_id = '{email}'"
    rows = await fetch(manager.stores.database, noted)
    assert [by for by, _ in rows] == ["carol@example.com"]
    assert rows[0][1]["totp_activated_at"] is None


async def test_an_expired_password_is_renewed_with_a_code_too(
    person: Caller, email: str, nobody: Caller, manager: Manager
) -> None:
    async def renew(new: str, **more: str) -> Answer:
        body = {"domain": "default", "username": email, "current_password": PASSWORD}
        body["new_password"] = new
        return await nobody.ask("POST", "/auth/update-password-no-auth", {**body, **more})

    key = await switch_on(person)
    async with setting(manager, "auth/max_password_age", "90"):
        async with manager.stores.database.begin() as connection:
            aged = "update users set password_changed_at = now() - interval '91 days'"
            await connection.execute(sa.text(aged + " where email = :email"), {"email": email})
        assert told(await log_in(nobody, email)) == (401, "OTP not provided")
        assert told(await renew("new-1")) == (401, "OTP not provided")
        assert (await renew("new-1", otp="000000")).status == 401
        code = code_at(key)
        # The login that tells of it leaves the code for what follows.
        assert (await log_in(nobody, email, otp=code)).slug == "password-expired"
        assert (await renew("", otp=code)).status == 400
        assert (await renew("new-1", otp=code)).status == 201
        assert (await log_in(nobody, email, "new-1", otp=code)).status == 401
        assert (await log_in(nobody, email, "new-1", otp=code_at(key, 1))).status == 200


async def test_codes_that_would_renew_a_password_are_not_guessed(
    person: Caller, email: str, nobody: Caller, manager: Manager
) -> None:
    await switch_on(person)
    body = {"domain": "default", "username": email, "current_password": PASSWORD}
    body["new_password"] = "new-1"
    async with setting(manager, "auth/max_password_age", "90"):
        answers = [
            await nobody.ask("POST", "/auth/update-password-no-auth", {**body, "otp": f"{n:06d}"})
            for n in range(12)
        ]
    assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
