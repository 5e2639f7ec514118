"""REST of whole folders. A folder in a path is its name, or its id with or without hyphens."""

import uuid
from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.faults import VFolderNotFound
from backendai.common.http import json_response
from backendai.common.params import checked, read_given_params
from backendai.common.slots import parse_size
from backendai.manager.gate.routes import ACTOR, Route

from . import actions, render
from .clone import FolderClones
from .creation import FolderCreation, NewFolder
from .model import Permission, UsageMode
from .service import Folders
from .usages import FolderUsages

_NAME: Final = t.String(max_length=64)
_HOST: Final = t.String(max_length=128)
# Newer official clients send the path of an unmanaged folder as its host.
_PLACE: Final = t.String(max_length=1024)
_USAGE: Final = t.Enum(*(each.value for each in UsageMode)) & UsageMode
_PERMISSION: Final = t.Enum(*(each.value for each in Permission)) & Permission
_CREATE: Final = t.Dict(
    t.Key("name", trafaret=_NAME),
    t.Key("host", optional=True, trafaret=_PLACE),
    t.Key("folder_host", optional=True, to_name="host", trafaret=_PLACE),
    t.Key("unmanaged_path", optional=True, trafaret=_PLACE),
    t.Key("group", optional=True, to_name="project", trafaret=_NAME),
    t.Key("group_id", optional=True, to_name="project", trafaret=_NAME),
    t.Key("usage_mode", optional=True, trafaret=_USAGE),
    t.Key("permission", optional=True, trafaret=_PERMISSION),
    t.Key("cloneable", optional=True, trafaret=t.ToBool()),
    # Of folders one by one, which there is not: limits are of quota scopes.
    t.Key(
        "quota",
        optional=True,
        trafaret=(t.Int(gte=0) | t.String(max_length=32)) & checked(parse_size),
    ),
)
_LIST: Final = t.Dict(
    t.Key("all", optional=True, default=False, trafaret=t.ToBool()),
    t.Key("group_id", optional=True, trafaret=t.String(max_length=36) & checked(uuid.UUID)),
    t.Key("owner_user_email", optional=True, trafaret=t.String(max_length=256)),
    t.Key("deleting", optional=True, default=False, trafaret=t.ToBool()),
)
_ABANDON: Final = t.Dict(
    t.Key("id", trafaret=t.String(max_length=36)),
    t.Key("force", optional=True, default=False, trafaret=t.ToBool()),
)
_ID: Final = t.Dict(t.Key("id", trafaret=t.String(max_length=36)))
_BY_NAME: Final = t.Dict(t.Key("name", trafaret=_NAME))
_RENAME: Final = t.Dict(t.Key("new_name", trafaret=_NAME))
_OPTIONS: Final = t.Dict(
    t.Key("cloneable", optional=True, trafaret=t.ToBool()),
    t.Key("permission", optional=True, trafaret=_PERMISSION),
)
_CLONE: Final = t.Dict(
    t.Key("target_name", to_name="name", trafaret=_NAME),
    t.Key("target_host", optional=True, to_name="host", trafaret=_HOST),
    t.Key("usage_mode", optional=True, trafaret=_USAGE),
    t.Key("permission", optional=True, trafaret=_PERMISSION),
    t.Key("cloneable", optional=True, trafaret=t.ToBool()),
)
_TRANSFER: Final = t.Dict(
    t.Key("vfolder", trafaret=t.String(max_length=36)),
    t.Key("user_email", trafaret=t.String(max_length=256)),
)


def routes(
    folders: Folders, creation: FolderCreation, clones: FolderClones, usages: FolderUsages
) -> list[Route]:
    handlers = _Handlers(folders, creation, clones, usages)
    binned = "delete-from-trash-bin"
    return [
        Route("POST", "/folders", handlers.create, actions.CREATE, _CREATE),
        Route("GET", "/folders", handlers.list_folders, actions.READ, _LIST),
        Route("DELETE", "/folders", handlers.delete_by_id, actions.DELETE, _ID),
        Route("POST", "/folders/purge", handlers.purge, actions.PURGE, _ID),
        Route("POST", f"/folders/{binned}", handlers.purge, actions.PURGE, _ID),
        Route("POST", "/folders/restore-from-trash-bin", handlers.restore, actions.RESTORE, _ID),
        Route("POST", "/folders/_/abandon", handlers.abandon, actions.ABANDON, _ABANDON),
        Route("GET", "/folders/_/id", handlers.find_id, actions.READ, _BY_NAME),
        Route(
            "POST", "/folders/_/change-ownership", handlers.transfer, actions.TRANSFER, _TRANSFER
        ),
        Route("GET", "/folders/{folder}", handlers.info, actions.READ),
        Route("DELETE", "/folders/{folder}", handlers.delete, actions.DELETE),
        Route("POST", "/folders/{folder}/rename", handlers.rename, actions.MODIFY, _RENAME),
        Route(
            "POST",
            "/folders/{folder}/update-options",
            handlers.set_options,
            actions.MODIFY,
            _OPTIONS,
        ),
        Route("POST", "/folders/{folder}/clone", handlers.clone, actions.CLONE, _CLONE),
    ]


class _Handlers:
    def __init__(
        self,
        folders: Folders,
        creation: FolderCreation,
        clones: FolderClones,
        usages: FolderUsages,
    ) -> None:
        self._folders = folders
        self._creation = creation
        self._clones = clones
        self._usages = usages

    async def create(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _CREATE)
        params.pop("quota", None)
        made = await self._creation.create(request[ACTOR], NewFolder(**params))
        return json_response(render.created(made), status=201)

    async def list_folders(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _LIST)
        found = await self._folders.list_folders(
            request[ACTOR],
            is_all=params["all"],
            project=params.get("group_id"),
            owner_email=params.get("owner_user_email"),
            is_deleting=params["deleting"],
        )
        return json_response([render.item(seen) for seen in found])

    async def find_id(self, request: web.Request) -> web.Response:
        name = (await read_given_params(request, _BY_NAME))["name"]
        seen = await self._folders.get(request[ACTOR], name, binned=True)
        return json_response({"id": seen.folder.id.hex})

    async def info(self, request: web.Request) -> web.Response:
        seen = await self._folders.get(request[ACTOR], _named(request))
        return json_response(render.info(seen, await self._usages.find(seen.folder)))

    async def rename(self, request: web.Request) -> web.Response:
        new_name = (await read_given_params(request, _RENAME))["new_name"]
        await self._folders.rename(request[ACTOR], _named(request), new_name)
        return web.Response(status=201)

    async def set_options(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _OPTIONS)
        await self._folders.set_options(
            request[ACTOR],
            _named(request),
            cloneable=params.get("cloneable"),
            permission=params.get("permission"),
        )
        return web.Response(status=201)

    async def clone(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _CLONE)
        made, task_id = await self._clones.begin(
            request[ACTOR], _named(request), NewFolder(**params)
        )
        return json_response({**render.created(made), "bgtask_id": str(task_id)}, status=201)

    async def delete(self, request: web.Request) -> web.Response:
        await self._folders.delete(request[ACTOR], _named(request))
        return web.Response(status=204)

    async def delete_by_id(self, request: web.Request) -> web.Response:
        await self._folders.delete(request[ACTOR], await _id_of(request))
        return web.Response(status=204)

    async def restore(self, request: web.Request) -> web.Response:
        await self._folders.restore(request[ACTOR], await _id_of(request))
        return web.Response(status=201)

    async def purge(self, request: web.Request) -> web.Response:
        task_id = await self._folders.purge(request[ACTOR], await _id_of(request))
        return json_response({"bgtask_id": None if task_id is None else str(task_id)})

    async def abandon(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _ABANDON)
        folder_id = _checked_id(params["id"])
        await self._folders.abandon(request[ACTOR], folder_id, is_forced=params["force"])
        return json_response({})

    async def transfer(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _TRANSFER)
        folder_id = _checked_id(params["vfolder"])
        await self._folders.transfer(request[ACTOR], folder_id, params["user_email"])
        return json_response({})


def _named(request: web.Request) -> str:
    return request.match_info["folder"]


async def _id_of(request: web.Request) -> str:
    params: dict[str, Any] = await read_given_params(request, _ID)
    return _checked_id(params["id"])


def _checked_id(text: str) -> str:
    """`text`. A name is no id, also where there is a folder of that name."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise VFolderNotFound(text) from None
