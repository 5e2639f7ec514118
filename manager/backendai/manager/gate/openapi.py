"""The OpenAPI document of the API, made from nothing but the routes' declarations."""

import re
from collections.abc import Iterable
from typing import Any, Final

from backendai.common.faults import PROBLEM_CONTENT_TYPE

from .actor import Access, Action
from .routes import JSON, Route
from .shapes import Schema, describe_key, is_required, keys_of, schema_of

VERSION: Final = "3.1.0"
SCHEME: Final = "signature"
_IN_PATH: Final = re.compile(r"{(\w+)(?::[^}]*)?}")
# Parameters of these are read from the query where there is no body, which clients rely on.
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "DELETE"})
_WHO: Final = {
    Access.OPEN: "everybody, without a credential",
    Access.USER: "every user",
    Access.PROJECT_ADMIN: "administrators, within their projects or their domain",
    Access.ADMIN: "administrators, within their domain",
    Access.SUPERADMIN: "superadmins",
}
_SIGNATURE: Final = (
    "`BackendAI signMethod=HMAC-SHA256, credential=<access key>:<signature>`. The signature covers "
    "the method, the raw path with its query, the headers Date, Host and Content-Type, and "
    "X-BackendAI-Version, all of which must be sent."
)
_PROBLEM: Final[Schema] = {
    "type": "object",
    "required": ["type", "title"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "what kind of problem it is"},
        "title": {"type": "string"},
        "msg": {"type": "string", "description": "one sentence for people"},
        "data": {"description": "for programs; of bad parameters, each with what is wrong"},
        "code": {"type": "string", "description": "names the fault exactly, in dotted words"},
        "agent-details": {"type": "object"},
    },
}
_REFUSAL: Final[Schema] = {
    "description": "A refusal or a failure; the status says which kind.",
    "content": {PROBLEM_CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_RESPONSES: Final[Schema] = {
    "2XX": {"description": "Done."},
    "default": {"$ref": "#/components/responses/Problem"},
}


def make_document(routes: Iterable[Route], title: str, version: str) -> dict[str, Any]:
    """The whole document, paths in the order of their names. Pure."""
    paths: dict[str, dict[str, Any]] = {}
    for route in sorted(routes, key=lambda route: (route.path, route.method)):
        path = _IN_PATH.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {
            "securitySchemes": {
                SCHEME: {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": _SIGNATURE,
                }
            },
            "schemas": {"Problem": _PROBLEM},
            "responses": {"Problem": _REFUSAL},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    action = route.action
    made: dict[str, Any] = {
        "operationId": _name_of(route),
        "tags": [action.name.partition(".")[0]],
        "summary": f"{action.name}: {describe_action(action)}",
        "x-action": action.name,
        "x-access": action.access.name.lower(),
        "security": [] if action.access is Access.OPEN else [{SCHEME: []}],
    }
    if parameters := [*_path_parameters(route), *_query_parameters(route)]:
        made["parameters"] = parameters
    if body := _body(route):
        made["requestBody"] = body
    return {**made, "responses": _RESPONSES}


def describe_action(action: Action) -> str:
    """Who may, in words."""
    parts = [_WHO[action.access]]
    if action.writes:
        parts.append("not monitors")
    if action.begins:
        parts.append("refused while the cluster is frozen")
    if action.in_projects:
        parts.append("project admins for all that is in their projects too")
    return "; ".join(parts)


def _name_of(route: Route) -> str:
    words = re.findall(r"\w+", route.path)
    return "-".join([route.method.lower(), *words]) if words else f"{route.method.lower()}-root"


def _path_parameters(route: Route) -> list[Schema]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _IN_PATH.findall(route.path)
    ]


def _query_parameters(route: Route) -> list[Schema]:
    if not in_query(route):
        return []
    return [
        {
            "name": key.name,
            "in": "query",
            "required": is_required(key),
            "schema": describe_key(key),
        }
        for key in keys_of(route.params)
    ]


def in_query(route: Route) -> bool:
    """Whether the parameters of `route` are described as a query. Lists fit into a body only."""
    if route.media != JSON:
        return True
    lists = any(describe_key(key).get("type") == "array" for key in keys_of(route.params))
    return route.method in _WITHOUT_BODY and not lists


def _body(route: Route) -> Schema | None:
    if route.media != JSON:
        return {"required": True, "content": {route.media: {"schema": {"type": "object"}}}}
    if in_query(route) or route.params is None:
        return None
    needed = any(is_required(key) for key in keys_of(route.params))
    return {"required": needed, "content": {JSON: {"schema": schema_of(route.params)}}}
