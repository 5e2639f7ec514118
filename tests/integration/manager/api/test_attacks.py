"""Random requests of everybody else at a closed tenant: nothing is read, nothing is changed.

`BAI_TEST_ATTACKS` sets how many, `BAI_TEST_SEED` which ones.
"""

import asyncio
import itertools
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

import pytest

from backendai.manager.app import Manager
from backendai.manager.gate.routes import Route
from tests.integration.manager.api.asks import Ask, send
from tests.integration.manager.api.attacker import ROOTS, ROUTES, Attacker
from tests.integration.manager.api.caller import Answer, Caller
from tests.integration.manager.api.tenants import (
    HIDDEN,
    MARK,
    Target,
    furnish,
    furnish_administration,
    settings,
    snapshot,
    tenants_key,
)

__all__ = ["settings"]

ATTACKS: Final = int(os.environ.get("BAI_TEST_ATTACKS", "1200"))
SEED: Final = int(os.environ.get("BAI_TEST_SEED", "20231"))
AT_ONCE: Final = 8
# After so many it is looked whether something was changed: what did it is then among few.
LOOK_EVERY: Final = 2000
# A user, a monitor and an administrator of another domain, and the administrator of a third.
ATTACKERS: Final = ("alice", "eve", "carol", "mallory")

pytestmark = pytest.mark.timeout(300 + ATTACKS // 10)


@pytest.fixture
async def unnamed(manager: Manager, as_user: Callable[[str], Caller], name: str) -> Target:
    """What nobody names, so that only an answer can tell of it."""
    zoe = tenants_key(as_user("alice"), "zoe")
    return await furnish(manager, zoe, f"zoe{MARK}", session=f"crown{MARK}-{name}-too")


@pytest.fixture
async def attacker(
    manager: Manager, as_user: Callable[[str], Caller], unnamed: Target, name: str
) -> tuple[Target, Attacker]:
    """What is attacked, and who makes the requests."""
    zoe = tenants_key(as_user("alice"), "zoe")
    target = await furnish(manager, zoe, f"zoe{MARK}", session=f"crown{MARK}-{name}")
    await furnish_administration(tenants_key(zoe, "yuri"), target)
    pawn = await furnish(manager, as_user("pawn"), "pawn", session=f"pawn-{name}", project="pawns")
    return target, Attacker(target, pawn, random.Random(SEED))


async def test_who_may_read_is_told_by_the_same_requests(
    as_user: Callable[[str], Caller], unnamed: Target, attacker: tuple[Target, Attacker]
) -> None:
    """The words that are looked for in answers to attacks are there to be found."""
    target, maker = attacker
    zoe = tenants_key(as_user("alice"), "zoe")
    readers = [route for route in ROUTES if not route.action.writes and route.method == "GET"]
    queries = [name for name in ROOTS if name[0] == "Query"]
    telling = set()
    for entry in [*readers, *queries]:
        for caller in (as_user("root"), tenants_key(zoe, "yuri"), zoe):
            ask = maker.ask(entry)
            if told_by(ask, await send(caller, ask), target, unnamed):
                telling.add(entry.path if isinstance(entry, Route) else entry[1])
    print(f"{len(telling)} of {len(readers) + len(queries)} tell: {sorted(telling)}")
    assert len(telling) > 15


async def test_no_attack_reads_or_changes_what_is_not_the_attackers(
    manager: Manager,
    as_user: Callable[[str], Caller],
    unnamed: Target,
    attacker: tuple[Target, Attacker],
) -> None:
    print(f"{ATTACKS} attacks, seed {SEED}")
    target, maker = attacker
    before = await snapshot(manager.stores.database)
    assert all(before[kept] for kept in ("users", "sessions", "dotfiles", "error_logs", "tasks"))
    nobody = as_user("alice").but(access_key=None)
    callers = [nobody, *(as_user(name) for name in ATTACKERS)]
    asks = itertools.islice(maker.asks(callers), ATTACKS)
    statuses: Counter[int] = Counter()
    while some := list(itertools.islice(asks, LOOK_EVERY)):
        statuses += await attack(some, target, unnamed)
        now = await snapshot(manager.stores.database)
        assert now == before, f"one of the last {len(some)} changed something"
    print(f"answers by status: {dict(sorted(statuses.items()))}")
    # Requests that nobody understands, or of who was locked out, would prove nothing.
    assert statuses[400] < ATTACKS / 4
    for caller in callers[1:]:
        assert (await caller.ask("GET", "/auth")).status == 200, caller.access_key


async def attack(
    asks: Iterable[tuple[Caller, Ask]], target: Target, unnamed: Target
) -> Counter[int]:
    statuses: Counter[int] = Counter()
    left = iter(asks)
    while group := list(itertools.islice(left, AT_ONCE)):
        for (caller, ask), answer in zip(group, await send_all(group), strict=True):
            statuses[answer.status] += 1
            told = told_by(ask, answer, target, unnamed)
            assert not told, (caller.access_key, ask, told, answer.body[:500])
            is_offered = answer.status < 500 or b"server.not_offered" in answer.body
            assert is_offered, (caller.access_key, ask, answer)
    return statuses


async def send_all(asks: Iterable[tuple[Caller, Ask]]) -> list[Answer]:
    return await asyncio.gather(*(send(caller, ask) for caller, ask in asks))


def told_by(ask: Ask, answer: Answer, target: Target, unnamed: Target) -> list[str]:
    """What an answer tells of the tenant: its texts, what nobody named, that an id is something."""
    told = [word for word in secrets_of(unnamed) if word.encode() in answer.body]
    at = urlsplit(ask.target)
    found = at.path if not at.path.startswith("/events/") else ask.target
    ids = (target.session, target.kernel, target.log, target.template, target.task)
    if answer.status < 300:
        told += [f"found by {word}" for word in ids if word in found]
    return told


def secrets_of(unnamed: Target) -> set[str]:
    named = {unnamed.session, unnamed.session_name, unnamed.kernel, unnamed.log}
    return {HIDDEN, *named, unnamed.template, unnamed.task}
