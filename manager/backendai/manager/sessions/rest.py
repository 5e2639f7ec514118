"""REST of sessions: create, look at, end, restart, rename."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

import trafaret as t
from aiohttp import web

from backendai.common.clock import Clock
from backendai.common.enums import SessionType
from backendai.common.faults import InvalidParams
from backendai.common.http import json_response
from backendai.common.lifecycle import SESSION_FINAL, SessionStatus
from backendai.common.logs import get_logger
from backendai.common.params import read_given_params, read_params, read_raw_params
from backendai.manager.gate.actor import Actor, Scope
from backendai.manager.gate.routes import ACTOR, Route

from . import actions, names, render
from .creation import Created, SessionCreation, read_token
from .model import RoleRequest, SessionRequest
from .params import CREATE, read_session_request
from .service import Ended, Sessions

log = get_logger(__name__)

TOKEN_HEADER: Final = "X-BackendAI-Client-Token"  # noqa: S105 - the name of a header
# How often a waiting create looks whether its client is still there.
CLIENT_CHECK_SECONDS: Final = 10.0


class Templates(Protocol):
    async def expand(self, actor: Actor, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body of a create that a body with a `template_id` stands for."""
        ...

    async def expand_cluster(
        self, actor: Actor, body: Mapping[str, Any]
    ) -> tuple[dict[str, Any], tuple[RoleRequest, ...]]:
        """The same of a template of a cluster, and what its kernels are."""
        ...


def flag_trafaret() -> Any:
    """A flag as bodies and query strings have it: true, "true", "1", "yes"."""
    return t.ToBool()


def owner_keys(*more: t.Key) -> t.Dict:
    """Parameters of most routes: whose session is meant, and what else the route takes."""
    owner = t.String(allow_blank=True, max_length=64)
    return t.Dict(
        t.Key("owner_access_key", optional=True, trafaret=owner),
        t.Key("ownerAccessKey", optional=True, to_name="owner_access_key", trafaret=owner),
        *more,
    )


_OWNER: Final = owner_keys()
_END: Final = owner_keys(
    t.Key("forced", optional=True, default=False, trafaret=flag_trafaret()),
    t.Key("recursive", optional=True, default=False, trafaret=flag_trafaret()),
)
_RENAME: Final = owner_keys(
    t.Key("name", optional=True, trafaret=t.String(max_length=64)),
    t.Key("session_name", optional=True, to_name="name", trafaret=t.String(max_length=64)),
)
_HISTORY: Final = owner_keys(t.Key("full", optional=True, default=False, trafaret=flag_trafaret()))
# What a create says beside it goes over what the template says.
_FROM_TEMPLATE: Final = t.Dict(
    t.Key("template_id", trafaret=t.String(max_length=64)), allow_extra="*"
)
_MATCH: Final = owner_keys(t.Key("id", trafaret=t.Regexp(r"[0-9A-Fa-f-]{1,36}\Z")))


async def read_scope(
    request: web.Request, sessions: Sessions, trafaret: t.Dict
) -> tuple[Scope, str, dict[str, Any]]:
    """Whose session a request means, its reference, and the checked parameters."""
    params = await read_given_params(request, trafaret)
    reference = request.match_info.get("session", "")
    owner = params.get("owner_access_key") or None
    return await sessions.scope_of(request[ACTOR], owner, reference), reference, params


def routes(
    creation: SessionCreation, sessions: Sessions, templates: Templates, clock: Clock
) -> list[Route]:
    handlers = _Handlers(creation, sessions, templates, clock)
    return [
        Route("POST", "/session", handlers.create, actions.CREATE, CREATE),
        Route("POST", "/session/_/create", handlers.create, actions.CREATE, CREATE),
        Route(
            "POST",
            "/session/_/create-from-template",
            handlers.create_from_template,
            actions.CREATE,
            _FROM_TEMPLATE,
        ),
        Route(
            "POST",
            "/session/_/create-cluster",
            handlers.create_cluster,
            actions.CREATE,
            _FROM_TEMPLATE,
        ),
        Route("GET", "/session/_/match", handlers.match, actions.READ, _MATCH),
        Route("GET", "/session/{session}", handlers.info, actions.READ, _OWNER),
        Route("PATCH", "/session/{session}", handlers.restart, actions.RESTART, _OWNER),
        Route("DELETE", "/session/{session}", handlers.end, actions.END, _END),
        Route("POST", "/session/{session}/rename", handlers.rename, actions.RENAME, _RENAME),
        Route("GET", "/session/{session}/status-history", handlers.history, actions.READ, _HISTORY),
        Route("GET", "/session/{session}/why", handlers.why, actions.READ, _OWNER),
        Route("GET", "/session/{session}/abusing-report", handlers.abuse, actions.READ, _OWNER),
        Route("GET", "/session/{session}/dependency-graph", handlers.graph, actions.READ, _OWNER),
        Route(
            "GET",
            "/session/{session}/direct-access-info",
            handlers.direct_access,
            actions.READ,
            _OWNER,
        ),
    ]


class _Handlers:
    def __init__(
        self, creation: SessionCreation, sessions: Sessions, templates: Templates, clock: Clock
    ) -> None:
        self._creation = creation
        self._sessions = sessions
        self._templates = templates
        self._clock = clock

    async def create(self, request: web.Request) -> web.Response:
        body = await read_raw_params(request)
        return await self._create(request, body, body)

    async def create_from_template(self, request: web.Request) -> web.Response:
        given = await read_params(request, _FROM_TEMPLATE)
        body = await self._templates.expand(request[ACTOR], given)
        return await self._create(request, given, body)

    async def create_cluster(self, request: web.Request) -> web.Response:
        given = await read_params(request, _FROM_TEMPLATE)
        body, roles = await self._templates.expand_cluster(request[ACTOR], given)
        return await self._create(request, given, body, roles)

    async def _create(
        self,
        request: web.Request,
        given: dict[str, Any],
        body: dict[str, Any],
        roles: tuple[RoleRequest, ...] = (),
    ) -> web.Response:
        """`given` is what the client sent, and sends again; `body` what it stands for, with the
        kinds of kernels where they are not all alike."""
        wanted = replace(read_session_request(body, self._clock.now()), roles=roles)
        token = read_token(request.headers.get(TOKEN_HEADER), given)
        created = await self._creation.create(request[ACTOR], wanted, token)
        status = await self._settled(request, wanted, created)
        session = created.session
        if status != session.status:
            session = await self._sessions.get(
                Scope(access_key=session.access_key), str(session.id), ended_too=True
            )
        return json_response(render.created(session, status, is_new=created.is_new), 201)

    async def match(self, request: web.Request) -> web.Response:
        scope, _, params = await read_scope(request, self._sessions, _MATCH)
        found = await self._sessions.match(scope, params["id"].lower())
        matches = [
            {"id": str(row["id"]), "name": row["name"], "status": row["status"]} for row in found
        ]
        return json_response({"matches": matches})

    async def info(self, request: web.Request) -> web.Response:
        scope, reference, _ = await read_scope(request, self._sessions, _OWNER)
        session = await self._sessions.get(scope, reference, ended_too=True)
        details = await self._sessions.look_at(session)
        more = {"idleChecks": details.idle_checks, "mounts": render.mounts(details.mounted)}
        return json_response({**render.info(session, self._clock.now()), **more})

    async def restart(self, request: web.Request) -> web.Response:
        scope, reference, _ = await read_scope(request, self._sessions, _OWNER)
        await self._sessions.restart(scope, reference)
        return web.Response(status=204)

    async def end(self, request: web.Request) -> web.Response:
        scope, reference, params = await read_scope(request, self._sessions, _END)
        ended = await self._sessions.end(
            scope, reference, forced=params["forced"], recursive=params["recursive"]
        )
        results = [_end_result(each) for each in ended]
        return json_response(results if params["recursive"] else results[0])

    async def rename(self, request: web.Request) -> web.Response:
        scope, reference, params = await read_scope(request, self._sessions, _RENAME)
        try:
            name = names.check_name(params.get("name", ""))
        except ValueError as error:
            raise InvalidParams(facts={"name": str(error)}) from None
        await self._sessions.rename(scope, reference, name)
        return web.Response(status=204)

    async def history(self, request: web.Request) -> web.Response:
        scope, reference, params = await read_scope(request, self._sessions, _HISTORY)
        rows = await self._sessions.history(scope, reference)
        if params["full"]:
            return json_response({"history": render.history_lines(rows)})
        return json_response({"result": render.history_by_status(rows)})

    async def why(self, request: web.Request) -> web.Response:
        scope, reference, _ = await read_scope(request, self._sessions, _OWNER)
        return json_response(render.why(await self._sessions.get(scope, reference, ended_too=True)))

    async def abuse(self, request: web.Request) -> web.Response:
        scope, reference, _ = await read_scope(request, self._sessions, _OWNER)
        await self._sessions.get(scope, reference)
        return json_response({})

    async def graph(self, request: web.Request) -> web.Response:
        scope, reference, _ = await read_scope(request, self._sessions, _OWNER)
        return json_response(render.dependency_tree(await self._sessions.graph(scope, reference)))

    async def direct_access(self, request: web.Request) -> web.Response:
        scope, reference, _ = await read_scope(request, self._sessions, _OWNER)
        await self._sessions.get(scope, reference)
        return json_response({})

    async def _settled(self, request: web.Request, wanted: SessionRequest, made: Created) -> str:
        """The word for how far the session came while the client waited."""
        session = made.session
        if wanted.enqueue_only or not session.is_live:
            return session.status.value
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + wanted.wait_seconds_max if wanted.wait_seconds_max else None
        while True:
            seconds = CLIENT_CHECK_SECONDS
            if ends_at is not None:
                seconds = min(seconds, max(0.0, ends_at - loop.time()))
            status = await self._sessions.wait_started(session, seconds)
            if status is not None:
                return _word_of(status, wanted)
            if self._sessions.watch.is_over:
                return _break_off(request)
            if ends_at is not None and loop.time() >= ends_at:
                return render.WAITED_OUT
            if request.transport is None or request.transport.is_closing():
                # Nobody reads the answer; the session comes all the same.
                log.info("session.client_gone", session=str(session.id))
                return session.status.value


def _break_off(request: web.Request) -> str:
    """This manager stops: who has a token asks another one when the connection breaks, and who has
    none is told to look later."""
    if TOKEN_HEADER in request.headers and request.transport is not None:
        request.transport.abort()
    return render.WAITED_OUT


def _word_of(status: SessionStatus, wanted: SessionRequest) -> str:
    """A batch job that ended before anybody looked has run, which is what was waited for."""
    if wanted.type is not SessionType.BATCH and status is SessionStatus.TERMINATING:
        return SessionStatus.TERMINATED.value
    return status.value


def _end_result(ended: Ended) -> dict[str, Any]:
    stats = render.stats(ended.session)
    if stats and ended.status not in SESSION_FINAL:
        stats["status"] = ended.status.value.lower()
    return {"stats": stats}
