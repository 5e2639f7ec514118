"""GraphQL requests that make no sense: odd documents, and odd values for the arguments of roots."""

import json
import random
from typing import Any, Final

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_required_argument,
    is_required_input_field,
)

from backendai.manager.inventory import declared_roots
from tests.contract.test_graph import OURS
from tests.integration.manager.api.asks import document_of, input_of

Root = tuple[str, str]
ROOTS: Final[list[Root]] = [(kind, name) for kind, of in declared_roots().items() for name in of]
DOCUMENTS: Final[tuple[str, ...]] = (
    "",
    "{",
    "{}",
    "#",
    "query",
    "{ nothing }",
    "{ user }",
    "{ user { nothing } }",
    "{ __schema { types { fields { type { ofType { ofType { name } } } } } } }",
    "{ __typename }",
    '{ __type(name: "\u0000") { name } }',
    "{ user @skip { email } }",
    "{ user @include(if: $nothing) { email } }",
    "{ user @include(if: 1) { email } }",
    "query($a: Int!) { user { email } }",
    "query($a: Nothing) { user { email } }",
    "query($a: [[[String!]!]!]!) { user(email: $a) { email } }",
    'query($a: String = 1) { user(email: "x", email: "y") { email } }',
    "query a { user { email } } query b { user { email } }",
    "subscription { user { email } }",
    "fragment a on User { ...b } fragment b on User { ...a } { user { ...a } }",
    "fragment a on Nothing { email } { user { ...a } }",
    "{ user { ... on Domain { name } } }",
    "{ user { email: full_name email } }",
    "type a { b: Int }",
    '{ user(email: "\\uD800") { email } }',
    '{ user(email: "\\u{110000}") { email } }',
    '{ user(email: """\\""" ""\u2028) { email } }',
    "{ user(email: 1e999) { email } }",
    "{ compute_session_list(limit: 99999999999999999999, offset: -1) { total_count } }",
    "{ compute_session_list(limit: -1, offset: 0) { items { id } total_count } }",
    "{ compute_session_list(limit: 0, offset: 2147483647) { items { id } } }",
    "{" * 5000,
    "{ a" * 5000,
    "{ user { email } }" + " " * 70_000,
    "{ " + " ".join(f"a{number}: user {{ email }}" for number in range(200)) + " }",
    "{ " + "user { email } " * 2000 + "}",
    "mutation { " + "delete_user { ok } " * 3 + "}",
    "mutation { user { email } }",
)
TEXTS: Final[tuple[str, ...]] = (
    "",
    " ",
    "%",
    "_",
    "\\",
    "'; drop table users; --",
    "\ud800",
    "\u0000",
    "\u202e\u2028\ufeff\U0010ffff",
    "x" * 70_000,
    "9" * 400,
    "-1",
    "1e999",
    "NaN",
    "Infinity",
    "null",
    "../..",
    "0000-00-00",
    "9999-12-31T23:59:59-23:59",
    "00000000-0000-0000-0000-000000000000",
    "{00000000000000000000000000000000}",
    "RUNNING,RUNNING,,nothing",
    "::ffff:0:0/200",
    "http://[::1",
    "a/b/c/d:e:f@sha256:0",
)
# What is there and nobody asks as, so that odd values are put to something.
KNOWN: Final[tuple[str, ...]] = (
    "bob@example.com",
    "AKBOB",
    "other",
    "small",
    "few-waiting",
    "cr.example.com/stable/shell:1.0",
    "shell",
    "user",
    "active",
)
JSON_TEXTS: Final[tuple[str, ...]] = (
    "",
    "{",
    "[]",
    "null",
    "1",
    '"x"',
    '{"cpu": -1}',
    '{"cpu": "NaN"}',
    '{"cpu": "1e999999999"}',
    '{"cpu": NaN}',
    '{"cpu": {"a": []}}',
    '{"cpu": true}',
    '{"mem": "1x"}',
    '{"mem": "' + "9" * 400 + 'g"}',
    '{"": ""}',
    '{"cpu": 1, "cpu": 2}',
    '{"\\u0000": "\\ud800"}',
    "[" * 3000,
    '{"a":' * 3000,
)
FILTERS: Final[tuple[str, ...]] = (
    "",
    "(",
    "==",
    "name",
    "name ==",
    "name == nothing",
    'name == "',
    'name == "x" &',
    'name == "x" | & name == "y"',
    "name in []",
    'name in [1, "a", null]',
    "name ilike 1",
    "name ilike null",
    'nothing == "x"',
    'id == "x"',
    'id in ["\\u0000"]',
    'status == "nothing"',
    'is_active == "maybe"',
    "is_active > true",
    'created_at > "x"',
    'created_at > "0001-01-01T00:00:00+23:59"',
    "created_at < 1e999",
    "cpu_slots > 99999999999999999999999999",
    "cpu_slots > " + "9" * 400,
    "cpu_slots > " + "9" * 400 + ".5",
    "is_active in [true, null]",
    "is_active >= null",
    "is_active like true",
    "!(" * 3000,
    "(" * 200 + 'name == "x"' + ")" * 200,
    " & ".join(['name == "x"'] * 2000),
    'name == "' + "x" * 70_000 + '"',
    'name == "\\\\"',
    "name isnot null",
    "name is 1",
    "name contains [[[[]]]]",
    "1 == 1",
    "name == \u0661",
)
ORDERS: Final[tuple[str, ...]] = (
    "",
    "+",
    "-",
    "nothing",
    "+nothing",
    "id id",
    "+id,-id,+id",
    "+id,",
    "--id",
    "+id; drop table users",
    "+" + "id,+" * 2000,
    "+created_at,-name",
    "\ufeff+id",
)
_OPERATORS: Final = ("==", "!=", ">", ">=", "<", "<=", "is", "isnot", "in", "like", "contains")
_OPERANDS: Final = (
    '"x"',
    '""',
    '"%"',
    "1",
    "-1.5",
    "9" * 30,
    "true",
    "null",
    '["x", "y"]',
    "[1, true, null]",
    "[]",
    '"2026-01-01"',
    '"00000000-0000-0000-0000-000000000000"',
    '"RUNNING"',
)
_INTS: Final = (0, -1, 1, 2**31 - 1, -(2**31), 2**63, 0.5, "1", True)
_BIGS: Final = (0, -1, 2**63 - 1, 2**63, -(2**63) - 1, 10**40, "1e5", 1.5)


def odd_graph(root: Root, dice: random.Random) -> bytes:
    """A body for `root` with something odd in it, now and then one that is odd as a whole."""
    if dice.random() < 0.1:
        return json.dumps({"query": dice.choice(DOCUMENTS), "variables": {}}).encode()
    kind, name = root
    body = document_of(OURS, kind, (name, _arguments(kind, name, dice)), depth=2)
    if dice.random() < 0.05:
        body["query"] = _bitten(body["query"], dice)
    return json.dumps(body).encode()


def _bitten(text: str, dice: random.Random) -> str:
    at = dice.randrange(len(text))
    return text[:at] + dice.choice(TEXTS) + text[at + dice.randrange(8) :]


def _arguments(kind: str, name: str, dice: random.Random) -> dict[str, Any]:
    """What is needed, and some of the rest: about half of it odd."""
    root = OURS.get_type(kind).fields[name]
    values = {
        word: _value(word, argument.type, dice)
        for word, argument in root.args.items()
        if is_required_argument(argument) or dice.random() < 0.5
    }
    if "filter" in values and dice.random() < 0.7:
        column = dice.choice(_columns(root))
        values["filter"] = f"{column} {dice.choice(_OPERATORS)} {dice.choice(_OPERANDS)}"
    if "order" in values and dice.random() < 0.7:
        values["order"] = dice.choice(("+", "-")) + dice.choice(_columns(root))
    return values


def _columns(root: GraphQLField) -> list[str]:
    """What the items of a list are filtered by and ordered by, and some that they are not."""
    made = get_named_type(root.type)
    if isinstance(made, GraphQLObjectType) and "items" in made.fields:
        made = get_named_type(made.fields["items"].type)
    return [*made.fields] if isinstance(made, GraphQLObjectType) else ["id"]


def _value(word: str, kind: Any, dice: random.Random) -> Any:
    made = get_nullable_type(kind)
    if isinstance(made, GraphQLInputObjectType):
        fields = made.fields.items()
        return {
            name: _value(name, field.type, dice)
            for name, field in fields
            if is_required_input_field(field) or dice.random() < 0.4
        }
    if isinstance(made, GraphQLList):
        return [_value(word, made.of_type, dice) for _ in range(dice.choice((0, 1, 1, 2)))]
    if made is kind and dice.random() < 0.05:
        return None
    return _leaf(word, made, dice)


def _leaf(word: str, made: Any, dice: random.Random) -> Any:
    if word in ("filter", "order"):
        return dice.choice(FILTERS if word == "filter" else ORDERS)
    if isinstance(made, GraphQLEnumType):
        return dice.choice((*made.values, "nothing"))
    odd = {"Int": _INTS, "BigInt": _BIGS, "JSONString": JSON_TEXTS, "Boolean": (True, False)}
    if made.name in odd:
        return dice.choice(odd[made.name])
    if made.name == "String":
        return dice.choice(KNOWN if dice.random() < 0.5 else TEXTS)
    return dice.choice((input_of(made), dice.choice(TEXTS)))
