"""REST of the watchers of nodes, and of nodes that join."""

import uuid
from collections.abc import Callable
from typing import Any, Final

import msgspec
import trafaret as t
from aiohttp import web

from backendai.common.contracts.joining import (
    JOIN_PATH,
    JOIN_TOKENS_PATH,
    TOKEN_CHARS_MAX,
    JoinRequest,
)
from backendai.common.contracts.watcher import Verb
from backendai.common.faults import InvalidParams, JoinTokenNotFound
from backendai.common.http import Handler, json_response
from backendai.common.ids import AgentId
from backendai.common.params import read_given_params, read_params
from backendai.common.rpc.curve import is_public_key
from backendai.manager.gate.routes import ACTOR, Route

from .joining import JOIN, MAKE, WITHDRAW, Joining
from .joining import SEE as SEE_TOKENS
from .watchers import SEE, STEER, Watchers, describe

_AGENT: Final = t.Dict(t.Key("agent_id", trafaret=t.String(max_length=64)))


_ID: Final = t.Regexp(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
_GROUP_CHARS_MAX: Final = 64
_SECONDS_MAX: Final = 7 * 86400
_TOKEN: Final = t.Dict(
    t.Key("resource_group", trafaret=t.String(max_length=_GROUP_CHARS_MAX)),
    t.Key("expires_seconds", optional=True, default=3600, trafaret=t.Int(gte=60, lte=_SECONDS_MAX)),
)
_JOIN: Final = t.Dict(
    t.Key("token", trafaret=t.String(max_length=TOKEN_CHARS_MAX)),
    t.Key("agent_id", trafaret=_ID),
    t.Key("address", trafaret=t.Regexp(r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):\d{1,5}$")),
    t.Key("public_key", trafaret=t.String(min_length=40, max_length=40)),
)


def joining_routes(joining: Joining, address_of: Callable[[web.Request], str]) -> list[Route]:
    """`address_of` tells whose request it is, also through proxies."""

    async def make(request: web.Request) -> web.Response:
        params = await read_params(request, _TOKEN)
        made = await joining.make_token(
            request[ACTOR], params["resource_group"], params["expires_seconds"]
        )
        return json_response(msgspec.to_builtins(made), status=201)

    async def list_tokens(_request: web.Request) -> web.Response:
        return json_response(msgspec.to_builtins(await joining.list_tokens()))

    async def withdraw(request: web.Request) -> web.Response:
        token_id = _read_id(request.match_info["token_id"])
        await joining.withdraw_token(request[ACTOR], token_id)
        return web.Response(status=204)

    async def join(request: web.Request) -> web.Response:
        params = await read_params(request, _JOIN)
        if not is_public_key(params["public_key"]):
            raise InvalidParams(facts={"public_key": "is no public key of CURVE"})
        welcome = await joining.join(address_of(request), JoinRequest(**params))
        return json_response(msgspec.to_builtins(welcome))

    return [
        Route("POST", JOIN_TOKENS_PATH, make, MAKE, _TOKEN),
        Route("GET", JOIN_TOKENS_PATH, list_tokens, SEE_TOKENS),
        Route("DELETE", f"{JOIN_TOKENS_PATH}/{{token_id}}", withdraw, WITHDRAW),
        Route("POST", JOIN_PATH, join, JOIN, _JOIN),
    ]


def _read_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise JoinTokenNotFound(text) from None


def routes(watchers: Watchers) -> list[Route]:
    async def look(request: web.Request) -> web.Response:
        params: dict[str, Any] = await read_given_params(request, _AGENT)
        state = await watchers.look(AgentId(params["agent_id"]))
        return json_response(describe(state))

    def steer(verb: Verb) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            params: dict[str, Any] = await read_given_params(request, _AGENT)
            state = await watchers.steer(request[ACTOR], AgentId(params["agent_id"]), verb)
            return json_response(describe(state))

        return handle

    steering = [
        Route("POST", f"/resource/watcher/agent/{verb.value}", steer(verb), STEER, _AGENT)
        for verb in Verb
    ]
    return [Route("GET", "/resource/watcher", look, SEE, _AGENT), *steering]
