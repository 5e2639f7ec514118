"""REST of commits: a session becomes an image, and whether one is being made."""

from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.http import json_response
from backendai.common.params import checked
from backendai.manager.gate.routes import ACTOR, Route
from backendai.manager.sessions import actions
from backendai.manager.sessions.rest import owner_keys, read_scope
from backendai.manager.sessions.service import Sessions

from .commits import Commit, Commits
from .custom import check_custom_name

_NAME: Final = t.String(max_length=256) & checked(check_custom_name)
# `filename` is what older clients call it.
_COMMIT: Final = owner_keys(
    t.Key("image_name", optional=True, trafaret=_NAME),
    t.Key("filename", optional=True, to_name="image_name", trafaret=_NAME),
)
_OWNER: Final = owner_keys()


def routes(sessions: Sessions, commits: Commits) -> list[Route]:
    handlers = _Handlers(sessions, commits)
    return [
        Route("POST", "/session/{session}/commit", handlers.commit, actions.COMMIT, _COMMIT),
        Route("GET", "/session/{session}/commit", handlers.status, actions.READ, _OWNER),
        # What newer clients ask.
        Route("POST", "/session/{session}/imagify", handlers.commit, actions.COMMIT, _COMMIT),
    ]


class _Handlers:
    def __init__(self, sessions: Sessions, commits: Commits) -> None:
        self._sessions = sessions
        self._commits = commits

    async def commit(self, request: web.Request) -> web.Response:
        scope, reference, params = await read_scope(request, self._sessions, _COMMIT)
        name = params.get("image_name")
        begun = await self._commits.begin(request[ACTOR], scope, reference, name)
        return json_response(_shown(begun), 201)

    async def status(self, request: web.Request) -> web.Response:
        scope, reference, _ = await read_scope(request, self._sessions, _OWNER)
        return json_response(_shown(await self._commits.find(scope, reference)))


def _shown(commit: Commit) -> dict[str, Any]:
    """The task under both of its names, the image under both of its."""
    task_id = None if commit.task_id is None else str(commit.task_id)
    return {
        "status": commit.status.value,
        "kernel": commit.kernel_id,
        "bgtask_id": task_id,
        "task_id": task_id,
        "path": commit.image or None,
        "image": commit.image or None,
    }
