"""REST of templates: the same five routes for sessions and for clusters."""

from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.http import json_response
from backendai.common.params import read_given_params
from backendai.manager.gate.actor import Action
from backendai.manager.gate.routes import ACTOR, Route

from .model import Template, TemplateKind
from .service import Templates

READ: Final = Action("template.read")
CREATE: Final = Action("template.create", writes=True)
MODIFY: Final = Action("template.modify", writes=True)
DELETE: Final = Action("template.delete", writes=True)

_PATHS: Final = {
    "/template/session": TemplateKind.TASK,
    "/template/cluster": TemplateKind.CLUSTER,
}
_NAME: Final = t.String(max_length=64)
_OWNER: Final = t.Key("owner_access_key", optional=True, trafaret=_NAME)
_PAYLOAD: Final = t.Key("payload", trafaret=t.String())
_CREATE: Final = t.Dict(
    _PAYLOAD,
    t.Key("group_name", optional=True, default="default", trafaret=_NAME),
    t.Key("group", optional=True, to_name="group_name", trafaret=_NAME),
    t.Key("domain_name", optional=True, trafaret=_NAME),
    t.Key("domain", optional=True, to_name="domain_name", trafaret=_NAME),
    _OWNER,
)
_LIST: Final = t.Dict(t.Key("all", optional=True, default=False, trafaret=t.ToBool()))
_GET: Final = t.Dict(
    t.Key("format", optional=True, default="json", trafaret=t.Enum("yaml", "json")), _OWNER
)
_REPLACE: Final = t.Dict(_PAYLOAD, _OWNER)
_DELETE: Final = t.Dict(_OWNER)


def routes(templates: Templates) -> list[Route]:
    return [route for path, kind in _PATHS.items() for route in _routes(path, templates, kind)]


def _routes(path: str, templates: Templates, kind: TemplateKind) -> list[Route]:
    handlers = _Handlers(templates, kind)
    return [
        Route("GET", path, handlers.list_templates, READ, _LIST),
        Route("POST", path, handlers.create, CREATE, _CREATE),
        Route("GET", f"{path}/{{template_id}}", handlers.get, READ, _GET),
        Route("PUT", f"{path}/{{template_id}}", handlers.replace, MODIFY, _REPLACE),
        Route("DELETE", f"{path}/{{template_id}}", handlers.delete, DELETE, _DELETE),
    ]


class _Handlers:
    def __init__(self, templates: Templates, kind: TemplateKind) -> None:
        self._templates = templates
        self._kind = kind

    async def list_templates(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _LIST)
        actor = request[ACTOR]
        found = await self._templates.list_templates(actor, self._kind, is_all=params["all"])
        return json_response([_row(one, is_owner=one.user_id == actor.user_id) for one in found])

    async def create(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _CREATE)
        made = await self._templates.create(
            request[ACTOR],
            CREATE,
            self._kind,
            params["payload"],
            project=params["group_name"],
            domain=params.get("domain_name"),
            owner=params.get("owner_access_key"),
        )
        return json_response([{"id": str(one.id), "user": str(one.user_id)} for one in made])

    async def get(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _GET)
        template_id = request.match_info["template_id"]
        found = await self._templates.get(
            request[ACTOR], self._kind, template_id, params.get("owner_access_key")
        )
        if params["format"] == "json":
            return json_response(_entry(found))
        from .texts import write_document

        return web.Response(text=write_document(_entry(found)), content_type="application/yaml")

    async def replace(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _REPLACE)
        await self._templates.replace(
            request[ACTOR],
            MODIFY,
            self._kind,
            request.match_info["template_id"],
            params["payload"],
            params.get("owner_access_key"),
        )
        return json_response({"success": True})

    async def delete(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _DELETE)
        await self._templates.delete(
            request[ACTOR],
            DELETE,
            self._kind,
            request.match_info["template_id"],
            params.get("owner_access_key"),
        )
        return json_response({"success": True})


def _entry(template: Template) -> dict[str, Any]:
    """One template as `put` takes it again."""
    return {
        "template": dict(template.content),
        "name": template.name,
        "user_uuid": str(template.user_id),
        "group_id": str(template.project_id),
        "domain_name": template.domain,
    }


def _row(template: Template, *, is_owner: bool) -> dict[str, Any]:
    return {
        "name": template.name,
        "id": str(template.id),
        "created_at": template.created_at.isoformat(),
        "is_owner": is_owner,
        "user": str(template.user_id),
        "group": str(template.project_id),
        "user_email": template.email,
        "group_name": template.project,
        "domain_name": template.domain,
        "type": template.kind.value,
        "template": dict(template.content),
    }
