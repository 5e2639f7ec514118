"""The routes of uploads and downloads."""

from aiohttp import web

from ..grants import Grants
from ..tokens import TokenBox
from ..uploads.service import Uploads
from ..volumes.load import Volumes
from .asking import Door
from .uploads import UploadRoutes


def list_routes(
    volumes: Volumes, tokens: TokenBox, uploads: Uploads, grants: Grants
) -> list[web.RouteDef]:
    door = Door(tokens, volumes)
    return [*UploadRoutes(door, uploads, grants).routes()]
