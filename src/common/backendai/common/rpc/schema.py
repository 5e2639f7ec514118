"""The schema of a contract as plain data, for the committed snapshot that a test compares."""

from collections.abc import Sequence
from typing import Any

import msgspec

from .call import AnyCall


def contract_schema(contract: Sequence[AnyCall]) -> dict[str, Any]:
    """`{"calls": {name: …}, "structs": {name: JSON schema}}`, in a stable order.

    Raises ValueError when two calls share a name.
    """
    calls = {call.name: call for call in contract}
    if len(calls) != len(contract):
        raise ValueError("two calls of a contract have the same name")
    types = [kind for name in sorted(calls) for kind in (calls[name].request, calls[name].reply)]
    schemas, structs = msgspec.json.schema_components(types, ref_template="#/structs/{name}")
    pairs = list(zip(schemas[::2], schemas[1::2], strict=True))
    return {
        "calls": {
            name: _call_schema(calls[name], request, reply)
            for name, (request, reply) in zip(sorted(calls), pairs, strict=True)
        },
        "structs": dict(sorted(structs.items())),
    }


def _call_schema(call: AnyCall, request: Any, reply: Any) -> dict[str, Any]:
    return {
        "request": request,
        "reply": reply,
        "idempotent": call.idempotent,
        "deadline_seconds": call.deadline_seconds,
    }
