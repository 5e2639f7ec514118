"""What a GraphQL document may cost, before anything of it runs."""

import uuid

import pytest

from backendai.common.enums import UserRole
from backendai.manager.gate.actor import Actor
from backendai.manager.graph.execute import Graph, GraphContext
from tests.unit.manager.graph.whole import make_unconnected

ALICE = Actor(
    access_key="AKIA",
    user_id=uuid.UUID(int=1),
    email="alice@example.com",
    username="alice",
    full_name="Alice",
    role=UserRole.USER,
    domain="default",
    is_admin=False,
    policy="default",
    rate_limit=1000,
)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return make_unconnected()


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("last", "limit"),
    [("...Nowhere", "more than 1000 fields"), ("keypair { id }", "more than 10 root fields")],
)
async def test_fragments_of_fragments_are_counted(graph: Graph, last: str, limit: str) -> None:
    depth, width = 7, 60
    spreads = [" ".join([f"...F{index + 1}"] * width) for index in range(depth)]
    fragments = [f"fragment F{index} on Query {{ {text} }}" for index, text in enumerate(spreads)]
    document = "\n".join(["{ ...F0 }", *fragments, f"fragment F{depth} on Query {{ {last} }}"])
    outcome = await graph.run(document, {}, GraphContext(ALICE))
    assert outcome.data is None
    assert outcome.errors[0]["message"] == limit


@pytest.mark.parametrize(
    "document",
    [
        "{ A }",
        "{ ...R } fragment R on Query { A }",
        "{ ... on Query { A } }",
        "{ ...R } fragment R on Query { ...S } fragment S on Query { A }",
    ],
)
@pytest.mark.parametrize("count", [10, 11])
async def test_roots_are_bounded_however_they_are_written(
    graph: Graph, document: str, count: int
) -> None:
    text = document.replace("A", " ".join(f"a{index}: nothing" for index in range(count)))
    outcome = await graph.run(text, {}, GraphContext(ALICE))
    is_refused = outcome.errors[0]["message"] == "more than 10 root fields"
    assert is_refused == (count > 10)
