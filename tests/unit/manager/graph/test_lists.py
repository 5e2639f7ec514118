"""Every field of the lists has a function that renders it, and every root an action."""

import pytest
from graphql import GraphQLObjectType, GraphQLSchema, default_field_resolver

from backendai.common.settings.sections import DbSettings
from backendai.manager.db.engine import open_database
from backendai.manager.gate.actor import Access
from backendai.manager.graph.lists import ListRoots
from tests.unit.manager.graph.whole import make_unconnected

OPEN_TO_ALL = {
    "agent_summary",
    "agent_summary_list",
    "user_list",
    "keypair_list",
    "compute_session_list",
    "compute_container",
    "compute_container_list",
    "legacy_compute_session",
    "legacy_compute_session_list",
}


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return make_unconnected().schema


@pytest.mark.parametrize(
    "name",
    [
        "Agent",
        "AgentSummary",
        "ComputeContainer",
        "ComputeSession",
        "KeyPair",
        "LegacyComputeSession",
        "ScalingGroup",
        "User",
    ],
)
def test_every_field_is_rendered_by_a_function(schema: GraphQLSchema, name: str) -> None:
    made = schema.type_map[name]
    assert isinstance(made, GraphQLObjectType)
    unresolved = [
        field
        for field, each in made.fields.items()
        if each.resolve in (None, default_field_resolver)
    ]
    assert unresolved == []


def test_only_superadmins_read_nodes_and_resource_groups() -> None:
    roots = ListRoots(open_database(DbSettings(), "test"), hides_agents=False).roots()
    closed = {n for n, root in roots.items() if root.action.access is Access.SUPERADMIN}
    assert closed == roots.keys() - OPEN_TO_ALL
    assert not any(root.action.writes for root in roots.values())
