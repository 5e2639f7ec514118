"""PURE: which keys of the configuration may be written by hand, and how values become pairs.

A key is a path of words below the cluster's namespace. A nested object means one pair for each of
its leaves; where a path is a leaf and has others below it, its own value is under "".
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from backendai.common.faults import BadRequest, Conflict, Forbidden, InvalidParams

KEY_CHARS_MAX: Final = 512
VALUE_CHARS_MAX: Final = 64 * 1024
LEAVES_MAX: Final = 16
# The first word of protected paths, and why nobody writes there.
PROTECTED: Final[Mapping[str, str]] = {
    "nodes": "Agents register there themselves with their public keys; who could write there could "
    "pose as an agent. Use `backendai mgr agent` to take a node out of use.",
}
HIDDEN: Final = "***"
# What storage proxies know managers by.
_SECRET: Final = re.compile(r"volumes/proxies/[^/]+/secret")
_WORD: Final = re.compile(r"[^\x00-\x1f\x7f/]+")


def check_key(key: str) -> str:
    """`key` without slashes at its end. Raises InvalidParams."""
    path = key.rstrip("/")
    words = path.split("/")
    if len(key) > KEY_CHARS_MAX or not all(_WORD.fullmatch(word) for word in words):
        raise InvalidParams(
            facts={
                "key": "write words with slashes between them, like config/announcement, "
                f"in at most {KEY_CHARS_MAX} characters"
            }
        )
    return path


def refuse_protected(key: str) -> None:
    """Raises Forbidden, with the reason, for what the platform alone writes."""
    reason = PROTECTED.get(key.partition("/")[0])
    if reason is not None:
        raise Forbidden(f"{key} cannot be changed by hand. {reason}")


def pairs_of(key: str, value: object) -> dict[str, str]:
    """The pairs that storing `value` at `key` means. Raises InvalidParams and Forbidden."""
    pairs = {check_key(path): text for path, text in leaves_of(check_key(key), value)}
    if not pairs or len(pairs) > LEAVES_MAX:
        raise InvalidParams(facts={"value": f"an object has 1 to {LEAVES_MAX} values in all"})
    for path in pairs:
        refuse_protected(path)
    return pairs


def leaves_of(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Path and text of each value of nested objects. Raises InvalidParams."""
    if isinstance(value, dict):
        for word, inner in value.items():
            yield from leaves_of(f"{path}/{word}" if word else path, inner)
    else:
        yield path, _text_of(path, value)


def moved_pairs(
    pairs: Mapping[str, str], there: Mapping[str, str], source: str, target: str
) -> dict[str, tuple[str, str]]:
    """New key -> (old key, value) of what is at and below `source`; `there` is at the target.

    Raises BadRequest where the target is a part of the source or the other way round, and
    Conflict where something else is there already.
    """
    if f"{source}/".startswith(f"{target}/") or f"{target}/".startswith(f"{source}/"):
        raise BadRequest(f"{target} and {source} are parts of each other.")
    moved = {
        target + key.removeprefix(source): (key, value)
        for key, value in pairs.items()
        if key == source or key.startswith(source + "/")
    }
    if taken := [key for key, (_, value) in moved.items() if there.get(key, value) != value]:
        raise Conflict(f"There is another value already at {', '.join(taken)}; delete it first.")
    return moved


def is_secret(key: str) -> bool:
    """Whether the value at `key` is never shown again."""
    return _SECRET.fullmatch(key) is not None


def nest(pairs: Mapping[str, str], prefix: str) -> dict[str, Any]:
    """The pairs at and below the path `prefix`, as nested objects."""
    nested: dict[str, Any] = {}
    for key, value in sorted(pairs.items()):
        if key == prefix:
            nested[""] = value
        elif key.startswith(prefix + "/"):
            _put(nested, key.removeprefix(prefix + "/").split("/"), value)
    return nested


def _put(nested: dict[str, Any], words: list[str], value: str) -> None:
    for word in words[:-1]:
        inner = nested.setdefault(word, {})
        if not isinstance(inner, dict):
            inner = nested[word] = {"": inner}
        nested = inner
    last = words[-1]
    if isinstance(nested.get(last), dict):
        nested[last][""] = value
    else:
        nested[last] = value


def _text_of(path: str, value: object) -> str:
    """Numbers and booleans are stored as JSON writes them."""
    is_plain = isinstance(value, str | int | float)
    text = value if isinstance(value, str) else json.dumps(value)
    if not is_plain or len(text) > VALUE_CHARS_MAX:
        raise InvalidParams(
            facts={
                path[:80]: "write a text, a number, true or false, or an object of these; a text "
                f"has at most {VALUE_CHARS_MAX} characters"
            }
        )
    return text
