"""What a manager asks for on behalf of a user: tokens that open one thing for a while."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from backendai.common.clock import Clock
from backendai.common.faults import BadRequest
from backendai.common.paths import RelPath

from .layout import FolderId
from .tokens import Claims, Purpose, TokenBox, expiry
from .uploads.record import UploadRecord
from .uploads.service import Uploads
from .volumes.volume import Volume

# Tokens are part of an address, whose line servers and the proxies before them limit.
ADDRESS_CHARS_MAX: Final = 7 * 1024


class Grants:
    """`lifetime_seconds` is how long tokens are good."""

    def __init__(
        self, tokens: TokenBox, uploads: Uploads, lifetime_seconds: float, clock: Clock
    ) -> None:
        self._tokens = tokens
        self._uploads = uploads
        self._lifetime_seconds = lifetime_seconds
        self._clock = clock

    async def grant_upload(
        self, volume: Volume, folder: FolderId, relpath: RelPath, size: int
    ) -> str:
        """Begins the upload. Raises UploadTooLarge, StorageFull, PathFault, FolderNotFound."""
        token, _ = await self.begin_upload(volume, folder, relpath, size)
        return token

    async def begin_upload(
        self,
        volume: Volume,
        folder: FolderId,
        relpath: RelPath,
        size: int,
        modified_ns: int | None = None,
    ) -> tuple[str, UploadRecord]:
        """As `grant_upload`, with what is remembered of it."""
        record = await self._uploads.create(volume, folder, relpath, size, modified_ns)
        token = self._tokens.sign(
            Claims(
                op=Purpose.UPLOAD,
                volume=volume.name,
                vfid=str(folder),
                relpath=str(relpath),
                exp=expiry(record.expires_at),
                size=size,
                session=record.id,
            )
        )
        return token, record

    def grant_uploads(
        self, volume: Volume, folder: FolderId, directory: RelPath, bytes_max: int
    ) -> str:
        """A token that begins any number of uploads below `directory`, each of so many bytes."""
        return self._sign(Purpose.CREATE, volume, folder, directory, size=bytes_max)

    def grant_download(
        self,
        volume: Volume,
        folder: FolderId,
        relpath: RelPath,
        *,
        is_archive: bool = False,
        selection: Sequence[RelPath] = (),
    ) -> str:
        """Of a file; or of a directory, or some paths below it, as an archive.

        Raises BadRequest for more paths than an address holds.
        """
        chosen = tuple(map(str, selection))
        token = self._sign(
            Purpose.DOWNLOAD, volume, folder, relpath, archive=is_archive, relpaths=chosen
        )
        if len(token) > ADDRESS_CHARS_MAX:
            raise BadRequest("That are too many names for one archive: name their directories.")
        return token

    def grant_extraction(
        self,
        volume: Volume,
        folder: FolderId,
        relpath: RelPath,
        into: RelPath,
        *,
        removes: bool = False,
    ) -> str:
        """Of the archive at `relpath`; `removes` deletes it when all of it was unpacked."""
        return self._sign(
            Purpose.EXTRACT, volume, folder, relpath, dst_dir=str(into), remove=removes
        )

    def _sign(
        self,
        purpose: Purpose,
        volume: Volume,
        folder: FolderId,
        relpath: RelPath,
        *,
        size: int | None = None,
        archive: bool = False,
        relpaths: tuple[str, ...] = (),
        dst_dir: str | None = None,
        remove: bool = False,
    ) -> str:
        until = self._clock.now() + timedelta(seconds=self._lifetime_seconds)
        return self._tokens.sign(
            Claims(
                op=purpose,
                volume=volume.name,
                vfid=str(folder),
                relpath=str(relpath),
                exp=expiry(until),
                size=size,
                archive=archive,
                relpaths=relpaths,
                dst_dir=dst_dir,
                remove=remove,
            )
        )
