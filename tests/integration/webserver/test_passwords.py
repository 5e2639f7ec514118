"""A new password ends what was begun with the one before, wherever it was set; but the login that
set it goes on, with all that it asks meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Answer, Caller
from tests.integration.manager.api.test_accounts import (
    CREATE_USER,
    MODIFY_USER,
    PURGE_USER,
    done,
    new_user,
)
from tests.integration.manager.api.test_logins import setting
from tests.integration.webserver.conftest import Browser

OWN = "/func/auth?echo=x"
OLD, NEW = "password of dora", "another of dora"


@dataclass
class Dora:
    """Somebody who is logged in at two places."""

    here: Browser
    there: Browser


@pytest.fixture
async def root(manager: Manager, nobody: Browser) -> Caller:
    return Caller(nobody.http, manager.address, "AKROOT", "secret-of-root")


@pytest.fixture
async def dora(root: Caller, browse: Callable[[], Browser]) -> AsyncIterator[Dora]:
    await done(
        root, CREATE_USER, email="dora@example.com", input=new_user(username="dora", password=OLD)
    )
    both = browse(), browse()
    for browser in both:
        assert (await browser.log_in("dora")).json["authenticated"]
    yield Dora(*both)
    await done(root, PURGE_USER, email="dora@example.com", input={})


async def change(browser: Browser, old: str, new: str) -> Answer:
    body = {"old_password": old, "new_password": new, "new_password2": new}
    return await browser.ask("POST", "/func/auth/update-password", body)


async def is_in(browser: Browser) -> bool:
    answer = await browser.ask("POST", "/server/login-check")
    assert (await browser.ask("GET", OWN)).status == (200 if answer.json["authenticated"] else 401)
    return bool(answer.json["authenticated"])


async def test_nobody_changes_the_password_of_somebody_else(dora: Dora, nobody: Browser) -> None:
    assert (await change(nobody, OLD, NEW)).status == 401
    assert (await change(dora.here, "wrong", NEW)).status == 401
    body = {"username": "dora", "current_password": "wrong", "new_password": NEW}
    refused = await nobody.ask("POST", "/server/update-password-no-auth", body)
    assert refused.json["data"]["details"]
    assert await is_in(dora.here)
    assert await is_in(dora.there)


async def test_the_login_that_changes_it_goes_on_alone(dora: Dora) -> None:
    changed = await change(dora.here, OLD, NEW)
    assert (changed.status, changed.json) == (200, {})
    assert "X-BackendAI-Password-At" not in changed.headers
    assert await is_in(dora.here)
    assert not await is_in(dora.there)
    assert (await change(dora.here, NEW, OLD)).status == 200
    assert await is_in(dora.here)


async def test_what_it_asks_meanwhile_is_answered(dora: Dora) -> None:
    async def ask(n: int) -> int:
        return (await dora.here.ask("POST", "/func/auth", {"echo": str(n)})).status

    for old, new in ((OLD, NEW), (NEW, OLD)):
        answers = await asyncio.gather(
            change(dora.here, old, new), *(ask(n) for n in range(40)), return_exceptions=False
        )
        assert answers[0].status == 200
        assert set(answers[1:]) == {200}


async def test_one_that_was_renewed_without_a_login_ends_all(
    dora: Dora, nobody: Browser, manager: Manager
) -> None:
    body = {"username": "dora", "current_password": OLD, "new_password": NEW}
    async with setting(manager, "auth/max_password_age", "90"):
        renewed = await nobody.ask("POST", "/server/update-password-no-auth", body)
        assert renewed.json["password_changed_at"], renewed.body
    assert (await dora.here.ask("GET", OWN)).json["code"] == "auth.login_outdated"
    assert not await is_in(dora.here)
    # Nothing is left of the login that could be in the way of the next one.
    assert (await dora.there.log_in("dora", NEW)).json["authenticated"]
    assert await is_in(dora.there)


async def test_one_that_is_set_at_a_manager_ends_all(dora: Dora, root: Caller) -> None:
    await done(root, MODIFY_USER, email="dora@example.com", input={"password": NEW})
    assert not await is_in(dora.here)
    assert not await is_in(dora.there)
    assert (await dora.here.log_in("dora", NEW)).json["authenticated"]
    assert await is_in(dora.here)
