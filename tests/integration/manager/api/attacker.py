"""Requests for what is not the attacker's: each names a target's things wherever it can."""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from typing import Any, Final, TypeVar

from graphql import GraphQLInputObjectType, GraphQLList, get_nullable_type, is_required_argument

from backendai.manager.gate.routes import Route
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
)
from tests.integration.manager.api.malformed import COSTLY
from tests.integration.manager.api.tenants import (
    DOMAIN,
    MARK,
    PEOPLE,
    PROJECT,
    RESOURCE_GROUP,
    Target,
)

T = TypeVar("T")
ROUTES: Final = [route for route in declared_routes() if (route.method, route.path) != COSTLY]
ROOTS: Final = [(kind, name) for kind, names in declared_roots().items() for name in names]
# What parameters and fields of inputs name, beyond the keys that say whose things are meant.
_NAMING: Final[Mapping[str, str]] = {
    **TENANT_KEYS,
    "sessionId": "session",
    "session_id": "session",
    "sessionName": "session_name",
    "template_id": "template",
    "task_id": "task",
    "taskId": "task",
    "kernel_id": "kernel",
    "email": "email",
    "username": "email",
    "project_id": "project",
    "group_ids": "project",
    "user_uuids": "user",
    "main_access_key": "access_key",
    "dependencies": "session",
}
_MODES: Final = ("add", "remove")
_FILTERS: Final = (
    '{field} == "{word}"',
    '{field} ilike "%{part}%"',
    '{field} != "x" | {field} == "{word}"',
    '{field} in ["{word}", "x"]',
)
_FIELDS: Final = ("id", "name", "domain_name", "user_email", "access_key", "group_name", "status")
# Of these the pawn's project would die, and with it what the attackers work with.
_ENDS: Final = frozenset({"delete_group", "purge_group"})


class Attacker:
    """Makes requests about `target`; `pawn` is of the attackers' own domain, to mix with it."""

    def __init__(self, target: Target, pawn: Target, dice: random.Random) -> None:
        self._dice = dice
        self._target = target
        self._pawn = pawn
        names = [f"{name}{MARK}" for name, _ in PEOPLE]
        # What may become the name of something; ids would then name what is the attacker's.
        self._names = [DOMAIN, PROJECT, RESOURCE_GROUP, target.session_name, MARK, *names]
        keys = [f"AK{name.upper()}" for name in names]
        emails = [f"{name}@example.com" for name in names]
        ids = [str(word) for word in astuple(target)]
        self._words = [*self._names, *keys, *emails, *ids]

    def asks(self, callers: Sequence[T]) -> Iterator[tuple[T, Ask]]:
        """Each of `callers` at every route and root, in another order each time, for ever."""
        pairs = list(itertools.product(callers, [*ROUTES, *ROOTS]))
        while True:
            for caller, entry in self._dice.sample(pairs, len(pairs)):
                yield caller, self.ask(entry)

    def ask(self, entry: Route | tuple[str, str]) -> Ask:
        return self._rest(entry) if isinstance(entry, Route) else self._graph(*entry)

    def _rest(self, route: Route) -> Ask:
        path = IN_PATH.sub(lambda found: self._in_path(found[1]), route.path)
        params = {
            key.name: self._value(key.name, example_of(key))
            for key in keys_of(route.params)
            if is_required(key) or key.name in ALWAYS or self._dice.random() < 0.3
        }
        if "template_id" in params:
            # What is started of a template is not waited for.
            params["enqueueOnly"] = True
        return make_ask(route, path, params)

    def _in_path(self, name: str) -> str:
        if name in PATH_KEYS and self._dice.random() < 0.8:
            return str(getattr(self._target, PATH_KEYS[name]))
        return self._dice.choice(self._words)

    def _value(self, name: str, example: Any) -> Any:
        if name in _NAMING and self._dice.random() < 0.8:
            word = self._named(_NAMING[name])
            return [word] if isinstance(example, list) else word
        if isinstance(example, str) and self._dice.random() < 0.3:
            return self._word(name)
        return example

    def _named(self, what: str, *, is_theirs: bool = False) -> str:
        owner = self._target if is_theirs or self._dice.random() < 0.8 else self._pawn
        return str(getattr(owner, what))

    def _word(self, name: str) -> str:
        return self._dice.choice(self._names if "name" in name else self._words)

    def _graph(self, kind: str, name: str) -> Ask:
        calls = [(name, self._arguments(kind, name))]
        if self._dice.random() < 0.2:
            # What is refused alone is refused in company.
            other = self._dice.choice([other for of, other in ROOTS if of == kind])
            calls.append((other, self._arguments(kind, other)))
        address = "/admin/graphql" if self._dice.random() < 0.1 else "/admin/gql"
        # To check a large document costs more than to run it.
        depth = self._dice.choice((2, 2, 2, 3))
        return Ask("POST", address, document_of(OURS, kind, *calls, depth=depth))

    def _arguments(self, kind: str, name: str) -> dict[str, Any]:
        declared = OURS.get_type(kind).fields[name].args.items()
        return {
            word: self._argument(name, word, argument.type)
            for word, argument in declared
            if is_required_argument(argument) or self._dice.random() < 0.4
        }

    def _argument(self, name: str, word: str, kind: Any) -> Any:
        made = get_nullable_type(kind)
        if word == "filter":
            return self._filter()
        if word == "order":
            return self._dice.choice(("+", "-")) + self._dice.choice(_FIELDS)
        theirs = naming_of(name, word, self._target)
        if theirs is not None:
            pawns = theirs if name in _ENDS else naming_of(name, word, self._pawn)
            return self._dice.choice((theirs, theirs, theirs, pawns))
        if isinstance(made, GraphQLInputObjectType):
            return self._props(made)
        return self._plain(word, kind)

    def _props(self, made: GraphQLInputObjectType) -> dict[str, Any]:
        props = input_of(made)
        for name, field in made.fields.items():
            if self._dice.random() < 0.3:
                props[name] = self._plain(name, field.type)
        return dict(props)

    def _plain(self, name: str, kind: Any) -> Any:
        """A value of a plain type, or a list of one, that names something where it can."""
        made, plain = get_nullable_type(kind), input_of(kind)
        if name == "user_update_mode":
            return self._dice.choice(_MODES)
        word = self._named(_NAMING[name]) if name in _NAMING else self._word(name)
        if isinstance(made, GraphQLList):
            return [word] if input_of(made.of_type) == "x" else []
        return word if plain == "x" else plain or 10

    def _filter(self) -> str:
        word, field = self._dice.choice(self._words), self._dice.choice(_FIELDS)
        form = self._dice.choice(_FILTERS)
        return form.format(field=field, word=word, part=word[:6])
