"""Which uploads there are on a volume, by their files. All of it blocks."""

import os
from collections.abc import Iterator
from contextlib import suppress

from backendai.common.beneath import open_beneath, opened_directory
from backendai.common.storage_faults import StorageInvalidParams

from ..layout import UPLOADS, parse_folder_id
from ..volumes.room import Reservation
from . import files
from .record import UploadRecord, decode_record, is_upload_id


def list_reservations(top: int, *, is_inside: bool) -> Iterator[Reservation]:
    """Of all open uploads below the open directory of a volume. Raises OSError.

    Also of those that have expired and were not swept yet: their bytes are there.
    """
    for directory, upload in list_uploads(top):
        record = find_record(directory, upload)
        written = find_part_bytes(directory, upload)
        if record is not None and written is not None and not record.done:
            with suppress(StorageInvalidParams):
                yield reservation_of(record, written, is_inside=is_inside)


def reservation_of(record: UploadRecord, written_bytes: int, *, is_inside: bool) -> Reservation:
    """Raises StorageInvalidParams for a folder that is none."""
    return Reservation(
        id=record.id,
        scope=parse_folder_id(record.folder).scope,
        size_bytes=record.size,
        written_bytes=written_bytes,
        is_inside=is_inside,
        place=f"{record.folder}/{record.relpath}",
    )


def list_uploads(top: int) -> Iterator[tuple[int, str]]:
    """Each with the directory of its files, which is open until the next is taken."""
    try:
        with opened_directory(top, UPLOADS) as uploads:
            names = sorted(os.listdir(uploads))
    except FileNotFoundError:
        return
    for name in names:
        try:
            directory = open_beneath(top, UPLOADS / name, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            ids = {file.partition(".")[0] for file in os.listdir(directory)}
            for upload in sorted(filter(is_upload_id, ids)):
                yield directory, upload
        finally:
            os.close(directory)


def find_record(directory: int, upload: str) -> UploadRecord | None:
    """None where there is none that can be read."""
    with suppress(FileNotFoundError):
        return decode_record(files.read_small(directory, upload + files.RECORD))
    return None


def find_part_bytes(directory: int, upload: str) -> int | None:
    """None where there is no part: then it was put into its place."""
    with suppress(FileNotFoundError):
        return os.stat(upload + files.PART, dir_fd=directory, follow_symlinks=False).st_size
    return None
