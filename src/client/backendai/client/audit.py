"""The log of changes: who changed which domain, project, user, keypair or policy."""

from typing import Any, TypedDict, Unpack

import msgspec

from backendai.client.channel import Call, Channel


class Entry(msgspec.Struct, frozen=True):
    """`before` and `after` have the columns that changed. `as_email` is on whose behalf."""

    id: int
    at: str
    email: str
    action: str
    target_kind: str
    target_id: str
    access_key: str = ""
    domain: str | None = None
    as_email: str | None = None
    as_access_key: str | None = None
    request_id: str | None = None
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}


class Entries(msgspec.Struct, frozen=True):
    """A part of the log, newest first, and how many there are in all."""

    items: tuple[Entry, ...]
    total_count: int


class Wanted(TypedDict, total=False):
    """Each narrows the list; times are ISO 8601."""

    action: str | None
    target_kind: str | None
    target_id: str | None
    email: str | None
    access_key: str | None
    domain: str | None
    request_id: str | None
    since: str | None
    until: str | None


class Audit:
    """Superadmins read all of it, domain admins what concerns their domain."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def list(self, *, limit: int = 20, offset: int = 0, **wanted: Unpack[Wanted]) -> Entries:
        """At most 100 at once."""
        query: dict[str, Any] = {"limit": str(limit), "offset": str(offset), **wanted}
        call = Call(method="GET", path="/audit", query=query, repeatable=True)
        return await self._channel.ask_for(Entries, call)
