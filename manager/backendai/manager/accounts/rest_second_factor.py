"""REST of the second factor: enrol a device, activate it by its first code, remove it."""

from typing import Final

import trafaret as t
from aiohttp import web

from backendai.common.http import json_response
from backendai.common.params import read_given_params, read_params
from backendai.manager.gate.actor import Action
from backendai.manager.gate.routes import ACTOR, Route

from . import fields
from .second_factor import ACTIVATE, ENROL, REMOVE, SecondFactor

READ: Final = Action("auth.totp.read")
_VERIFY: Final = t.Dict(t.Key("otp", trafaret=t.String(max_length=16)))
_REMOVE: Final = t.Dict(
    t.Key("email", optional=True, trafaret=t.String(max_length=fields.NAME_CHARS_MAX)),
    t.Key("otp", optional=True, trafaret=t.String(allow_blank=True, max_length=16)),
)


def routes(second_factor: SecondFactor) -> list[Route]:
    handlers = _Handlers(second_factor)
    return [
        Route("GET", "/totp", handlers.show, READ),
        Route("POST", "/totp", handlers.enrol, ENROL),
        Route("POST", "/totp/verify", handlers.activate, ACTIVATE, _VERIFY),
        Route("DELETE", "/totp", handlers.remove, REMOVE, _REMOVE),
    ]


class _Handlers:
    def __init__(self, second_factor: SecondFactor) -> None:
        self._second_factor = second_factor

    async def show(self, request: web.Request) -> web.Response:
        at = await self._second_factor.find_activation(request[ACTOR])
        return json_response({"totp_activated": at is not None, "totp_activated_at": at})

    async def enrol(self, request: web.Request) -> web.Response:
        """The key is shown now and never again."""
        made = await self._second_factor.enrol(request[ACTOR])
        return json_response({"totp_key": made.key, "totp_uri": made.uri})

    async def activate(self, request: web.Request) -> web.Response:
        params = await read_params(request, _VERIFY)
        await self._second_factor.activate(request[ACTOR], params["otp"])
        return json_response({})

    async def remove(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _REMOVE)
        await self._second_factor.remove(request[ACTOR], params.get("email"), params.get("otp"))
        return json_response({})
