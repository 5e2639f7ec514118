"""A plan as people read it, and as programs do. PURE."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from backendai.client.apply.plan import Difference, Plan, Step, Verb

SIGNS: Final = {Verb.CREATE: "+", Verb.MODIFY: "~"}
NOTHING: Final = "Nothing to change."


def plan_lines(plan: Plan) -> Iterator[str]:
    """`+ user ann@example.com` and below it each property, then how many of what."""
    if not plan.steps:
        yield NOTHING
        return
    for step in plan.steps:
        yield f"{SIGNS[step.verb]} {step.ref.kind} {step.ref}"
        yield from _property_lines(step)
    yield summary(plan)


def summary(plan: Plan) -> str:
    counts = [sum(step.verb is verb for step in plan.steps) for verb in Verb]
    return f"{counts[0]} to create, {counts[1]} to change, {plan.kept} as they shall be."


def step_row(step: Step) -> dict[str, Any]:
    """One row of a listing; `changes` by property."""
    return {
        "action": step.verb.value,
        "kind": step.ref.kind.value,
        "name": str(step.ref),
        "changes": {
            each.name: {"before": each.before, "after": each.after} for each in step.differences
        },
    }


def _property_lines(step: Step) -> Iterator[str]:
    lines = [(each.name, _change(each, step.verb)) for each in step.differences]
    if step.password is not None:
        variable = step.password.variable
        lines.append(("password", f"from {variable}" if variable else "made, and shown once"))
    width = max((len(name) for name, _ in lines), default=0)
    for name, text in lines:
        yield f"    {name:<{width}}  {text}"


def _change(each: Difference, verb: Verb) -> str:
    if verb is Verb.CREATE:
        return show_value(each.after)
    before = "?" if each.before is None else show_value(each.before)
    return f"{before} -> {show_value(each.after)}"


def show_value(value: Any) -> str:
    """One line without control characters; what is empty is seen."""
    if isinstance(value, list):
        text = ", ".join(map(str, value))
    elif isinstance(value, dict):
        text = ", ".join(f"{name}: {_inner(inner)}" for name, inner in value.items())
    elif isinstance(value, bool):
        text = msgspec.json.encode(value).decode()
    else:
        text = str(value)
    return "".join(each if each.isprintable() else " " for each in text) or "(none)"


def _inner(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
