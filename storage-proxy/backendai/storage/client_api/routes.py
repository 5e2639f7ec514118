"""The routes of uploads and downloads."""

from aiohttp import web

from backendai.common.clock import Clock

from ..settings import StorageSettings
from ..volumes.load import Volumes


def list_routes(settings: StorageSettings, volumes: Volumes, clock: Clock) -> list[web.RouteDef]:
    return []
