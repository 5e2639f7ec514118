"""What a trafaret takes, as JSON Schema: the same value that checks a request describes it.

A check that is only code (a function behind `&`) adds nothing here; the schema is then wider than
what is accepted, never narrower.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import trafaret as t

Schema = dict[str, Any]


def schema_of(trafaret: Any) -> Schema:
    """The JSON Schema of what `trafaret` accepts; empty (anything) where unknown. Pure."""
    for kind, render in _RENDERERS:
        if isinstance(trafaret, kind):
            return render(trafaret)
    return {}


def keys_of(trafaret: Any) -> list[t.Key]:
    """The keys of an object's trafaret, also of one that has more checks behind it. Pure."""
    while isinstance(trafaret, t.And):
        trafaret = trafaret.trafaret
    if not isinstance(trafaret, t.Dict):
        return []
    return [key for key in trafaret.keys if isinstance(key, t.Key)]


def is_required(key: t.Key) -> bool:
    """Whether a request without `key` is refused: asked of the check itself. Pure."""
    return any(isinstance(value, t.DataError) for _, value, _ in key({}))


def describe_key(key: t.Key) -> Schema:
    """The schema of one key's value, with its default where that is a plain value. Pure."""
    schema = schema_of(key.trafaret)
    if isinstance(key.default, str | int | float):
        return {**schema, "default": key.default}
    return schema


def _object(trafaret: t.Dict) -> Schema:
    keys = keys_of(trafaret)
    schema: Schema = {
        "type": "object",
        "properties": {key.name: describe_key(key) for key in keys},
        "additionalProperties": bool(trafaret.allow_any or trafaret.ignore_any),
    }
    required = [key.name for key in keys if is_required(key)]
    return {**schema, "required": required} if required else schema


def _text(trafaret: t.String) -> Schema:
    least = 0 if trafaret.allow_blank else 1
    least = max(least, trafaret.min_length or 0)
    limits = {"minLength": least or None, "maxLength": trafaret.max_length}
    return {"type": "string", **_given(limits)}


def _pattern(trafaret: t.RegexpRaw) -> Schema:
    # Matching begins at the start here, and the end is written differently.
    pattern = (trafaret.raw_regexp or "").removeprefix("^").replace(r"\Z", "$")
    return {"type": "string", "pattern": f"^(?:{pattern})"}


def _number(word: str) -> Callable[[Any], Schema]:
    names = {"gte": "minimum", "lte": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}

    def render(trafaret: Any) -> Schema:
        limits = {wire: getattr(trafaret, ours, None) for ours, wire in names.items()}
        return {"type": word, **_given(limits)}

    return render


def _list(trafaret: t.List) -> Schema:
    limits = {"minItems": trafaret.min_length or None, "maxItems": trafaret.max_length}
    return {"type": "array", "items": schema_of(trafaret.trafaret), **_given(limits)}


def _mapping(trafaret: t.Mapping) -> Schema:
    return {"type": "object", "additionalProperties": schema_of(trafaret.value)}


def _choice(trafaret: t.Enum) -> Schema:
    return {"enum": list(trafaret.variants)}


def _either(trafaret: t.Or) -> Schema:
    return {"anyOf": [schema_of(each) for each in trafaret.trafarets]}


def _given(limits: Mapping[str, Any]) -> Schema:
    return {name: limit for name, limit in limits.items() if limit is not None}


# In order: the first that fits counts, so narrower kinds come before wider ones.
_RENDERERS: Final[tuple[tuple[type, Callable[[Any], Schema]], ...]] = (
    (t.Dict, _object),
    (t.And, lambda trafaret: schema_of(trafaret.trafaret)),
    (t.Or, _either),
    (t.RegexpRaw, _pattern),
    (t.String, _text),
    (t.Enum, _choice),
    (t.Bool, lambda _: {"type": "boolean"}),
    (t.ToBool, lambda _: {"type": "boolean"}),
    (t.Int, _number("integer")),
    (t.ToInt, _number("integer")),
    (t.Float, _number("number")),
    (t.ToFloat, _number("number")),
    (t.List, _list),
    (t.Mapping, _mapping),
    (t.Null, lambda _: {"type": "null"}),
)
