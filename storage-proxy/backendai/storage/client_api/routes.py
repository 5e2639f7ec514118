"""The routes of uploads and downloads."""

from aiohttp import web

from ..grants import Grants
from ..tokens import TokenBox
from ..uploads.service import Uploads
from ..volumes.load import Volumes
from .asking import Door
from .downloads import DownloadRoutes
from .uploads import UploadRoutes


def list_routes(
    volumes: Volumes, tokens: TokenBox, uploads: Uploads, grants: Grants, idle_seconds: float
) -> list[web.RouteDef]:
    door = Door(tokens, volumes)
    return [
        *UploadRoutes(door, uploads, grants).routes(),
        *DownloadRoutes(door, idle_seconds).routes(),
    ]
