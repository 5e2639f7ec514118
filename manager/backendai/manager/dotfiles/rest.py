"""REST of dotfiles, the same under three prefixes, and of the bootstrap script."""

from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.http import json_response
from backendai.common.params import read_given_params, read_params
from backendai.manager.gate.actor import Access, Action
from backendai.manager.gate.routes import ACTOR, Route

from .model import BYTES_MAX, PERMISSION, Dotfile, check_path
from .service import Dotfiles, Whose

READ: Final = Action("dotfile.read")
WRITE: Final = Action("dotfile.write", writes=True)
WRITE_DOMAIN: Final = Action("dotfile.write_domain", Access.ADMIN, writes=True)
WRITE_PROJECT: Final = Action("dotfile.write_project", Access.ADMIN, writes=True)
READ_SCRIPT: Final = Action("bootstrap_script.read")
WRITE_SCRIPT: Final = Action("bootstrap_script.write", writes=True)

_NAME: Final = t.String(max_length=64)


def _path(text: str) -> str:
    try:
        return check_path(text)
    except ValueError as error:
        raise t.DataError(str(error)) from None


_OF_KEYPAIR: Final = (
    t.Key("owner_access_key", optional=True, trafaret=_NAME),
    # As the official client misspells it.
    t.Key("onwer_access_key", optional=True, to_name="owner_access_key", trafaret=_NAME),
)
_OF_DOMAIN: Final = (t.Key("domain", trafaret=_NAME),)
_OF_PROJECT: Final = (
    t.Key("group", trafaret=_NAME),
    t.Key("domain", optional=True, trafaret=_NAME),
)
_ONE: Final = (t.Key("path", trafaret=t.String & _path),)
_MAYBE_ONE: Final = (t.Key("path", optional=True, trafaret=t.String & _path),)
_FILE: Final = (
    *_ONE,
    t.Key("permission", trafaret=t.Regexp(PERMISSION)),
    t.Key("data", trafaret=t.String(allow_blank=True, max_length=BYTES_MAX)),
)
_SCRIPT: Final = t.Dict(t.Key("script", trafaret=t.String(allow_blank=True, max_length=BYTES_MAX)))


def routes(dotfiles: Dotfiles) -> list[Route]:
    scripts = _Scripts(dotfiles)
    return [
        *_routes_of("/user-config", _Handlers(dotfiles, _OF_KEYPAIR), WRITE),
        *_routes_of("/domain-config", _Handlers(dotfiles, _OF_DOMAIN), WRITE_DOMAIN),
        *_routes_of("/group-config", _Handlers(dotfiles, _OF_PROJECT), WRITE_PROJECT),
        Route("GET", "/user-config/bootstrap-script", scripts.get, READ_SCRIPT),
        Route("POST", "/user-config/bootstrap-script", scripts.set, WRITE_SCRIPT, _SCRIPT),
    ]


def _routes_of(prefix: str, handlers: "_Handlers", write: Action) -> list[Route]:
    path = f"{prefix}/dotfiles"
    return [
        Route("GET", path, handlers.read, READ, handlers.maybe_one),
        Route("POST", path, handlers.add, write, handlers.file),
        Route("PATCH", path, handlers.replace, write, handlers.file),
        Route("DELETE", path, handlers.delete, write, handlers.one),
    ]


class _Handlers:
    """`owner_keys` are the parameters that say whose dotfiles are meant."""

    def __init__(self, dotfiles: Dotfiles, owner_keys: tuple[t.Key, ...]) -> None:
        self._dotfiles = dotfiles
        self.maybe_one = t.Dict(*owner_keys, *_MAYBE_ONE)
        self.one = t.Dict(*owner_keys, *_ONE)
        self.file = t.Dict(*owner_keys, *_FILE)

    async def read(self, request: web.Request) -> web.Response:
        whose, params = await _read(request, self.maybe_one)
        if "path" in params:
            file = await self._dotfiles.get(request[ACTOR], whose, params["path"])
            shown = {"path": file.path, "perm": file.permission, "data": file.data}
            return json_response(shown)
        files = await self._dotfiles.list_files(request[ACTOR], whose)
        return json_response([_shown(file) for file in files])

    async def add(self, request: web.Request) -> web.Response:
        whose, params = await _read(request, self.file)
        await self._dotfiles.add(request[ACTOR], whose, _file(params))
        return json_response({})

    async def replace(self, request: web.Request) -> web.Response:
        whose, params = await _read(request, self.file)
        await self._dotfiles.replace(request[ACTOR], whose, _file(params))
        return json_response({})

    async def delete(self, request: web.Request) -> web.Response:
        whose, params = await _read(request, self.one)
        await self._dotfiles.delete(request[ACTOR], whose, params["path"])
        return json_response({"success": True})


class _Scripts:
    def __init__(self, dotfiles: Dotfiles) -> None:
        self._dotfiles = dotfiles

    async def get(self, request: web.Request) -> web.Response:
        return json_response(await self._dotfiles.script(request[ACTOR]))

    async def set(self, request: web.Request) -> web.Response:
        params = await read_params(request, _SCRIPT)
        await self._dotfiles.set_script(request[ACTOR], params["script"])
        return json_response({})


async def _read(request: web.Request, trafaret: t.Dict) -> tuple[Whose, dict[str, Any]]:
    params = await read_given_params(request, trafaret)
    whose = Whose(params.get("owner_access_key"), params.get("domain"), params.get("group"))
    return whose, params


def _file(params: dict[str, Any]) -> Dotfile:
    return Dotfile(params["path"], params["permission"], params["data"])


def _shown(file: Dotfile) -> dict[str, str]:
    return {"path": file.path, "permission": file.permission, "data": file.data}
