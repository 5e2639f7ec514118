"""What is remembered of an upload, and what may be done to it. PURE.

How far it has come is not in the record: that is the size of its part, which is what is durable.
"""

import re
from datetime import datetime
from typing import Final

import msgspec

from backendai.common.upload_faults import (
    UploadExceeded,
    UploadOffsetMismatch,
    UploadTooLarge,
)

ID_BYTES: Final = 16
_ID: Final = re.compile(r"[0-9a-f]{32}")


class UploadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The sidecar of a part. It becomes `relpath` below `dst_dir` below the folder.

    `size` is what was announced, in bytes; times are aware UTC. `modified_ns` is what the file gets
    as its time, in nanoseconds since 1970; None is that of its arrival.
    """

    id: str
    folder: str
    relpath: str
    size: int
    dst_dir: str = ""
    modified_ns: int | None = None
    created_at: datetime
    expires_at: datetime
    done: bool = False

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at <= now


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of a part that count only when their checksum is right."""

    offset: int
    length: int
    algorithm: str
    digest: bytes


def is_upload_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def encode_record(record: UploadRecord) -> bytes:
    return msgspec.json.encode(record)


def decode_record(data: bytes) -> UploadRecord | None:
    """None for what a crash left half written."""
    try:
        return msgspec.json.decode(data, type=UploadRecord)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def encode_trial(trial: Trial) -> bytes:
    return msgspec.json.encode(trial)


def decode_trial(data: bytes) -> Trial | None:
    """None for none, and for one that a crash left half written: nothing was tried then."""
    try:
        return msgspec.json.decode(data, type=Trial) if data else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def check_size(size: int, bytes_max: int) -> None:
    """Raises UploadTooLarge."""
    if size > bytes_max:
        raise UploadTooLarge(f"{size} bytes were announced; {bytes_max} are allowed.")


def check_append(size: int, offset: int, given: int, length: int | None) -> None:
    """Whether `length` bytes (None: unknown) may be appended at `given` to a part of `offset`.

    Raises UploadOffsetMismatch, UploadExceeded.
    """
    if given != offset:
        raise UploadOffsetMismatch.at(offset, f"It is at {offset}, and {given} was given.")
    if length is not None and offset + length > size:
        raise UploadExceeded.at(
            offset, f"{size - offset} bytes are left of {size}; {length} were sent."
        )
