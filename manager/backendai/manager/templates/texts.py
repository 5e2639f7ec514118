"""YAML and JSON texts of templates, read into plain JSON values and written as YAML.

YAML here is what JSON could say too: no references, no tags, no keys twice; times stay texts. A
text that only JSON libraries read is read by one.
"""

import contextlib
import json
from typing import Any, Final

import yaml

from backendai.common.faults import BadRequest, InvalidParams
from backendai.common.params import DEPTH_MAX, parse_json

CHARS_MAX: Final = 128 * 1024
DOCUMENTS_MAX: Final = 16
_LEFT_OUT: Final = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge")
_OPENING: Final = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSING: Final = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


class _Loader(yaml.CSafeLoader):
    """Knows the scalars of JSON, and refuses a key that is given twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the library wants it
        first: [one for one in resolvers if one[0] not in _LEFT_OUT]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            word = str(key.value)
            if word in seen:
                problem = f"{word[:80]!r} is given more than once"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(word)
        return super().construct_mapping(node, deep)


def read_documents(text: str) -> list[Any]:
    """The values of a YAML stream, or the one value of a JSON text. Raises InvalidParams."""
    if len(text) > CHARS_MAX:
        raise _refused(f"longer than {CHARS_MAX // 1024} Ki characters")
    if text.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(BadRequest):
            return [parse_json(text.encode())]
    try:
        _refuse_odd_structure(text)
        documents = list(yaml.load_all(text, _Loader))
        # JSON's own reader refuses the values that no store could keep.
        return [parse_json(json.dumps(one).encode()) for one in documents]
    except yaml.MarkedYAMLError as error:
        raise _refused(_told(error)) from None
    except BadRequest as fault:
        raise _refused(fault.detail) from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise _refused(str(error).partition("\n")[0][:200]) from None


def write_document(value: Any) -> str:
    """A JSON value as YAML, which reads back to the same."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text


def _refuse_odd_structure(text: str) -> None:
    """Looked at before anything is made, since references and depths make much of little."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("references (*name) are not allowed; write it out")
        depth += isinstance(event, _OPENING) - isinstance(event, _CLOSING)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > DEPTH_MAX:
            raise ValueError(f"nested more than {DEPTH_MAX} deep")
        if documents > DOCUMENTS_MAX:
            raise ValueError(f"more than {DOCUMENTS_MAX} documents")


def _told(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark
    where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    return f"{where}{error.problem or 'this is neither YAML nor JSON'}"[:200]


def _refused(problem: str) -> InvalidParams:
    return InvalidParams(facts={"payload": problem})
