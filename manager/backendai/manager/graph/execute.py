"""Runs GraphQL requests: documents are parsed and checked once, and bounded before they run."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    build_schema,
    execute,
    get_nullable_type,
    is_non_null_type,
    parse,
    specified_rules,
    type_from_ast,
    validate,
)
from graphql.validation import VariablesInAllowedPositionRule
from graphql.validation.rules.variables_in_allowed_position import allowed_variable_usage

from backendai.common.faults import Fault, GraphQLFault
from backendai.common.logs import get_logger
from backendai.manager.gate.actor import Actor

from .leaves import Leaf, LeafExecutor

log = get_logger(__name__)

DOCUMENT_CHARS_MAX: Final = 64 * 1024
DEPTH_MAX: Final = 10
FIELDS_MAX: Final = 1000
ALIASES_MAX: Final = 30
ROOTS_MAX: Final = 10
CACHED_DOCUMENTS: Final = 512
SCHEMA_FILE: Final = Path(__file__).with_name("schema.graphql")
_TOKENS_MAX: Final = 20_000
# Clients declare ids as they like; these mean the same on input.
_TEXT_LIKE: Final = frozenset({"String", "UUID", "ID"})
# Written as an escape it passes the check of the body, and no store takes it.
_NUL: Final = re.compile(r"\\u(0000|\{0+\})")

Resolver = Callable[..., Any]


def sync_fields(fields: Mapping[str, Callable[[Any], Any]]) -> dict[str, Resolver]:
    """Resolvers of fields that render what a root has loaded."""
    return {name: Leaf(render) for name, render in fields.items()}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request gave: `data` keeps the order of its fields."""

    data: dict[str, Any] | None
    errors: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class GraphContext:
    """What resolvers find in `info.context`."""

    actor: Actor


class Graph:
    """The schema with its resolvers, and a cache of checked documents."""

    def __init__(
        self,
        roots: Mapping[str, Mapping[str, Resolver]],
        fields: Mapping[str, Mapping[str, Resolver]],
    ) -> None:
        """`roots` are the resolvers of Query and Mutation, of which none may be missing."""
        self.schema = _build(roots, fields)
        self._checked = lru_cache(CACHED_DOCUMENTS)(self._check)

    async def run(
        self,
        text: str,
        variables: Mapping[str, Any],
        context: GraphContext,
        operation: str | None = None,
    ) -> Outcome:
        try:
            document = self._checked(text, context.actor.is_superadmin)
        except _Refused as refused:
            return Outcome(None, refused.errors)
        result = execute(
            self.schema,
            document,
            context_value=context,
            variable_values=dict(variables),
            operation_name=operation,
            executor_class=LeafExecutor,
        )
        if not isinstance(result, ExecutionResult):
            result = await result
        return Outcome(result.data, [_shown(error) for error in result.errors or ()])

    def _check(self, text: str, may_introspect: bool) -> DocumentNode:
        if len(text) > DOCUMENT_CHARS_MAX:
            raise _Refused([{"message": f"longer than {DOCUMENT_CHARS_MAX} characters"}])
        if _NUL.search(text):
            raise _Refused([{"message": "Text must not contain NUL"}])
        try:
            document = parse(text, max_tokens=_TOKENS_MAX, no_location=False)
            _bound(document, may_introspect)
        except GraphQLError as error:
            raise _Refused([_shown(error)]) from None
        except RecursionError:
            raise _Refused([{"message": "nested too deep"}]) from None
        errors = validate(
            self.schema, document, rules=_RULES, max_errors=20, hide_suggestions=not may_introspect
        )
        if errors:
            raise _Refused([_shown(error) for error in errors])
        return document


class _Refused(Exception):
    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__("refused")
        self.errors = errors


class _LenientPositions(VariablesInAllowedPositionRule):
    """Variables declared as String, UUID or ID may stand for each other."""

    def leave_operation_definition(self, operation: OperationDefinitionNode, *_args: Any) -> None:
        schema = self.context.schema
        for usage in self.context.get_recursive_variable_usages(operation):
            definition = self.var_def_map.get(usage.node.name.value)
            if definition is None or usage.type is None:
                continue
            declared = type_from_ast(schema, definition.type)
            if declared is None:
                continue
            meant = _alike(declared, usage.type)
            if not allowed_variable_usage(
                schema, meant, definition.default_value, usage.type, usage.default_value
            ):
                message = (
                    f"Variable '${usage.node.name.value}' of type '{declared}'"
                    f" used in position expecting type '{usage.type}'."
                )
                self.report_error(GraphQLError(message, [definition, usage.node]))


def _alike(declared: Any, wanted: Any) -> Any:
    """The declared type, with the wanted scalar in place of one that means the same as text."""
    ours, theirs = get_nullable_type(declared), get_nullable_type(wanted)
    if getattr(ours, "name", "") not in _TEXT_LIKE or getattr(theirs, "name", "") not in _TEXT_LIKE:
        return declared
    return GraphQLNonNull(theirs) if is_non_null_type(declared) else theirs


_RULES: Final = [
    _LenientPositions if rule is VariablesInAllowedPositionRule else rule
    for rule in specified_rules
]


def _build(
    roots: Mapping[str, Mapping[str, Resolver]], fields: Mapping[str, Mapping[str, Resolver]]
) -> GraphQLSchema:
    schema = build_schema(SCHEMA_FILE.read_text("utf-8"))
    for type_name, resolvers in roots.items():
        declared = _resolve(schema, type_name, resolvers)
        if unresolved := declared.fields.keys() - resolvers.keys():
            raise AssertionError(f"no resolver for {sorted(unresolved)}")
    for type_name, resolvers in fields.items():
        _resolve(schema, type_name, resolvers)
    return schema


def _resolve(
    schema: GraphQLSchema, type_name: str, resolvers: Mapping[str, Resolver]
) -> GraphQLObjectType:
    made = schema.type_map[type_name]
    if not isinstance(made, GraphQLObjectType) or resolvers.keys() - made.fields.keys():
        raise AssertionError(f"{type_name} lacks {resolvers.keys()}")
    for name, resolve in resolvers.items():
        made.fields[name].resolve = resolve
    return made


def _bound(document: DocumentNode, may_introspect: bool) -> None:
    """Raises GraphQLError for what costs too much to run, or what the caller may not see."""
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            if node.operation is OperationType.SUBSCRIPTION:
                raise GraphQLError("There are no subscriptions.")
            _Meter(fragments, may_introspect).measure(node.selection_set, 1)


class _Meter:
    """Counts selections, roots, aliases and depth, through fragments as often as they are used.

    Spreads count themselves: fragments of nothing but spreads would multiply without a field.
    """

    def __init__(
        self, fragments: Mapping[str, FragmentDefinitionNode], may_introspect: bool
    ) -> None:
        self._fragments = fragments
        self._may_introspect = may_introspect
        self._selections = 0
        self._aliases = 0
        self._roots = 0

    def measure(
        self, selections: SelectionSetNode | None, depth: int, *, is_root: bool = True
    ) -> None:
        if selections is None:
            return
        if depth > DEPTH_MAX:
            raise GraphQLError(f"nested more than {DEPTH_MAX} deep")
        for node in selections.selections:
            self._selections += 1
            if self._selections > FIELDS_MAX:
                raise GraphQLError(f"more than {FIELDS_MAX} fields")
            match node:
                case FieldNode():
                    self._look_at(node, is_root=is_root)
                    self.measure(node.selection_set, depth + 1, is_root=False)
                case InlineFragmentNode():
                    self.measure(node.selection_set, depth + 1, is_root=is_root)
                case FragmentSpreadNode():
                    fragment = self._fragments.get(node.name.value)
                    if fragment is not None:
                        self.measure(fragment.selection_set, depth + 1, is_root=is_root)

    def _look_at(self, node: FieldNode, *, is_root: bool) -> None:
        self._roots += is_root
        if self._roots > ROOTS_MAX:
            raise GraphQLError(f"more than {ROOTS_MAX} root fields")
        self._aliases += node.alias is not None
        if self._aliases > ALIASES_MAX:
            raise GraphQLError(f"more than {ALIASES_MAX} aliases")
        if node.name.value in ("__schema", "__type") and not self._may_introspect:
            raise GraphQLError("The schema is not shown to you.")


def _shown(error: GraphQLError) -> dict[str, Any]:
    """An error as its reader may see it; outages leave as faults, surprises are only logged."""
    cause = error.original_error
    if cause is not None and not isinstance(cause, GraphQLError):
        if not isinstance(cause, Fault):
            raise cause
        if not isinstance(cause, GraphQLFault) and cause.http_status >= 500:
            raise cause
    message = str(cause) if isinstance(cause, Fault) else error.message
    shown: dict[str, Any] = {"message": message}
    if error.path:
        shown["path"] = error.path
    if error.locations:
        shown["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    return shown
