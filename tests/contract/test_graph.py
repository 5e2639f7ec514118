"""What the official API says of GraphQL holds here too, for every root that is built.

`official.graphql` is that API as observed, of its manager 23.9.10; the types that mutations answer
with are named by us. More fields, arguments and types than it has are no difference.
"""

from graphql import BreakingChangeType, GraphQLSchema, build_schema, find_breaking_changes

from backendai.manager.graph.roots import MUTATIONS
from tests.contract.generate import ROOT

# Roots that are not built are missing as a whole, with what only they refer to.
_WHOLE = (
    "Field Query.",
    "Field Mutation.",
)
# Comes with virtual folders.
LATER = {"Field KeyPair.vfolders was removed."}


def read_schema(path: str) -> GraphQLSchema:
    return build_schema((ROOT / path).read_text("utf-8"))


OFFICIAL = read_schema("tests/contract/official.graphql")
OURS = read_schema("manager/backendai/manager/graph/schema.graphql")


def test_nothing_breaks_who_knows_the_official_api() -> None:
    found = {
        change.description
        for change in find_breaking_changes(OFFICIAL, OURS)
        if change.type is not BreakingChangeType.TYPE_REMOVED
        and not (
            change.type is BreakingChangeType.FIELD_REMOVED
            and change.description.startswith(_WHOLE)
        )
    }
    assert found == LATER


def test_every_mutation_of_ours_is_in_the_schema_and_changes_something() -> None:
    assert OURS.mutation_type is not None
    assert set(OURS.mutation_type.fields) == set(MUTATIONS)
    assert all(row.action.writes for row in MUTATIONS.values())
