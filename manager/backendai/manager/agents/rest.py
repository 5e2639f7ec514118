"""REST of the watchers of nodes."""

from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.contracts.watcher import Verb
from backendai.common.http import Handler, json_response
from backendai.common.ids import AgentId
from backendai.common.params import read_given_params
from backendai.manager.gate.routes import ACTOR, Route

from .watchers import SEE, STEER, Watchers, describe

_AGENT: Final = t.Dict(t.Key("agent_id", trafaret=t.String(max_length=64)))


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
