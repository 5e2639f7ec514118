"""What a request selects below a field, so that only that is loaded. Pure."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLResolveInfo,
    InlineFragmentNode,
    SelectionSetNode,
    get_argument_values,
)

Info: TypeAlias = GraphQLResolveInfo[Any]


def selected(info: Info, *below: str) -> set[str]:
    """The names of the fields selected under this field, or further down under `below`."""
    return {node.name.value for node in _fields(_sets(info, below), info)}


def arguments(info: Info, type_name: str, field: str, *below: str) -> list[dict[str, Any]]:
    """The arguments of each use of `field` of `type_name` under this field, or further down under
    `below`; empty: it is not used."""
    owner = info.schema.type_map[type_name]
    if not isinstance(owner, GraphQLObjectType):
        raise TypeError(f"{type_name} has no fields")
    found = _fields(_sets(info, below), info)
    return [
        get_argument_values(owner.fields[field], node, info.variable_values)
        for node in found
        if node.name.value == field
    ]


def _sets(info: Info, below: Sequence[str]) -> list[SelectionSetNode | None]:
    sets: list[SelectionSetNode | None] = [node.selection_set for node in info.field_nodes]
    for name in below:
        sets = [node.selection_set for node in _fields(sets, info) if node.name.value == name]
    return sets


def _fields(sets: list[SelectionSetNode | None], info: Info) -> list[FieldNode]:
    found: list[FieldNode] = []
    todo: list[Any] = [node for each in sets if each for node in each.selections]
    while todo:
        match todo.pop():
            case FieldNode() as node:
                found.append(node)
            case InlineFragmentNode(selection_set=inner):
                todo.extend(inner.selections)
            case FragmentSpreadNode(name=name):
                fragment = info.fragments.get(name.value)
                todo.extend(fragment.selection_set.selections if fragment else ())
    return found
