"""`GET /events/session`: server-sent events of one session, or of all that somebody sees (`*`),
resumable by Last-Event-ID."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Final

import trafaret as t
from aiohttp import web

from backendai.common.faults import Fault, InvalidParams
from backendai.common.logs import get_logger
from backendai.common.params import read_params
from backendai.manager.gate.routes import ACTOR, Route
from backendai.manager.sessions import actions
from backendai.manager.sessions.model import Session
from backendai.manager.sessions.service import Sessions

from .feed import EventFeed, News, is_in_scope
from .stream import CLOSE, HEARTBEAT, encode_event, open_stream

log = get_logger(__name__)

_TEXT: Final = t.String(allow_blank=True, max_length=64)
_PARAMS: Final = t.Dict(
    t.Key("sessionId", optional=True, to_name="session", trafaret=_TEXT),
    t.Key("session_id", optional=True, to_name="session", trafaret=_TEXT),
    t.Key("sessionName", optional=True, to_name="session", trafaret=_TEXT),
    t.Key("name", optional=True, to_name="session", trafaret=_TEXT),
    t.Key("owner_access_key", optional=True, to_name="owner", trafaret=_TEXT),
    t.Key("ownerAccessKey", optional=True, to_name="owner", trafaret=_TEXT),
    t.Key("group", optional=True, trafaret=_TEXT),
    t.Key("groupName", optional=True, trafaret=_TEXT),
    t.Key("scope", optional=True, default="*", trafaret=t.String()),
)
_SCOPES: Final = ("*", "session", "kernel")
_EVERY: Final = "*"
_Feed = AsyncGenerator[News | None, None]


def routes(sessions: Sessions, feed: EventFeed) -> list[Route]:
    handlers = _Handlers(sessions, feed)
    return [Route("GET", "/events/session", handlers.session_events, actions.WATCH, _PARAMS)]


class _Handlers:
    def __init__(self, sessions: Sessions, feed: EventFeed) -> None:
        self._sessions = sessions
        self._feed = feed

    async def session_events(self, request: web.Request) -> web.StreamResponse:
        params = await read_params(request, _PARAMS)
        scope = _scope_of(params["scope"])
        feed = await self._feed_of(request, params)
        async with open_stream(request) as response:
            await response.write(HEARTBEAT)
            # A store that goes away ends the stream until the client's next try, which begins where
            # this one ended.
            is_whole = await _tell(response, feed, scope)
            # Of all sessions there is always more to come: clients ask again.
            if is_whole and params.get("session") != _EVERY:
                await response.write(CLOSE)
        return response

    async def _feed_of(self, request: web.Request, params: dict[str, str]) -> _Feed:
        """Of one session, or with `*` of all that the actor lists, or an owner who is named has."""
        if params.get("session") == _EVERY:
            scope = await self._sessions.scope_of_all(request[ACTOR], params.get("owner") or None)
            key = request[ACTOR].access_key
            return self._feed.follow_all(scope, _last_seen(request), key)
        session = await self._session_of(request, params)
        after = await self._start_of(request, session)
        return self._feed.follow(session.id, after)

    async def _session_of(self, request: web.Request, params: dict[str, str]) -> Session:
        reference = params.get("session")
        if not reference:
            raise InvalidParams(
                facts={"sessionId": "name a session by sessionId or sessionName, or write *"}
            )
        owner = params.get("owner") or None
        scope = await self._sessions.scope_of(request[ACTOR], owner, reference)
        return await self._sessions.get(scope, reference, ended_too=True)

    async def _start_of(self, request: web.Request, session: Session) -> int:
        """After which event to begin: what the client saw last, all of an ended one, else now."""
        last = _last_seen(request)
        if last is not None:
            return last
        return await self._feed.last_id(session.id) if session.is_live else 0


async def _tell(response: web.StreamResponse, news_feed: _Feed, scope: str) -> bool:
    """Whether all was told."""
    try:
        async with contextlib.aclosing(news_feed) as feed:
            async for news in feed:
                if news is None:
                    await response.write(HEARTBEAT)
                elif is_in_scope(news.name, scope):
                    await response.write(encode_event(news.name, news.data, news.id))
    except Fault as fault:
        log.info("events.interrupted", code=fault.code)
        return False
    return True


def _last_seen(request: web.Request) -> int | None:
    last = request.headers.get("Last-Event-ID", "")
    return int(last) if last.isascii() and last.isdigit() and len(last) < 19 else None


def _scope_of(text: str) -> str:
    words = {word.strip() for word in text.split(",")}
    if not words <= set(_SCOPES):
        raise InvalidParams(facts={"scope": f"write one of {', '.join(_SCOPES)}"})
    return "*" if "*" in words or len(words) > 1 else words.pop()
