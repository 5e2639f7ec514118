"""Whether a daemon is well, as `GET /health` tells it: its loops, and what else it asks about."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from .faults import Fault
from .http import Handler, json_response
from .loops import LoopHealth

Check = Callable[[], Awaitable[None]]
OK: Final = "ok"
HEALTH_PATHS: Final = ("/health", "/health/live", "/health/ready")


@dataclass(frozen=True, slots=True)
class HealthReport:
    healthy: bool
    unhealthy_loops: list[str]
    loops: list[dict[str, Any]]
    checks: dict[str, str] = field(default_factory=dict)

    @property
    def is_ready(self) -> bool:
        return self.healthy and all(outcome == OK for outcome in self.checks.values())


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


def health_handlers(
    loops: LoopHealth, checks: Mapping[str, Check] | None = None
) -> dict[str, Handler]:
    """By HEALTH_PATHS: `/health` and `/health/live` say whether the daemon should be let run, the
    first with what it depends on; `/health/ready` whether it can do its work now. 200 or 503, each
    with the same body."""

    async def tell(_request: web.Request) -> web.Response:
        report = await report_health(loops, checks)
        return json_response(report, 200 if report.healthy else 503)

    async def tell_live(_request: web.Request) -> web.Response:
        report = await report_health(loops)
        return json_response(report, 200 if report.healthy else 503)

    async def tell_ready(_request: web.Request) -> web.Response:
        report = await report_health(loops, checks)
        return json_response(report, 200 if report.is_ready else 503)

    return dict(zip(HEALTH_PATHS, (tell, tell_live, tell_ready), strict=True))


async def _outcome(check: Check) -> str:
    try:
        await check()
    except Fault as fault:
        return str(fault)
    return OK
