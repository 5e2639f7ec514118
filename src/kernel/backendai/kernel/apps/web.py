"""What the apps with pages share: where they listen, and what a browser may do with them."""

import socket
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from backendai.kernel.apps.main import Close

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
SHUTDOWN_SECONDS: Final = 1.0


async def start_site(app: web.Application, listener: socket.socket) -> Close:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    return runner.cleanup


def is_same_origin(request: web.Request) -> bool:
    """Whether a browser that sent this was on a page of ours: other sites may know our address.

    Programs that are no browsers send no Origin, and are let in.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
    hosts = {request.headers.get("Host", ""), request.headers.get("X-Forwarded-Host", "")}
    return urlsplit(origin).netloc in hosts - {""}
