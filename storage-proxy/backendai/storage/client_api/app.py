"""The application that browsers and clients talk to."""

from aiohttp import web

from backendai.common.access_log import AccessLog
from backendai.common.http import json_response, make_app

from ..grants import Grants
from ..settings import ClientListener
from ..tokens import TokenBox
from ..uploads.service import Uploads
from ..version import VERSION
from ..volumes.load import Volumes
from .edge import make_cors, make_problems
from .routes import list_routes


def make_client_app(
    listener: ClientListener,
    volumes: Volumes,
    tokens: TokenBox,
    uploads: Uploads,
    grants: Grants,
    access_log: AccessLog,
) -> web.Application:
    app = make_app(middlewares=[make_problems()], access_log=access_log)
    app.on_response_prepare.append(make_cors(listener.allowed_origins))
    app.router.add_get("/", show_status)
    app.router.add_routes(list_routes(volumes, tokens, uploads, grants, listener.idle_timeout))
    return app


async def show_status(_request: web.Request) -> web.Response:
    return json_response({"status": "ok", "type": "client-facing", "storage-proxy": VERSION})
