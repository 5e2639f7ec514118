"""A storage proxy as its clients see it: bytes to append, bytes to fetch, by ticket."""

import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlsplit

from backendai.client.channel import decode
from backendai.client.faults import UnexpectedAnswer
from backendai.client.transport import Answer, Content, Request, Streams, raise_for_status
from backendai.client.vfolders.rows import Extracted, Ticket

APPEND_SECONDS: Final = 300.0
IDLE_SECONDS: Final = 60.0
ASK_SECONDS: Final = 30.0
EXTRACT_SECONDS: Final = 3600.0
_TUS: Final = {"Tus-Resumable": "1.0.0"}
_OFFSET: Final = "upload-offset"


class StorageProxy:
    """Raises what the proxy refuses, and the faults of a broken connection."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def find_offset(self, ticket: Ticket) -> int:
        """How many bytes of the upload are durable."""
        request = _request("HEAD", ticket, _TUS, seconds=ASK_SECONDS)
        return _offset_of(await self._ask(request))

    async def append(self, ticket: Ticket, offset: int, data: bytes, modified_ns: int) -> int:
        """The offset after `data`, which goes on from `offset` and is durable then.

        `modified_ns`, nanoseconds since 1970, is the time that the file gets when it is whole."""
        digest = b64encode(hashlib.sha256(data).digest()).decode()
        headers = {
            **_TUS,
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(offset),
            "Upload-Checksum": f"sha256 {digest}",
            **_time_header(modified_ns),
        }
        request = _request("PATCH", ticket, headers, data, APPEND_SECONDS)
        return _offset_of(await self._ask(request))

    async def drop(self, ticket: Ticket) -> None:
        """End an upload that nobody goes on with."""
        await self._ask(_request("DELETE", ticket, _TUS, seconds=ASK_SECONDS))

    @asynccontextmanager
    async def content(
        self, ticket: Ticket, start: int = 0, validator: str = ""
    ) -> AsyncIterator[Content]:
        """From the byte `start` on when the file still is what `validator` names (an ETag or a
        Last-Modified), else (status 200) from the first one."""
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": validator}
        request = _request("GET", ticket, headers)
        async with self._streams.content(request) as content:
            yield content

    @asynccontextmanager
    async def archive(self, ticket: Ticket, kind: str) -> AsyncIterator[Content]:
        """A zip or tar, made while it is read; its length is known at its end."""
        request = _request("GET", ticket, {"Accept-Encoding": "identity"}, more=f"&format={kind}")
        async with self._streams.content(request) as content:
            yield content

    async def extract(self, ticket: Ticket) -> Extracted:
        """Have an archive that lies in the folder unpacked. Raises ArchiveRefused."""
        answer = await self._ask(_request("POST", ticket, {}, seconds=EXTRACT_SECONDS))
        return decode(Extracted, answer.body)

    async def _ask(self, request: Request) -> Answer:
        answer = await self._streams.send(request)
        raise_for_status(answer)
        return answer


def size_of(content: Content, start: int) -> int:
    """How many bytes the whole file has."""
    try:
        count = int(content.headers["content-length"])
    except (KeyError, ValueError):
        raise UnexpectedAnswer("The storage proxy does not say how long the file is.") from None
    return start + count if content.status == HTTPStatus.PARTIAL_CONTENT else count


def _request(
    method: str,
    ticket: Ticket,
    headers: dict[str, str],
    body: bytes = b"",
    seconds: float | None = None,
    more: str = "",
) -> Request:
    url = urlsplit(ticket.url)
    return Request(
        method=method,
        address=f"{url.scheme}://{url.netloc}",
        target=f"{url.path}?token={quote(ticket.token, safe='')}{more}",
        headers=headers,
        body=body,
        timeout_seconds=seconds,
        idle_seconds=IDLE_SECONDS if seconds is None else None,
    )


def _time_header(modified_ns: int) -> dict[str, str]:
    """None for times before 1970, which storage proxies do not take."""
    if modified_ns < 0:
        return {}
    seconds, rest = divmod(modified_ns, 1_000_000_000)
    return {"Upload-Metadata": f"mtime {b64encode(f'{seconds}.{rest:09}'.encode()).decode()}"}


def _offset_of(answer: Answer) -> int:
    text = answer.headers.get(_OFFSET, "")
    if not (text.isascii() and text.isdigit()):
        raise UnexpectedAnswer("The storage proxy does not say how much it has.")
    return int(text)
