"""REST of alerts, for superadmins."""

from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.http import json_response
from backendai.common.params import read_params
from backendai.manager.gate.routes import Route

from .model import Alert
from .service import SEE, TEST, Alerts

LIMIT_MAX: Final = 1000
_LIST: Final = t.Dict(
    t.Key("with_ended", optional=True, default=False, trafaret=t.ToBool()),
    t.Key("limit", optional=True, default=100, trafaret=t.ToInt(gte=1, lte=LIMIT_MAX)),
)


def routes(alerts: Alerts) -> list[Route]:
    async def list_alerts(request: web.Request) -> web.Response:
        params = await read_params(request, _LIST)
        found = await alerts.list(with_ended=params["with_ended"], limit=params["limit"])
        return json_response({"items": [_object(alert) for alert in found]})

    async def test(_request: web.Request) -> web.Response:
        outcomes = await alerts.test()
        rows = [{"target": name, "problem": why} for name, why in outcomes.items()]
        return json_response({"targets": rows})

    return [
        Route("GET", "/alerts", list_alerts, SEE, _LIST),
        Route("POST", "/alerts/test", test, TEST),
    ]


def _object(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "kind": alert.key.kind.value,
        "subject": alert.key.subject,
        "detail": alert.detail,
        "began_at": alert.began_at.isoformat(),
        "ended_at": alert.ended_at and alert.ended_at.isoformat(),
    }
