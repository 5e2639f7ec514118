"""REST of usage. Months and days are those of UTC."""

import asyncio
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

import trafaret as t
from aiohttp import web

from backendai.common.faults import InvalidParams
from backendai.common.http import json_response
from backendai.common.params import checked, read_given_params
from backendai.manager.gate.actor import Access, Action
from backendai.manager.gate.routes import ACTOR, Route

from .model import Span
from .render import encode_project, encode_projects, point_object
from .service import Usage

READ_PROJECTS: Final = Action("usage.read_projects", Access.PROJECT_ADMIN, in_projects=True)
READ_ALL: Final = Action("usage.read", Access.SUPERADMIN)
READ_OWN: Final = Action("usage.read_own")
DAYS_MAX: Final = 100
PROJECTS_MAX: Final = 1000
_MONTH: Final = re.compile(r"(\d{4})(\d{2})", re.ASCII)


def read_month(text: str) -> Span:
    """The month that `202601` means. Raises ValueError."""
    match = _MONTH.fullmatch(text)
    if match is None or not 1 <= int(match[2]) <= 12 or not 1 <= int(match[1]) <= 9998:
        raise ValueError("write a month as 202601")
    year, month = int(match[1]), int(match[2])
    since = datetime(year, month, 1, tzinfo=UTC)
    return Span(since, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC))


def read_day(text: str) -> datetime:
    """Midnight, with which the day `20260131` begins. Raises ValueError."""
    try:
        if not (len(text) == 8 and text.isascii() and text.isdigit() and text < "9999"):
            raise ValueError
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError("write a day as 20260131") from None


def read_period(start: datetime, end: datetime) -> Span:
    """From the first day's beginning to the last one's end. Raises InvalidParams."""
    if not start <= end:
        raise InvalidParams(facts={"end_date": "comes before start_date"})
    if end - start > timedelta(days=DAYS_MAX):
        raise InvalidParams(facts={"end_date": f"more than {DAYS_MAX} days after start_date"})
    return Span(start, end + timedelta(days=1))


_ID: Final = t.String() & checked(uuid.UUID)
_IDS: Final = t.List(_ID, max_length=PROJECTS_MAX) | (
    t.String(allow_blank=True)
    & (lambda text: [one for one in text.split(",") if one])
    & t.List(_ID, max_length=PROJECTS_MAX)
)
_MONTHLY: Final = t.Dict(
    t.Key("month", trafaret=t.String() & checked(read_month)),
    t.Key("group_ids", optional=True, trafaret=_IDS),
)
_PERIOD: Final = t.Dict(
    t.Key("start_date", trafaret=t.String() & checked(read_day)),
    t.Key("end_date", trafaret=t.String() & checked(read_day)),
    t.Key("group_id", optional=True, trafaret=_ID),
    t.Key("project_id", optional=True, to_name="group_id", trafaret=_ID),
)


def routes(usage: Usage) -> list[Route]:
    handlers = _Handlers(usage)
    return [
        Route("GET", "/resource/usage/month", handlers.month, READ_PROJECTS, _MONTHLY),
        Route("GET", "/resource/usage/period", handlers.period, READ_PROJECTS, _PERIOD),
        Route("GET", "/resource/stats/user/month", handlers.own_curves, READ_OWN),
        Route("GET", "/resource/stats/admin/month", handlers.all_curves, READ_ALL),
    ]


class _Handlers:
    def __init__(self, usage: Usage) -> None:
        self._usage = usage

    async def month(self, request: web.Request) -> web.StreamResponse:
        params = await read_given_params(request, _MONTHLY)
        ids = params.get("group_ids") or None
        found = await self._usage.list_projects(request[ACTOR], params["month"], ids)
        return await _send(request, await asyncio.to_thread(encode_projects, found))

    async def period(self, request: web.Request) -> web.StreamResponse:
        """A list of projects; of one that is named the object alone, empty without any use."""
        params = await read_given_params(request, _PERIOD)
        span = read_period(params["start_date"], params["end_date"])
        if "group_id" not in params:
            every = await self._usage.list_projects(request[ACTOR], span, None)
            return await _send(request, await asyncio.to_thread(encode_projects, every))
        found = await self._usage.list_project(request[ACTOR], span, params["group_id"])
        return await _send(request, await asyncio.to_thread(encode_project, found))

    async def own_curves(self, request: web.Request) -> web.Response:
        points = await self._usage.draw_own(request[ACTOR])
        return json_response([point_object(point) for point in points])

    async def all_curves(self, _request: web.Request) -> web.Response:
        points = await self._usage.draw_all()
        return json_response([point_object(point) for point in points])


async def _send(request: web.Request, pieces: list[bytes]) -> web.StreamResponse:
    """JSON of known length, and no more of it at once than the client takes."""
    response = web.StreamResponse()
    response.content_type = "application/json"
    response.content_length = sum(map(len, pieces))
    await response.prepare(request)
    for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response
