"""Uploads: begin, tell, append, end. What was acknowledged is durable, whatever dies when.

Each step on the disk has a failpoint before and after it; the tests kill the daemon at each.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import msgspec

from backendai.common.clock import Clock
from backendai.common.failpoints import failpoint
from backendai.common.faults import Fault
from backendai.common.ids import IdSource
from backendai.common.logs import get_logger
from backendai.common.paths import RelPath
from backendai.common.storage_faults import StorageFull, VolumeFailed
from backendai.common.upload_faults import (
    UploadBusy,
    UploadExceeded,
    UploadFull,
    UploadIdle,
    UploadInterrupted,
    UploadLost,
    UploadNotFound,
)

from ..layout import FolderId
from ..volumes.room import Reservation
from ..volumes.volume import Volume, Work
from . import files
from .headers import Checksum
from .holders import Body, Hold, Holders, Idle, Interrupted
from .listing import reservation_of
from .part import Part, open_part
from .placing import check_target, place, place_copy, settle
from .record import ID_BYTES, Trial, UploadRecord, check_append, check_size
from .sweeping import Sweep, sweep

log = get_logger(__name__)

BATCH_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class UploadState:
    record: UploadRecord
    offset: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a request wants to append. `length` is None where it does not say."""

    offset: int
    length: int | None
    checksum: Checksum | None
    body: Body


@dataclass(frozen=True, slots=True)
class Aim:
    """What a request says of the file that is made: in which directory, and of what time."""

    dst_dir: str | None = None
    modified_ns: int | None = None


AS_IT_IS: Final = Aim()


@dataclass(frozen=True, slots=True)
class UploadLimits:
    bytes_max: int
    lifetime_seconds: float
    idle_seconds: float


class Uploads:
    def __init__(self, limits: UploadLimits, clock: Clock, ids: IdSource) -> None:
        self.limits = limits
        self._clock = clock
        self._ids = ids
        self._holders = Holders()

    async def create(
        self,
        volume: Volume,
        folder: FolderId,
        relpath: RelPath,
        size: int,
        modified_ns: int | None = None,
    ) -> UploadRecord:
        """Begin an upload; one of no bytes is finished at once, as nobody would send it.

        Raises UploadTooLarge, StorageFull, PathFault, FolderNotFound.
        """
        check_size(size, self.limits.bytes_max)
        now = self._clock.now()
        record = UploadRecord(
            id=self._ids.token(ID_BYTES).hex(),
            folder=str(folder),
            relpath=str(relpath),
            size=size,
            created_at=now,
            expires_at=now + timedelta(seconds=self.limits.lifetime_seconds),
            modified_ns=modified_ns,
        )
        await volume.run(check_target, volume, record)
        await self._reserve(volume, record)
        try:
            await failpoint("storage.upload.before_create")
            await volume.run(files.make_part, volume, record.id, folder.scope)
            await failpoint("storage.upload.before_record")
            await volume.run(files.write_record, volume, record)
            await failpoint("storage.upload.after_record")
        except BaseException:
            volume.room.release(record.id)
            raise
        if not size:
            await self.find(volume, record.id)
        return record

    async def _reserve(self, volume: Volume, record: UploadRecord) -> None:
        """Room for all of it. Where there is none, an upload to the same place that was left alone
        gives way: whoever was cut off sends anew. Raises StorageFull."""
        wanted = reservation_of(record, 0, is_inside=volume.quotas.counts_parts)
        wanted.used_at = self._clock.monotonic()
        try:
            await volume.run_counted(volume.room.reserve, wanted)
        except StorageFull:
            if not await self._drop_idle(volume, wanted):
                raise
            await volume.run_counted(volume.room.reserve, wanted)

    async def _drop_idle(self, volume: Volume, wanted: Reservation) -> bool:
        """Whether there were any."""
        since = wanted.used_at - self.limits.idle_seconds
        dropped = 0
        for upload in volume.room.list_idle(wanted.scope, wanted.place, since):
            with suppress(UploadNotFound, UploadBusy):
                async with self._opened(volume, upload, AS_IT_IS) as (part, _):
                    if not part.record.dst_dir:
                        await self._drop(volume, part)
                        dropped += 1
        return dropped > 0

    async def find(self, volume: Volume, upload: str, aim: Aim = AS_IT_IS) -> UploadState:
        """How far it has come. One that is whole is finished if a crash had kept it from that.

        Raises UploadNotFound, UploadLost, UploadBusy, what finishing raises.
        """
        async with self._opened(volume, upload, aim) as (part, _):
            if not part.record.done:
                await self._sync(volume, part)
                await self._finish_if_whole(volume, part)
            return UploadState(part.record, part.offset)

    async def append(
        self, volume: Volume, upload: str, chunk: Chunk, aim: Aim = AS_IT_IS
    ) -> UploadState:
        """Append and acknowledge. Raises UploadFault leaves, with the offset to go on from."""
        async with self._opened(volume, upload, aim) as (part, hold):
            await self._sync(volume, part)
            check_append(part.record.size, part.offset, chunk.offset, chunk.length)
            if not part.record.done:
                await self._receive(volume, part, hold, chunk)
                await self._finish_if_whole(volume, part)
            return UploadState(part.record, part.offset)

    async def drop(self, volume: Volume, upload: str) -> None:
        """End an upload that nobody wants any more. Raises UploadNotFound, UploadBusy."""
        async with self._opened(volume, upload, AS_IT_IS) as (part, _):
            await self._drop(volume, part)

    async def _drop(self, volume: Volume, part: Part) -> None:
        await failpoint("storage.upload.before_drop")
        await volume.run(part.drop)
        volume.room.release(part.record.id)

    async def sweep(self, volume: Volume) -> Sweep:
        """Remove what has expired; finish what a crash kept from that."""
        found = await volume.run_long(Work.CLEAN, sweep, volume, self._clock.now())
        for upload in found.whole:
            try:
                await self.find(volume, upload)
            except Fault as fault:
                log.info("upload.not_finished", upload=upload, code=fault.code)
        if found.dropped or found.whole:
            log.info(
                "upload.swept",
                volume=volume.name,
                dropped=found.dropped,
                finished=len(found.whole),
            )
        return found

    @asynccontextmanager
    async def _opened(
        self, volume: Volume, upload: str, aim: Aim
    ) -> AsyncIterator[tuple[Part, Hold]]:
        async with self._holders.hold(f"{volume.name}/{upload}") as hold:
            part = await volume.run(open_part, volume, upload, self._clock.now())
            try:
                await self._recover(volume, part, aim)
                yield part, hold
            finally:
                volume.room.progress(upload, part.offset, self._clock.monotonic())
                part.close()

    async def _recover(self, volume: Volume, part: Part, aim: Aim) -> None:
        """Put in order what a crash left, and note where the upload shall go."""
        if part.record.done:
            return
        if part.is_placed:
            await self._settle(volume, part)
            return
        trial = await volume.run(part.find_trial)
        if trial is not None:
            await volume.run_long(Work.CHECK, part.resolve_trial, trial)
        if aim.dst_dir is not None and aim.dst_dir != part.record.dst_dir:
            aimed = msgspec.structs.replace(part.record, dst_dir=aim.dst_dir)
            await volume.run(check_target, volume, aimed)
            await volume.run(part.mark, aimed)
        if aim.modified_ns is not None:
            # Not worth a write of its own: it comes again with each request.
            part.record = msgspec.structs.replace(part.record, modified_ns=aim.modified_ns)

    async def _receive(self, volume: Volume, part: Part, hold: Hold, chunk: Chunk) -> None:
        """Write what comes until the body ends, and make it durable however it ends."""
        if chunk.checksum is not None and chunk.length is not None:
            trial = Trial(
                offset=part.offset,
                length=chunk.length,
                algorithm=chunk.checksum.algorithm,
                digest=chunk.checksum.digest,
            )
            await volume.run(part.begin_trial, trial)
        ending = await self._write_body(volume, part, hold, chunk)
        if ending is not None:
            await volume.run(part.cancel_trial)
            await self._sync(volume, part)
            raise self._fault_of(ending, part, chunk)
        if chunk.checksum is not None:
            await failpoint("storage.upload.before_trial_end")
            await volume.run(part.end_trial)
        await self._sync(volume, part)

    async def _write_body(
        self, volume: Volume, part: Part, hold: Hold, chunk: Chunk
    ) -> Exception | None:
        """None at the end of the body; else what ended it early, after the bytes before it."""
        ending: Exception | None = None
        room = part.record.size - part.offset
        while ending is None:
            batch, ending = await self._gather(hold, chunk.body)
            size = sum(map(len, batch))
            if size > room:
                await volume.run(part.truncate, chunk.offset)
                return UploadExceeded.at(chunk.offset, f"{part.record.size} were announced.")
            if size:
                full = await self._write(volume, part, batch)
                ending = full or ending
                room -= size
            elif ending is None:
                break
        return ending

    async def _write(self, volume: Volume, part: Part, batch: list[bytes]) -> Exception | None:
        await failpoint("storage.upload.before_write")
        try:
            await volume.run(part.write, batch)
        except StorageFull as fault:
            return fault
        finally:
            volume.room.progress(part.record.id, part.offset, self._clock.monotonic())
        await failpoint("storage.upload.after_write")
        return None

    async def _gather(self, hold: Hold, body: Body) -> tuple[list[bytes], Exception | None]:
        """So much that a thread is worth its switch, and what ended the body early.

        An empty list without an ending is the end of the body.
        """
        batch: list[bytes] = []
        size = 0
        while size < BATCH_BYTES:
            try:
                piece = await hold.read(body, self.limits.idle_seconds)
            except (Interrupted, Idle, OSError) as error:
                return batch, error
            if not piece:
                break
            batch.append(piece)
            size += len(piece)
        return batch, None

    def _fault_of(self, ending: Exception, part: Part, chunk: Chunk) -> Exception:
        offset = part.offset
        match ending:
            case Interrupted():
                return UploadInterrupted.at(offset)
            case Idle():
                seconds = self.limits.idle_seconds
                return UploadIdle.at(offset, f"Nothing came for {seconds:g} seconds.")
            case StorageFull():
                return UploadFull.at(offset, ending.detail)
        return ending

    async def _sync(self, volume: Volume, part: Part) -> None:
        if part.is_placed:
            return
        await failpoint("storage.upload.before_sync")
        try:
            await volume.run(part.sync)
        except UploadLost as fault:
            log.warning("upload.lost", upload=part.record.id, cause=repr(fault.__cause__))
            volume.room.release(part.record.id)
            raise
        await failpoint("storage.upload.after_sync")

    async def _finish_if_whole(self, volume: Volume, part: Part) -> None:
        if part.record.done or not part.is_whole:
            return
        if not part.is_placed:
            await failpoint("storage.upload.before_rename")
            try:
                if not await volume.run_counted(place, volume, part):
                    await volume.run_long(Work.COPY, place_copy, volume, part)
            except StorageFull as fault:
                raise UploadFull.at(part.offset, fault.detail) from fault
            await failpoint("storage.upload.after_rename")
        await self._settle(volume, part)

    async def _settle(self, volume: Volume, part: Part) -> None:
        """After the rename: its name becomes durable, then the record says that it is done."""
        volume.room.release(part.record.id)
        try:
            await volume.run(settle, volume, part.record)
        except VolumeFailed as fault:
            await volume.run(part.drop)
            raise UploadLost(fault.detail) from fault
        await failpoint("storage.upload.before_done")
        await volume.run(part.mark, msgspec.structs.replace(part.record, done=True))
        await failpoint("storage.upload.after_done")
