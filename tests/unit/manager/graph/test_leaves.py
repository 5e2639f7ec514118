"""Leaves rendered in one loop: the answer is graphql-core's own, whatever is selected."""

from collections.abc import Mapping
from typing import Any

import pytest
from graphql import ExecutionResult, GraphQLObjectType, GraphQLSchema, build_schema, execute, parse

from backendai.manager.graph.leaves import Leaf, LeafExecutor

SCHEMA = """
enum Colour { RED GREEN }
type Thing {
  name: String!
  note: String
  size: Int
  colour: Colour
  tags: [String]
  shouted(times: Int): String
  slow: String
  part: Thing
}
type Query { things: [Thing] }
"""
GOOD: Mapping[str, Any] = {"name": "a", "note": None, "size": 3, "colour": "RED", "tags": ["x"]}
DOCUMENTS = (
    "{ things { name note size colour } }",
    "{ things { size again: size name } }",
    "{ things { name tags size shouted(times: 2) note __typename } }",
    "{ things { slow name part { name slow } size } }",
    "{ things { part { size part { name } } ... on Thing { note } ...F } } fragment F on Thing"
    " { colour size }",
    "{ things { name @skip(if: true) size @include(if: true) } }",
)
WRONG: tuple[Mapping[str, Any], ...] = (
    {**GOOD, "name": None},
    {**GOOD, "size": "many"},
    {**GOOD, "colour": "BLUE"},
    {"note": "no name"},
    {**GOOD, "part": {"size": 2**40}},
)


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    made = build_schema(SCHEMA)
    thing = made.type_map["Thing"]
    assert isinstance(thing, GraphQLObjectType)
    fields = thing.fields
    for name in ("name", "size"):
        fields[name].resolve = Leaf(lambda thing, name=name: thing[name])
    for name in ("note", "colour", "tags", "part"):
        fields[name].resolve = Leaf(lambda thing, name=name: thing.get(name))
    fields["shouted"].resolve = lambda thing, _info, times=1: thing["name"] * times
    fields["slow"].resolve = _slow
    return made


async def _slow(thing: Mapping[str, Any], _info: object) -> str:
    return f"slow {thing['name']}"


async def run(schema: GraphQLSchema, document: str, things: object, **how: Any) -> ExecutionResult:
    found = execute(schema, parse(document), {"things": things}, **how)
    return found if isinstance(found, ExecutionResult) else await found


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("wrong", [None, *WRONG])
async def test_the_answer_is_that_of_graphql_core(
    schema: GraphQLSchema, document: str, wrong: Mapping[str, Any] | None
) -> None:
    """Values, order, and errors with their places."""
    things = [GOOD, {**GOOD, "part": GOOD}, None, *([wrong] if wrong else ()), GOOD]
    ours = await run(schema, document, things, executor_class=LeafExecutor)
    theirs = await run(schema, document, things)
    assert ours.formatted == theirs.formatted
    assert [list(each or ()) for each in _items(ours)] == [
        list(each or ()) for each in _items(theirs)
    ]


def _items(result: ExecutionResult) -> list[Any]:
    return (result.data or {})["things"]
