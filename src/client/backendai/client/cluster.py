"""The cluster itself, as its administrators steer it, and the presets that everybody picks from."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from backendai.client.channel import Call, Channel

FROZEN: Final = "frozen"
RUNNING: Final = "running"


class Standing(msgspec.Struct, frozen=True):
    """`status` is running or frozen; `active_sessions` do not count those that wait."""

    status: str
    active_sessions: int
    nodes: Sequence[Mapping[str, Any]] = ()


class Announcement(msgspec.Struct, frozen=True):
    """`message` is Markdown, empty when nothing is announced."""

    enabled: bool
    message: str


class LogRecord(msgspec.Struct, frozen=True):
    """`level` is DEBUG, INFO, WARNING, ERROR or CRITICAL; a `traceback` is one of the fields."""

    time: str
    level: str
    logger: str
    event: str
    fields: dict[str, Any] = {}


class Log(msgspec.Struct, frozen=True):
    """The latest records of one manager, the newest last; it keeps a bounded number in memory."""

    manager: str
    items: tuple[LogRecord, ...]


class Preset(msgspec.Struct, frozen=True):
    """Amounts are texts; `shared_memory` in bytes. `reason` says why it could not start now."""

    name: str
    resource_slots: Mapping[str, str]
    shared_memory: str | None = None
    allocatable: bool = False
    reason: str = ""


class Room(msgspec.Struct, frozen=True):
    """What one may use, uses and could still use, as texts by slot; `Infinity` is no limit, `NaN`
    is not told. `presets` say whether each could start now."""

    keypair_limits: Mapping[str, str]
    keypair_using: Mapping[str, str]
    keypair_remaining: Mapping[str, str]
    group_limits: Mapping[str, str]
    group_using: Mapping[str, str]
    group_remaining: Mapping[str, str]
    scaling_group_remaining: Mapping[str, str]
    scaling_groups: Mapping[str, Mapping[str, Mapping[str, str]]]
    presets: Sequence[Preset]


class _Result(msgspec.Struct, frozen=True):
    result: Any = None


class Cluster:
    """Reading needs no rights but for the configuration; what changes something is a superadmin's.

    Every change may be asked for again: it only says what shall be.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def standing(self) -> Standing:
        call = Call(method="GET", path="/manager/status", repeatable=True)
        return await self._channel.ask_for(Standing, call)

    async def freeze(self, *, force_kill: bool = False) -> None:
        """Let nothing new begin; with `force_kill` end all that has been placed."""
        await self._change("PUT", "/manager/status", {"status": FROZEN, "force_kill": force_kill})

    async def thaw(self) -> None:
        await self._change("PUT", "/manager/status", {"status": RUNNING})

    async def log(self, *, level: str = "INFO", limit: int = 100) -> Log:
        """At most 1000 records that are at least as severe as `level`, of the manager that answers
        this request; for superadmins."""
        query = {"level": level, "limit": str(limit)}
        call = Call(method="GET", path="/manager/logs", query=query, repeatable=True)
        return await self._channel.ask_for(Log, call)

    async def announcement(self) -> Announcement:
        call = Call(method="GET", path="/manager/announcement", repeatable=True)
        return await self._channel.ask_for(Announcement, call)

    async def announce(self, message: str) -> None:
        """Show `message` (Markdown) to everybody; an empty one takes the announcement back."""
        body = {"enabled": bool(message), "message": message or None}
        await self._change("POST", "/manager/announcement", body)

    async def get_config(self, key: str) -> str | None:
        found = await self._ask("/config/get", {"key": key, "prefix": False})
        return None if found is None else str(found)

    async def get_config_below(self, key: str) -> dict[str, Any]:
        """Everything at and below a path, nested by its words."""
        found = await self._ask("/config/get", {"key": key, "prefix": True})
        return dict(found or {})

    async def set_config(self, key: str, value: str | int | float | Mapping[str, Any]) -> None:
        """Store one value, or up to 16 of a nested object."""
        await self._ask("/config/set", {"key": key, "value": value})

    async def delete_config(self, key: str, *, is_prefix: bool = False) -> None:
        """Delete one value, with `is_prefix` also all below it."""
        await self._ask("/config/delete", {"key": key, "prefix": is_prefix})

    async def list_presets(self) -> tuple[Preset, ...]:
        """Without a word on whether they could start now."""
        call = Call(method="GET", path="/resource/presets", repeatable=True)
        found = await self._channel.ask_for(dict[str, tuple[Preset, ...]], call)
        return found.get("presets", ())

    async def check_presets(
        self, project: str | None = None, resource_group: str | None = None
    ) -> Room:
        """What one may use in a project, by default the one called default."""
        given = {"group": project, "scaling_group": resource_group}
        body = {key: value for key, value in given.items() if value is not None}
        call = Call(method="POST", path="/resource/check-presets", json=body, repeatable=True)
        return await self._channel.ask_for(Room, call)

    async def _ask(self, path: str, body: Mapping[str, Any]) -> Any:
        call = Call(method="POST", path=path, json=body, repeatable=True)
        return (await self._channel.ask_for(_Result, call)).result

    async def _change(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        await self._channel.ask(Call(method=method, path=path, json=body, repeatable=True))
