"""Random requests of everybody else at a closed tenant: nothing is read, nothing is changed.

`BAI_TEST_ATTACKS` sets how many, `BAI_TEST_SEED` which ones.
"""

import asyncio
import itertools
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple
from typing import Any, Final

from graphql import GraphQLInputObjectType, get_nullable_type, is_required_argument

from backendai.manager.app import Manager
from backendai.manager.gate.actor import Access
from backendai.manager.gate.shapes import is_required, keys_of
from backendai.manager.inventory import declared_roots, declared_routes
from tests.contract.test_graph import OURS
from tests.integration.manager.api.asks import (
    ALWAYS,
    IN_PATH,
    PATH_KEYS,
    TENANT_KEYS,
    Ask,
    document_of,
    example_of,
    input_of,
    make_ask,
    naming_of,
    send,
)
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
# A user, a monitor and an administrator of another domain, and the administrator of a third.
ATTACKERS: Final = ("alice", "eve", "carol", "mallory")
# What would end the attackers' own accounts, or makes keys for minutes.
SPARED: Final = frozenset({"/auth/signout", "/auth/ssh-keypair"})
ROUTES: Final = [
    route
    for route in declared_routes()
    if route.action.access < Access.SUPERADMIN and route.path not in SPARED
]
ROOTS: Final = declared_roots()
_FILTERS: Final = (
    '{field} == "{word}"',
    '{field} ilike "%{part}%"',
    '{field} != "x" | {field} == "{word}"',
    '{field} in ["{word}", "x"]',
)
_FIELDS: Final = ("id", "name", "domain_name", "user_email", "access_key", "group_name", "status")


class Attacker:
    """Makes requests that name the target's things wherever something can be named."""

    def __init__(self, target: Target, dice: random.Random) -> None:
        self._dice = dice
        self._target = target
        words = [str(word) for word in astuple(target)]
        self._words = [*words, f"yuri{MARK}@example.com", f"AKYURI{MARK}", f"crown{MARK}", MARK]

    def asks(self) -> Iterator[Ask]:
        while True:
            yield self._rest() if self._dice.random() < 0.5 else self._graph()

    def _rest(self) -> Ask:
        route = self._dice.choice(ROUTES)
        path = IN_PATH.sub(lambda found: self._in_path(found[1]), route.path)
        params = {
            key.name: self._value(key.name, example_of(key))
            for key in keys_of(route.params)
            if is_required(key) or key.name in ALWAYS or self._dice.random() < 0.3
        }
        return make_ask(route, path, params)

    def _in_path(self, name: str) -> str:
        if name in PATH_KEYS and self._dice.random() < 0.8:
            return str(getattr(self._target, PATH_KEYS[name]))
        return self._dice.choice(self._words)

    def _value(self, name: str, example: Any) -> Any:
        if name in TENANT_KEYS and self._dice.random() < 0.8:
            return getattr(self._target, TENANT_KEYS[name])
        if isinstance(example, str) and self._dice.random() < 0.3:
            return self._dice.choice(self._words)
        return example

    def _graph(self) -> Ask:
        kind = self._dice.choice(("Query", "Query", "Mutation"))
        name = self._dice.choice([*ROOTS[kind]])
        declared = OURS.get_type(kind).fields[name].args.items()
        values = {
            word: self._argument(name, word, argument.type)
            for word, argument in declared
            if is_required_argument(argument) or self._dice.random() < 0.4
        }
        return Ask("POST", "/admin/gql", document_of(OURS, kind, name, values))

    def _argument(self, name: str, word: str, kind: Any) -> Any:
        made = get_nullable_type(kind)
        if word == "filter":
            return self._filter()
        if word == "order":
            return self._dice.choice(("+", "-")) + self._dice.choice(_FIELDS)
        naming = naming_of(name, word, self._target)
        if naming is not None and self._dice.random() < 0.8:
            return naming
        if isinstance(made, GraphQLInputObjectType):
            return self._props(made)
        plain = input_of(kind)
        return self._dice.choice(self._words) if plain == "x" else plain or 10

    def _props(self, made: GraphQLInputObjectType) -> dict[str, Any]:
        props = input_of(made)
        for name, field in made.fields.items():
            if self._dice.random() < 0.2:
                plain = input_of(field.type)
                props[name] = self._dice.choice(self._words) if plain == "x" else plain
        return dict(props)

    def _filter(self) -> str:
        word, field = self._dice.choice(self._words), self._dice.choice(_FIELDS)
        form = self._dice.choice(_FILTERS)
        return form.format(field=field, word=word, part=word[:6])


async def test_no_attack_reads_or_changes_what_is_not_the_attackers(
    manager: Manager, as_user: Callable[[str], Caller], name: str
) -> None:
    print(f"{ATTACKS} attacks, seed {SEED}")
    zoe = tenants_key(as_user("alice"), "zoe")
    # Nobody names the first of these, so that only an answer can tell of it.
    unnamed = await furnish(manager, zoe, f"zoe{MARK}", session=f"orb{MARK}-{name}")
    target = await furnish(manager, zoe, f"zoe{MARK}", session=f"crown{MARK}-{name}")
    await furnish_administration(tenants_key(zoe, "yuri"), target)
    before = await snapshot(manager.stores.database)
    assert all(before[kept] for kept in ("users", "sessions", "dotfiles", "error_logs"))
    secrets = {HIDDEN, unnamed.session, unnamed.kernel, unnamed.log, unnamed.session_name}
    dice = random.Random(SEED)
    asks = itertools.islice(Attacker(target, dice).asks(), ATTACKS)
    answers: Counter[int] = Counter()
    callers = [as_user(attacker) for attacker in ATTACKERS]
    while group := list(itertools.islice(asks, AT_ONCE)):
        caller = dice.choice(callers)
        for ask, answer in await send_all(caller, group):
            answers[answer.status] += 1
            told = [word for word in secrets if word.encode() in answer.body]
            assert not told, (caller.access_key, ask, told, answer.body[:500])
            is_offered = answer.status < 500 or b"server.not_offered" in answer.body
            assert is_offered, (ask, answer)
    print(f"answers by status: {dict(sorted(answers.items()))}")
    assert await snapshot(manager.stores.database) == before
    # Who may read it does, so the words that are looked for are there to be found.
    seen = await as_user("root").ask("POST", "/admin/gql", {"query": "{ users { full_name } }"})
    assert HIDDEN.encode() in seen.body
    # Requests that nobody understands would prove nothing.
    assert answers[400] < ATTACKS / 2


async def send_all(caller: Caller, asks: Sequence[Ask]) -> list[tuple[Ask, Answer]]:
    return list(zip(asks, await asyncio.gather(*(send(caller, ask) for ask in asks)), strict=True))
