"""Unpacking an archive that was uploaded into a folder."""

import os
from contextlib import suppress

from aiohttp import web

from backendai.common.beneath import opened_directory
from backendai.common.http import json_response
from backendai.common.paths import RelPath, parse_relpath

from ..archives.unpack import UnpackLimits, unpack
from ..layout import FolderId
from ..tokens import Purpose
from ..volumes.volume import Volume, Work
from .asking import Door


class ExtractRoutes:
    def __init__(self, door: Door, limits: UnpackLimits) -> None:
        self._door = door
        self._limits = limits

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/extract", self.extract)]

    async def extract(self, request: web.Request) -> web.Response:
        """200 with what was made, and what was skipped and why."""
        ask = self._door.let_in(request, Purpose.EXTRACT)
        archive = parse_relpath(ask.claims.relpath)
        into = parse_relpath(ask.claims.dst_dir or "")
        report = await ask.volume.run_long(
            Work.UNPACK, unpack, ask.volume, ask.folder, archive, into, self._limits
        )
        # What could not be unpacked would be lost with it.
        if ask.claims.remove and not report.skipped_count:
            await ask.volume.run(_remove, ask.volume, ask.folder, archive)
        return json_response(report)


def _remove(volume: Volume, folder: FolderId, path: RelPath) -> None:
    with (
        volume.opened_folder(folder) as top,
        opened_directory(top, path.parent) as parent,
        suppress(FileNotFoundError),
    ):
        os.unlink(path.name, dir_fd=parent)
