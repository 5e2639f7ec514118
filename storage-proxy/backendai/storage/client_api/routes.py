"""The routes of uploads, downloads and archives."""

from aiohttp import web

from ..archives.unpack import UnpackLimits
from ..grants import Grants
from ..tokens import TokenBox
from ..uploads.service import Uploads
from ..volumes.load import Volumes
from .asking import Door
from .downloads import DownloadRoutes
from .extract import ExtractRoutes
from .uploads import UploadRoutes


def list_routes(
    volumes: Volumes, tokens: TokenBox, uploads: Uploads, grants: Grants, idle_seconds: float
) -> list[web.RouteDef]:
    door = Door(tokens, volumes)
    return [
        *UploadRoutes(door, uploads, grants).routes(),
        *DownloadRoutes(door, idle_seconds).routes(),
        *ExtractRoutes(door, UnpackLimits()).routes(),
    ]
