"""What the official API says of GraphQL holds here too, for every root that is built.

`official.graphql` is that API as observed, of its manager 23.9.10; the types that mutations answer
with are named by us. More fields, arguments and types than it has are no difference.
"""

import pytest
from graphql import BreakingChangeType, GraphQLSchema, build_schema, find_breaking_changes

from backendai.manager.graph.execute import SCHEMA_FILE
from backendai.manager.graph.roots import MUTATIONS
from tests.contract.generate import ROOT

# Roots that are not built are missing as a whole, with what only they refer to.
_WHOLE = (
    "Field Query.",
    "Field Mutation.",
)


OFFICIAL = build_schema((ROOT / "tests/contract/official.graphql").read_text("utf-8"))
TEXT = SCHEMA_FILE.read_text("utf-8")
OURS = build_schema(TEXT)


def find_breaks(ours: GraphQLSchema) -> set[str]:
    return {
        change.description
        for change in find_breaking_changes(OFFICIAL, ours)
        if change.type is not BreakingChangeType.TYPE_REMOVED
        and not (
            change.type is BreakingChangeType.FIELD_REMOVED
            and change.description.startswith(_WHOLE)
        )
    }


def test_nothing_breaks_who_knows_the_official_api() -> None:
    assert find_breaks(OURS) == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  cpu_cur_pct: Float\n", ""),
        ("agents(scaling_group: String,", "agents(scaling_group: String!,"),
        ("type AgentList {\n  items: [Agent]!", "type AgentList {\n  items: [Agent]"),
        ("msg: String\n  domain: Domain", "msg: String\n  domain: Group"),
    ],
)
def test_a_break_would_be_seen(old: str, new: str) -> None:
    assert old in TEXT
    assert find_breaks(build_schema(TEXT.replace(old, new)))


def test_every_mutation_of_ours_is_in_the_schema_and_changes_something() -> None:
    assert OURS.mutation_type is not None
    assert set(OURS.mutation_type.fields) == set(MUTATIONS)
    assert all(row.action.writes for row in MUTATIONS.values())
