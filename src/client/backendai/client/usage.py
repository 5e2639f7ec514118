"""What sessions held and used: bills of projects, and curves of the last thirty days."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from backendai.client.channel import Call, Channel, convert


class ProjectUsage(msgspec.Struct, frozen=True):
    """One project over a span. `slot_seconds` are exact texts by slot, clipped to the span;
    `kernels` are the wire's objects, each with `slot_seconds` of its own."""

    id: str = msgspec.field(name="g_id")
    name: str = msgspec.field(name="g_name")
    domain_name: str
    slot_seconds: Mapping[str, str] = msgspec.field(name="g_slot_seconds", default_factory=dict)
    kernels: Sequence[Mapping[str, Any]] = msgspec.field(name="c_infos", default=())


class Point(msgspec.Struct, frozen=True):
    """A quarter of an hour from `date` on (epoch seconds); each metric has `value` and
    `unit_hint`."""

    date: int
    num_sessions: Mapping[str, Any]
    cpu_allocated: Mapping[str, Any]
    mem_allocated: Mapping[str, Any]
    gpu_allocated: Mapping[str, Any]
    io_read_bytes: Mapping[str, Any]
    io_write_bytes: Mapping[str, Any]
    disk_used: Mapping[str, Any]


class Usage:
    """Only the own curves are for everybody; the rest is a superadmin's. Days are those of UTC."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def month(self, month: str, project_ids: Sequence[str] = ()) -> tuple[ProjectUsage, ...]:
        """The projects, of these or of all, that held something in a month such as `202601`."""
        body = {"month": month, "group_ids": list(project_ids)}
        return await self._list("/resource/usage/month", body)

    async def period(self, start: str, end: str) -> tuple[ProjectUsage, ...]:
        """All projects from one day to another, both whole, such as `20260101`."""
        return await self._list("/resource/usage/period", {"start_date": start, "end_date": end})

    async def project(self, project_id: str, start: str, end: str) -> ProjectUsage | None:
        """One project in a period; None when it held nothing. Raises ProjectNotFound."""
        body = {"group_id": project_id, "start_date": start, "end_date": end}
        call = Call(method="GET", path="/resource/usage/period", json=body, repeatable=True)
        found = await self._channel.ask_for(dict[str, Any], call)
        return convert(ProjectUsage, found) if found else None

    async def own_curves(self) -> tuple[Point, ...]:
        """Of one's own sessions, the oldest point first."""
        return await self._curves("/resource/stats/user/month")

    async def all_curves(self) -> tuple[Point, ...]:
        """Of all sessions."""
        return await self._curves("/resource/stats/admin/month")

    async def check(self) -> None:
        """Compare what is allocated with what should be. Raises Conflict that lists differences;
        nothing is repaired."""
        call = Call(method="POST", path="/resource/recalculate-usage", repeatable=True)
        await self._channel.ask(call)

    async def _list(self, path: str, body: Mapping[str, Any]) -> tuple[ProjectUsage, ...]:
        call = Call(method="GET", path=path, json=body, repeatable=True)
        return await self._channel.ask_for(tuple[ProjectUsage, ...], call)

    async def _curves(self, path: str) -> tuple[Point, ...]:
        call = Call(method="GET", path=path, repeatable=True)
        return await self._channel.ask_for(tuple[Point, ...], call)
