"""Parameters of a request: read from the body or the query, and checked by trafaret, all at once.

A body, when there is one, is JSON and hides the query, whatever the method. What no handler could
make sense of (duplicate keys, NaN, depths, lone surrogates, NUL) is refused before it is checked.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NoReturn

import trafaret as t
from aiohttp import web

from .encoded import decode_body, is_encoded
from .faults import BadRequest, InvalidParams

DEPTH_MAX: Final = 32
NODES_MAX: Final = 100_000
_BOM: Final = b"\xef\xbb\xbf"


async def read_params(request: web.Request, trafaret: t.Trafaret) -> dict[str, Any]:
    """The checked parameters. Raises InvalidParams (facts: field -> message), BadRequest."""
    return check_params(await read_raw_params(request), trafaret)


async def read_given_params(request: web.Request, trafaret: t.Trafaret) -> dict[str, Any]:
    """As `read_params`, for a call where the official client writes null for what it leaves out."""
    return check_params(without_nulls(await read_raw_params(request)), trafaret)


async def read_raw_params(request: web.Request) -> dict[str, Any]:
    """The unchecked parameters: the body's object, or the query without a body."""
    body = await request.read()
    if not body:
        return read_query(request)
    value = parse_json(decode_body(body, request.host) if is_encoded(request.headers) else body)
    if not isinstance(value, dict):
        raise InvalidParams("The body must be a JSON object")
    return value


def check_params(values: dict[str, Any], trafaret: t.Trafaret) -> dict[str, Any]:
    try:
        checked: dict[str, Any] = trafaret.check(values)
    except t.DataError as error:
        raise InvalidParams("", dict(_messages(error, ()))) from None
    return checked


def checked(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A step of a trafaret: what `read` makes of a value, and its ValueError as what is wrong."""

    def run(value: Any) -> Any:
        try:
            return read(value)
        except ValueError as error:
            raise t.DataError(str(error)) from None

    return run


def without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def parse_json(body: bytes) -> Any:
    """A JSON value that every later step can work with. Raises BadRequest."""
    if body.startswith(_BOM):
        raise BadRequest("The body must not begin with a byte order mark")
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except UnicodeDecodeError:
        raise BadRequest("The body must be UTF-8") from None
    except RecursionError:
        raise BadRequest(f"The body is nested more than {DEPTH_MAX} deep") from None
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {error}"[:200]) from None
    _refuse_odd(value)
    return value


def read_query(request: web.Request) -> dict[str, Any]:
    """The unchecked parameters of the query alone. Raises InvalidParams, BadRequest."""
    doubled = [key for key in set(request.query) if len(request.query.getall(key)) > 1]
    if doubled:
        raise InvalidParams("", dict.fromkeys(sorted(doubled), "is given more than once"))
    values = dict(request.query)
    _refuse_odd(values)
    return values


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        doubled = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"{doubled[:80]!r} is given more than once")
    return made


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _refuse_odd(value: Any) -> None:
    """Raises BadRequest for depths, sizes and texts that stores or logs would choke on."""
    level, nodes = [value], 0
    for _ in range(DEPTH_MAX):
        nodes += len(level)
        if nodes > NODES_MAX:
            raise BadRequest(f"The request has more than {NODES_MAX} values")
        level = [inner for outer in level for inner in _inner(outer)]
        if not level:
            return
    raise BadRequest(f"The body is nested more than {DEPTH_MAX} deep")


def _inner(value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        refuse_odd_text(value)
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        for key, inner in value.items():
            refuse_odd_text(key)
            yield inner


def refuse_odd_text(text: str) -> None:
    """Raises BadRequest for what no store takes."""
    if "\0" in text:
        raise BadRequest("Text must not contain NUL")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise BadRequest("Text must not contain lone surrogates") from None


def _messages(error: t.DataError, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(error.error, dict):
        for key, inner in error.error.items():
            yield from _messages(inner, (*path, str(key)))
    else:
        yield ".".join(path) or "body", str(error.error)
