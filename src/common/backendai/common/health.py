"""Whether a daemon is well, as `GET /health` tells it: its loops, and what else it asks about."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from .faults import Fault
from .http import json_response
from .loops import LoopHealth

Check = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class HealthReport:
    healthy: bool
    unhealthy_loops: list[str]
    loops: list[dict[str, Any]]
    checks: dict[str, str] = field(default_factory=dict)


async def report_health(
    loops: LoopHealth, checks: Mapping[str, Check] | None = None
) -> HealthReport:
    """Loops that stand still make a daemon unhealthy; a check that raises a Fault is only shown.

    A store that is away must not have the daemon restarted: it works on, degraded.
    """
    standing = loops.unhealthy()
    states = [
        {"name": state.name, "failures": state.failures, "fault": state.fault_code}
        for state in loops.states()
    ]
    found = {name: await _outcome(check) for name, check in (checks or {}).items()}
    return HealthReport(not standing, standing, states, found)


def health_handler(
    loops: LoopHealth, checks: Mapping[str, Check] | None = None
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler: 200 when healthy, else 503; the same body both times."""

    async def handle(_request: web.Request) -> web.Response:
        report = await report_health(loops, checks)
        return json_response(report, 200 if report.healthy else 503)

    return handle


async def _outcome(check: Check) -> str:
    try:
        await check()
    except Fault as fault:
        return str(fault)
    return "ok"
