"""REST of registries, as newer clients change them: by their hostname, which is their id."""

from collections.abc import Mapping
from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.faults import InvalidParams
from backendai.common.http import json_response
from backendai.common.params import read_given_params
from backendai.manager.audit.change import Change, Changes
from backendai.manager.audit.rows import Row
from backendai.manager.gate.routes import ACTOR, Route

from . import actions
from .registries import HIDDEN, URL_CHARS_MAX, Registries

_TEXT: Final = t.String(allow_blank=True, max_length=URL_CHARS_MAX)
_CHANGES: Final = t.Dict(
    t.Key("url", optional=True, trafaret=_TEXT),
    t.Key("type", optional=True, trafaret=_TEXT),
    # Newer clients know one; none are all of them.
    t.Key("project", optional=True, trafaret=_TEXT | t.List(_TEXT)),
    t.Key("username", optional=True, trafaret=t.String(allow_blank=True)),
    t.Key("password", optional=True, trafaret=t.String(allow_blank=True)),
    t.Key("ssl_verify", optional=True, trafaret=t.Bool()),
    # What they may send, and what stays as it is.
    t.Key("id", optional=True, trafaret=_TEXT),
    t.Key("registry_name", optional=True, trafaret=_TEXT),
    t.Key("is_global", optional=True, trafaret=t.Atom(True)),
)


def routes(changes: Changes, registries: Registries) -> list[Route]:
    handlers = _Handlers(changes, registries)
    path, action = "/container-registries/{registry}", actions.MODIFY_REGISTRY
    return [Route("PATCH", path, handlers.modify, action, _CHANGES)]


class _Handlers:
    def __init__(self, changes: Changes, registries: Registries) -> None:
        self._changes = changes
        self._registries = registries

    async def modify(self, request: web.Request) -> web.Response:
        hostname = request.match_info["registry"]
        props = _props_of(hostname, await read_given_params(request, _CHANGES))

        async def work(change: Change) -> Row:
            return await self._registries.modify(change, hostname, props)

        row = await self._changes.run(request[ACTOR], actions.MODIFY_REGISTRY, work)
        return json_response(_shown(row))


def _props_of(hostname: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Raises InvalidParams where it should become another registry."""
    props = dict(given)
    props.pop("is_global", None)
    for name in ("id", "registry_name"):
        if props.pop(name, hostname) != hostname:
            told = f"{hostname} keeps its name: delete it, and add another one"
            raise InvalidParams("", {name: told})
    project = props.get("project")
    if isinstance(project, str):
        props["project"] = [project] if project else []
    return props


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """`project` is the only one that is looked into, `projects` are all of them."""
    projects = list(row["projects"])
    return {
        "id": row["hostname"],
        "registry_name": row["hostname"],
        "url": row["url"],
        "type": row["type"],
        "project": projects[0] if len(projects) == 1 else None,
        "projects": projects,
        "username": row["username"],
        "password": HIDDEN if row["password_encrypted"] else None,
        "ssl_verify": row["ssl_verify"],
        "is_global": True,
        "extra": None,
    }
