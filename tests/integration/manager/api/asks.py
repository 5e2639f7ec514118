"""Requests made from nothing but declarations: a sound one for every route and GraphQL root."""

import asyncio
import itertools
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    OperationType,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)
from yarl import URL

from backendai.manager.gate.openapi import in_query
from backendai.manager.gate.routes import JSON, Route
from backendai.manager.gate.shapes import describe_key, is_required, keys_of
from tests.integration.manager.api.caller import Answer, Caller
from tests.integration.manager.api.tenants import Target

_NO_ID: Final = str(uuid.UUID(int=0))
IN_PATH: Final = re.compile(r"{(\w+)}")
# Keys that say whose things a request is about, and what of a target they name.
TENANT_KEYS: Final[Mapping[str, str]] = {
    "owner_access_key": "access_key",
    "ownerAccessKey": "access_key",
    "onwer_access_key": "access_key",
    "domain": "domain",
    "domain_name": "domain",
    "group": "project",
    "group_id": "project",
}
PATH_KEYS: Final[Mapping[str, str]] = {
    "session": "session",
    "log_id": "log",
    "template_id": "template",
    "task_id": "task",
    "folder": "folder",
    "inv_id": "invitation",
    "circuit": "circuit",
}
# Sound values where the check is more than a schema tells; nothing here does lasting harm.
EXAMPLES: Final[Mapping[str, Any]] = {
    "image": "python:3.11",
    "enqueueOnly": True,
    "path": ".target",
    "permission": "644",
    "files": ["a.txt"],
    "file": "a.txt",
    "status": "running",
    "args": ["i-nowhere"],
    "key": "config/nothing",
    "context_env": "{}",
    "id": "0",
    "mode": "query",
    "app": "jupyter",
    "service": "jupyter",
    "service_name": "jupyter",
    "query": "{ domain { name } }",
    "email": "nobody@example.com",
    "password": "not the password",
    "sessionId": _NO_ID,
    "event": "schedule",
    "payload": "{api_version: '6', kind: taskTemplate, metadata: {name: asked-for},"
    " spec: {kernel: {image: 'python:3.11'}}}",
}
_SILENT_SECONDS: Final = 0.05
_names = itertools.count(1)
# Optional, but without it the request would wait or have no target.
ALWAYS: Final = frozenset({"enqueueOnly", "sessionId", "mode", "name", "app"})
# Whose tenant a GraphQL argument names.
ARGUMENTS: Final[Mapping[str, str]] = {
    "domain_name": "domain",
    "access_key": "access_key",
    "email": "email",
    "user_id": "user",
    "group_id": "project",
    "gid": "project",
}
IDS: Final[Mapping[str, str]] = {
    "group": "project",
    "compute_session": "session",
    "compute_container": "kernel",
}


@dataclass(frozen=True)
class Ask:
    """A request on its way: `named` are the words by which it names a target."""

    verb: str
    target: str
    body: Any = None
    named: frozenset[str] = field(default_factory=frozenset)

    @property
    def text(self) -> str:
        return f"{self.target} {json.dumps(self.body)}"


async def send(caller: Caller, ask: Ask) -> Answer:
    """The answer; of a stream that goes on, how it begins. None in time is an AssertionError."""
    data = b"" if ask.body is None else json.dumps(ask.body).encode()
    kind = JSON if data else "text/plain"
    # All events from the first on, where it is they that are asked for.
    sent = {"Last-Event-ID": "0", **caller.headers(ask.verb, ask.target, kind, data)}
    url = URL(f"http://{caller.address}{ask.target}", encoded=True)
    try:
        async with caller.http.request(
            ask.verb, url, data=data, headers={**sent, "Content-Type": kind}
        ) as response:
            goes_on = response.content_type == "text/event-stream"
            body = await (_first_of(response) if goes_on else response.read())
            return Answer(response.status, response.headers.copy(), body)
    except TimeoutError:
        raise AssertionError(f"no answer in time to {ask}") from None


async def _first_of(response: aiohttp.ClientResponse) -> bytes:
    """What comes of a stream until it is silent for a moment."""
    read = bytearray()
    try:
        while part := await asyncio.wait_for(response.content.readany(), _SILENT_SECONDS):
            read += part
    except TimeoutError:
        pass
    return bytes(read)


def path_keys(route: Route) -> list[str]:
    return IN_PATH.findall(route.path)


def tenant_keys(route: Route) -> list[str]:
    """The keys of a route that say whose things are meant."""
    return [key.name for key in keys_of(route.params) if key.name in TENANT_KEYS]


def ask_of(route: Route, target: Target, *keys: str) -> Ask:
    """A sound request of `route`; `keys` (of those above) name the target's things."""
    path = IN_PATH.sub(lambda found: quote(_in_path(found[1], target), safe=""), route.path)
    params = {
        key.name: example_of(key)
        for key in keys_of(route.params)
        if is_required(key) or key.name in ALWAYS
    }
    params |= {key: getattr(target, TENANT_KEYS[key]) for key in keys if key in TENANT_KEYS}
    if "sessionId" in params:
        params["sessionId"] = target.session
    return make_ask(route, path, params, frozenset(keys))


def make_ask(
    route: Route, path: str, params: dict[str, Any], named: frozenset[str] = frozenset()
) -> Ask:
    """A request with `params` where the route reads them."""
    if in_query(route):
        query = urlencode({key: _in_query(value) for key, value in params.items()}, doseq=True)
        return Ask(route.method, f"{path}?{query}" if query else path, None, named)
    return Ask(route.method, path, params if route.params is not None else None, named)


def example_of(key: Any) -> Any:
    """A value that the check of `key` takes, as far as its schema tells."""
    if key.name == "name":
        return f"asked-for-{next(_names)}"
    return EXAMPLES.get(key.name, _sample(describe_key(key)))


def _in_path(name: str, target: Target) -> str:
    return str(getattr(target, PATH_KEYS[name])) if name in PATH_KEYS else "default"


def _in_query(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, list) else str(value)


def _sample(schema: Mapping[str, Any]) -> Any:
    if "default" in schema or "enum" in schema:
        return schema["default"] if "default" in schema else schema["enum"][0]
    if "anyOf" in schema:
        return _sample(schema["anyOf"][0])
    match schema.get("type"):
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case "array":
            return [_sample(schema["items"])] * schema.get("minItems", 0)
        case "object":
            properties = schema.get("properties", {})
            return {name: _sample(properties[name]) for name in schema.get("required", ())}
    return "x" * max(1, schema.get("minLength", 1))


def argument_sets(name: str, root: GraphQLField, target: Target) -> Iterator[dict[str, Any]]:
    """Values for the arguments of a root: what it needs, then with each that names the target."""
    needed = {
        word: _argument(name, word, argument.type, target)
        for word, argument in root.args.items()
        if is_required_argument(argument)
    }
    yield needed
    for word in root.args:
        found = naming_of(name, word, target)
        if found is not None and word not in needed:
            yield {**needed, word: found}


def document_of(
    schema: GraphQLSchema, kind: str, *calls: tuple[str, Mapping[str, Any]], depth: int = 3
) -> dict[str, Any]:
    """The body of a request for roots, each with its arguments and everything plain below it,
    to a depth.

    The second and later ones have aliases.
    """
    made = schema.get_root_type(OperationType(kind.lower()))
    assert made is not None
    declared, parts, variables = [], [], {}
    for number, (name, values) in enumerate(calls):
        root, end = made.fields[name], f"_{number}" if number else ""
        declared += [f"${word}{end}: {root.args[word].type}" for word in values]
        given = ", ".join(f"{word}: ${word}{end}" for word in values)
        head = f"also{end}: {name}" if number else name
        parts.append(f"{head}({given})" if values else head)
        parts.append(selection_of(root.type, depth))
        variables |= {f"{word}{end}": value for word, value in values.items()}
    head = f"{kind.lower()}({', '.join(declared)})" if declared else kind.lower()
    return {"query": f"{head} {{ {' '.join(parts)} }}", "variables": variables}


def selection_of(output: GraphQLOutputType, depth: int) -> str:
    """Every leaf below a type, and what is below its objects, to a depth."""
    made = get_named_type(output)
    if not isinstance(made, GraphQLObjectType):
        return ""
    parts = []
    for name, one in made.fields.items():
        if any(is_required_argument(argument) for argument in one.args.values()):
            continue
        if is_leaf_type(get_named_type(one.type)):
            parts.append(name)
        elif depth > 1:
            inner = selection_of(one.type, depth - 1)
            parts += [f"{name} {inner}"] if inner else []
    return "{ " + " ".join(parts) + " }" if parts else ""


def naming_of(name: str, word: str, target: Target) -> str | None:
    """What of a target an argument names; None where it names nothing of anybody."""
    if word in ARGUMENTS:
        return str(getattr(target, ARGUMENTS[word]))
    if word == "id" and name in IDS:
        return str(getattr(target, IDS[name]))
    if word == "name" and name.rpartition("_")[2] == "domain":
        return target.domain
    return None


def _argument(name: str, word: str, kind: GraphQLInputType, target: Target) -> Any:
    naming = naming_of(name, word, target)
    return input_of(kind) if naming is None else naming


def input_of(kind: GraphQLInputType) -> Any:
    """A small value of an input type: required fields only."""
    made = get_nullable_type(kind)
    if isinstance(made, GraphQLInputObjectType):
        fields = made.fields.items()
        return {name: input_of(one.type) for name, one in fields if is_required_input_field(one)}
    if isinstance(made, GraphQLList):
        return []
    if isinstance(made, GraphQLEnumType):
        return next(iter(made.values))
    word = getattr(made, "name", "")
    if word == "UUID":
        return _NO_ID
    return {"Int": 1, "Float": 1.0, "Boolean": False}.get(
        word, "{}" if word == "JSONString" else "x"
    )
