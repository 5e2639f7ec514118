"""Fields that need nothing but the row they are of: rendered in one loop over an object's fields.

graphql-core spends far more on such a field than the field itself costs; whatever else is selected
is left to it, and so is every row of which some field goes wrong.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    Executor,
    GraphQLID,
    GraphQLObjectType,
    GraphQLString,
    Undefined,
    get_nullable_type,
    is_leaf_type,
    is_non_null_type,
)
from graphql.pyutils import Path

Fields: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A resolver that renders what a root has loaded, without arguments."""

    render: Callable[[Any], Any]

    def __call__(self, source: Any, _info: object) -> Any:
        return self.render(source)


class _Step(NamedTuple):
    """One leaf field of an object.

    `coerce` makes what the field's type says of a value; one of class `kept` is that already.
    """

    name: str
    render: Callable[[Any], Any]
    coerce: Callable[[Any], Any]
    kept: type | None
    is_required: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """The leaves of a selection, and the fields that are left to graphql-core."""

    selection: Fields
    steps: tuple[_Step, ...]
    others: Fields


class LeafExecutor(Executor[None]):
    """Executes requests; one for each request, as its base is."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._plans: dict[int, _Plan] = {}

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: Fields,
        position_context: None,
    ) -> Any:
        plan = self._plan_of(parent_type, grouped_field_set)
        done = _render(plan.steps, source_value)
        if done is None or not plan.steps:
            return super().execute_fields(
                parent_type, source_value, path, grouped_field_set, position_context
            )
        if not plan.others:
            return done
        others: Any = super().execute_fields(
            parent_type, source_value, path, plan.others, position_context
        )
        if self.is_awaitable(others):
            return _merge_awaited(grouped_field_set, done, others)
        return _merge(grouped_field_set, done, others)

    def _plan_of(self, parent_type: GraphQLObjectType, selection: Fields) -> _Plan:
        """Made once for all rows of a list, which share their selection."""
        plan = self._plans.get(id(selection))
        if plan is None:
            steps = {name: _step_of(parent_type, name, field) for name, field in selection.items()}
            others = {name: field for name, field in selection.items() if steps[name] is None}
            found = tuple(step for step in steps.values() if step is not None)
            # It holds the selection, whose id is therefore nobody else's meanwhile.
            plan = self._plans[id(selection)] = _Plan(selection, found, others)
        return plan


def _step_of(parent_type: GraphQLObjectType, name: str, details: Any) -> _Step | None:
    field = parent_type.fields.get(details[0].node.name.value)
    if field is None or not isinstance(field.resolve, Leaf) or field.args:
        return None
    made = get_nullable_type(field.type)
    if not is_leaf_type(made):
        return None
    kept = str if made in (GraphQLString, GraphQLID) else None
    is_required = is_non_null_type(field.type)
    return _Step(name, field.resolve.render, made.coerce_output_value, kept, is_required)


def _render(steps: tuple[_Step, ...], source: Any) -> Fields | None:
    """None where graphql-core has to tell what is wrong, and of which field."""
    done: Fields = {}
    try:
        # Taken apart here, since this is where lists spend their time.
        for name, render, coerce, kept, is_required in steps:
            value = render(source)
            if value is None:
                if is_required:
                    return None
            elif value.__class__ is not kept:
                value = coerce(value)
                if value is None or value is Undefined:
                    return None
            done[name] = value
    except Exception:  # it fails again where it is done again, which tells the reader
        return None
    return done


def _merge(selection: Fields, done: Mapping[str, Any], others: Mapping[str, Any]) -> Fields:
    """Both in the order in which they were selected."""
    return {name: done[name] if name in done else others[name] for name in selection}


async def _merge_awaited(
    selection: Fields, done: Mapping[str, Any], others: Awaitable[Mapping[str, Any]]
) -> Fields:
    return _merge(selection, done, await others)
