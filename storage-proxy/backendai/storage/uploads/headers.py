"""The headers of the tus protocol 1.0: read strictly, and written. PURE."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime
from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy

from backendai.common.storage_faults import StorageInvalidParams
from backendai.common.upload_faults import UploadTypeRefused, UploadVersionRefused

from .record import UploadRecord

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,creation-with-upload,termination,checksum,expiration"
# Each with the length of its digest in bytes.
CHECKSUMS: Final[Mapping[str, int]] = {"sha1": 20, "sha256": 32}
CONTENT_TYPE: Final = "application/offset+octet-stream"
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_SECONDS: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
# The end of the year 9999.
_SECONDS_MAX: Final = 253_402_300_799

Headers = CIMultiDict[str] | CIMultiDictProxy[str]


@dataclass(frozen=True, slots=True)
class Checksum:
    algorithm: str
    digest: bytes


def check_version(headers: Headers) -> None:
    """Raises UploadVersionRefused."""
    given = read_one(headers, "Tus-Resumable")
    if given != VERSION:
        raise UploadVersionRefused(f"Send Tus-Resumable: {VERSION}.")


def check_content_type(content_type: str) -> None:
    """Raises UploadTypeRefused."""
    if content_type != CONTENT_TYPE:
        raise UploadTypeRefused(f"Send Content-Type: {CONTENT_TYPE}.")


def read_offset(headers: Headers) -> int:
    """Raises StorageInvalidParams."""
    return _read_number(headers, "Upload-Offset")


def read_length(headers: Headers) -> int:
    """Raises StorageInvalidParams."""
    return _read_number(headers, "Upload-Length")


def read_checksum(headers: Headers) -> Checksum | None:
    """Raises StorageInvalidParams."""
    given = read_one(headers, "Upload-Checksum")
    if given is None:
        return None
    algorithm, _, text = given.partition(" ")
    if algorithm not in CHECKSUMS:
        raise _refusal("Upload-Checksum", f"begins with one of {', '.join(CHECKSUMS)}")
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != CHECKSUMS[algorithm]:
        raise _refusal("Upload-Checksum", f"has no base64 text of a digest by {algorithm}")
    return Checksum(algorithm, digest)


def read_metadata(headers: Headers) -> dict[str, str]:
    """The pairs of Upload-Metadata. Raises StorageInvalidParams."""
    given = read_one(headers, "Upload-Metadata") or ""
    pairs = [item.strip().partition(" ") for item in given.split(",") if item.strip()]
    try:
        found = {
            key: base64.b64decode(text.strip(), validate=True).decode() for key, _, text in pairs
        }
    except (binascii.Error, ValueError):
        raise _refusal("Upload-Metadata", "is no list of `key base64-of-UTF-8`") from None
    if len(found) != len(pairs):
        raise _refusal("Upload-Metadata", "has a key twice")
    return found


def read_modified(metadata: Mapping[str, str]) -> int | None:
    """`mtime`, in nanoseconds since 1970. Raises StorageInvalidParams."""
    given = metadata.get("mtime")
    if given is None:
        return None
    seconds = Decimal(given) if _SECONDS.fullmatch(given) else _seconds_of(given)
    if not 0 <= seconds <= _SECONDS_MAX:
        raise _refusal("Upload-Metadata", "has an mtime that is not from 1970 to 9999")
    return int(seconds * 1_000_000_000)


def _seconds_of(text: str) -> Decimal:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _refusal(
            "Upload-Metadata",
            "has an mtime that is neither seconds since 1970 nor ISO 8601 with an offset from UTC",
        )
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return Decimal(since.days * 86_400 + since.seconds) + Decimal(since.microseconds) / 1_000_000


def read_one(headers: Headers, name: str) -> str | None:
    """Raises StorageInvalidParams where a header is given twice."""
    found = headers.getall(name, [])
    if len(found) > 1:
        raise _refusal(name, "is given more than once")
    return found[0] if found else None


def status_headers(record: UploadRecord, offset: int) -> dict[str, str]:
    """What an answer tells of an upload."""
    return {
        "Tus-Resumable": VERSION,
        "Upload-Offset": str(offset),
        "Upload-Length": str(record.size),
        "Upload-Expires": http_date(record.expires_at),
        "Cache-Control": "no-store",
    }


def discovery_headers(bytes_max: int) -> dict[str, str]:
    """What OPTIONS tells of this server."""
    return {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Max-Size": str(bytes_max),
        "Tus-Extension": EXTENSIONS,
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }


def http_date(at: datetime) -> str:
    """As in RFC 9110, in whole seconds of GMT."""
    return format_datetime(at, usegmt=True)


def _read_number(headers: Headers, name: str) -> int:
    given = read_one(headers, name)
    if given is None or not _DIGITS.fullmatch(given):
        raise _refusal(name, "must be a whole number of bytes, in digits")
    return int(given)


def _refusal(name: str, why: str) -> StorageInvalidParams:
    return StorageInvalidParams("", {name: why})
