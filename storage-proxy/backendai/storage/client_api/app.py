"""The application that browsers and clients talk to."""

from aiohttp import web

from backendai.common.access_log import AccessLog
from backendai.common.clock import Clock
from backendai.common.http import json_response, make_app

from ..settings import StorageSettings
from ..version import VERSION
from ..volumes.load import Volumes
from .routes import list_routes


def make_client_app(
    settings: StorageSettings, volumes: Volumes, clock: Clock, access_log: AccessLog
) -> web.Application:
    app = make_app(access_log=access_log)
    app.router.add_get("/", show_status)
    app.router.add_routes(list_routes(settings, volumes, clock))
    return app


async def show_status(_request: web.Request) -> web.Response:
    return json_response({"status": "ok", "type": "client-facing", "storage-proxy": VERSION})
