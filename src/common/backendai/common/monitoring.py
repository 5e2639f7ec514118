"""What watches a daemon from outside: `/metrics` for Prometheus, `/health/…` for balancers.

It has a listener of its own, since what it tells is for those who run the cluster.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from .health import Check, health_handlers
from .http import Handler, make_app, serve
from .loops import LoopHealth
from .metrics import CONTENT_TYPE, Metrics
from .settings.checks import HostPort
from .settings.sections import MonitoringSettings


@asynccontextmanager
async def monitored(
    settings: MonitoringSettings,
    metrics: Metrics,
    loops: LoopHealth,
    checks: Mapping[str, Check] | None = None,
) -> AsyncIterator[HostPort | None]:
    """Answer as long as the context is open, and measure the event loop. None: nobody listens.

    Raises ServerMisconfigured when the address cannot be listened at.
    """
    if settings.listen_addr is None:
        yield None
        return
    app = make_app()
    app.router.add_get("/metrics", _metrics_handler(metrics))
    for path, handler in health_handlers(loops, checks).items():
        app.router.add_get(path, handler)
    async with serve(app, settings.listen_addr) as address, asyncio.TaskGroup() as group:
        lag = group.create_task(metrics.watch_lag(), name="monitoring.lag")
        try:
            yield address
        finally:
            lag.cancel()


def _metrics_handler(metrics: Metrics) -> Handler:
    async def show_metrics(_request: web.Request) -> web.Response:
        body = await metrics.render()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    return show_metrics
