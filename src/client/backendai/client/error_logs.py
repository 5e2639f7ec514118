"""Error logs: what went wrong in front of a user, as their program told it."""

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

import msgspec

from backendai.client.channel import Call, Channel, path_of

LANGUAGE = "python"


class ErrorLog(msgspec.Struct, frozen=True):
    """`severity` is critical, error, warning, info or debug; `user` the id of who told it;
    `created_at` in seconds since 1970; `is_read` as it was before this reading."""

    log_id: str
    created_at: float
    severity: str
    source: str
    message: str
    user: str = ""
    is_read: bool = False
    context_lang: str = ""
    context_env: dict[str, Any] = {}
    request_url: str | None = None
    request_status: int | None = None
    traceback: str | None = None


class ErrorLogPage(msgspec.Struct, frozen=True):
    """The newest first; `count` is of all pages."""

    logs: tuple[ErrorLog, ...]
    count: int


class Context(TypedDict, total=False):
    """Where it went wrong. `context_lang` is the language of the program."""

    context_lang: str
    context_env: Mapping[str, Any]
    request_url: str
    request_status: int
    traceback: str


class ErrorLogs:
    """One's own, a domain admin's those of the domain, a superadmin's all. The oldest of a user
    make room for new ones."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def list(
        self, *, page: int = 1, page_size: int = 20, is_marking: bool = False
    ) -> ErrorLogPage:
        """Those that were not cleared, at most 100 at once; with `is_marking` they count as read
        afterwards."""
        query = {
            "page_no": str(page),
            "page_size": str(page_size),
            "mark_read": str(is_marking).lower(),
        }
        call = Call(method="GET", path="/logs/error", query=query, repeatable=True)
        return await self._channel.ask_for(ErrorLogPage, call)

    async def add(
        self, message: str, *, source: str, severity: str = "error", **context: Unpack[Context]
    ) -> None:
        """`source` says which program tells it."""
        told = {"context_lang": LANGUAGE, "context_env": {}, **context}
        body = {"severity": severity, "source": source, "message": message, **told}
        await self._channel.ask(Call(method="POST", path="/logs/error", json=body))

    async def clear(self, log_id: str) -> None:
        """List it no more. Raises ErrorLogNotFound."""
        path = path_of("logs", "error", log_id, "clear")
        await self._channel.ask(Call(method="POST", path=path))
