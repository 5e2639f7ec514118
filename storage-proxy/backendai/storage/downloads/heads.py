"""The headers of a download: validators, names, types. PURE.

What people upload is never trusted: a browser saves it, and shows only what cannot hold a script.
"""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from mimetypes import guess_type
from typing import Final
from urllib.parse import quote

from ..uploads.headers import http_date

UNKNOWN_TYPE: Final = "application/octet-stream"
# Types that browsers show without running anything of them.
SHOWN_TYPES: Final = frozenset(
    {
        "text/plain",
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/avif",
        "image/bmp",
        "audio/mpeg",
        "audio/ogg",
        "audio/wav",
        "audio/flac",
        "video/mp4",
        "video/webm",
        "video/ogg",
    }
)
PROTECTION: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
}
_NOT_IN_TOKEN: Final = re.compile(r"[^A-Za-z0-9 ._()+,=@-]")


def etag_of(found: os.stat_result) -> str:
    """Another one whenever the file is another one, or was written to."""
    return f'"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"'


def modified_at(found: os.stat_result) -> datetime:
    """In whole seconds, as headers tell it."""
    return datetime.fromtimestamp(int(found.st_mtime), UTC)


def is_unchanged(headers: Mapping[str, str], etag: str, modified: datetime) -> bool:
    """Whether the client has it already: If-None-Match goes before If-Modified-Since."""
    given = headers.get("If-None-Match")
    if given is not None:
        tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
        return given.strip() == "*" or etag in tags
    since = parse_date(headers.get("If-Modified-Since"))
    return since is not None and modified <= since


def takes_ranges(headers: Mapping[str, str], etag: str, modified: datetime) -> bool:
    """Whether If-Range, where given, names exactly what is there now."""
    given = headers.get("If-Range")
    if given is None:
        return True
    if given.startswith(('"', "W/")):
        return given == etag
    return parse_date(given) == modified


def parse_date(text: str | None) -> datetime | None:
    """None for none, and for what is no date."""
    if text is None:
        return None
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def disposition_of(name: str, *, is_inline: bool = False) -> str:
    """Content-Disposition: a plain name for all, and the real one for those who can read it."""
    plain = _NOT_IN_TOKEN.sub("_", name) or "download"
    encoded = quote(name.encode("utf-8", "replace"), safe="")
    word = "inline" if is_inline else "attachment"
    return f"{word}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def type_of(name: str) -> str:
    guessed, encoding = guess_type(name, strict=True)
    if guessed is None or encoding is not None:
        return UNKNOWN_TYPE
    return f"{guessed}; charset=utf-8" if guessed == "text/plain" else guessed


def content_headers(name: str, *, wants_inline: bool) -> dict[str, str]:
    """Inline where it is wanted and harmless; else a file to be saved, whatever it says it is."""
    found = type_of(name)
    is_inline = wants_inline and found.partition(";")[0] in SHOWN_TYPES
    return {
        **PROTECTION,
        "Content-Type": found if is_inline else UNKNOWN_TYPE,
        "Content-Disposition": disposition_of(name, is_inline=is_inline),
    }


def file_headers(found: os.stat_result, *, is_cached: bool) -> dict[str, str]:
    return {
        "Accept-Ranges": "bytes",
        "ETag": etag_of(found),
        "Last-Modified": http_date(modified_at(found)),
        "Cache-Control": "private, no-cache" if is_cached else "no-store",
    }
