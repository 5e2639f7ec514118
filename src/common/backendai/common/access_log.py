"""The access log: one JSON line per request, gathered in memory and written in batches; and the
counts of requests.

A loop calls `flush` each half second; a full batch is written at once. A crash loses one batch at
most.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec
from aiohttp import web

from .logs import HIDDEN
from .metrics import RequestMeter

BATCH_LINES: Final = 500
# Asked again and again by probes and by clients that open; worth a line only when they fail.
QUIET_PATHS: Final = frozenset({"/", "/health", "/health/live", "/health/ready", "/metrics"})
_encoder: Final = msgspec.json.Encoder()


def _write_to_stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


class AccessLog:
    """`write` gets whole lines, many at a time; `meter` each request, also the quiet ones."""

    def __init__(
        self,
        meter: RequestMeter | None = None,
        write: Callable[[str], None] = _write_to_stderr,
    ) -> None:
        self._meter = meter
        self._write = write
        self._lines: list[bytes] = []

    def note(
        self,
        request: web.Request,
        status: int,
        seconds: float,
        request_id: str,
        trace_id: str = "",
    ) -> None:
        """Remember one answered request, without what its address holds of tokens."""
        if self._meter is not None:
            self._meter.note(request, status, seconds)
        if request.path in QUIET_PATHS and status < 400:
            return
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": "http.answered",
            "method": request.method,
            "path": _path_of(request),
            "status": status,
            "ms": round(seconds * 1000, 2),
            "peer": request.remote,
            "request_id": request_id,
        }
        if trace_id:
            line["trace_id"] = trace_id
        self._lines.append(_encoder.encode(line))
        if len(self._lines) >= BATCH_LINES:
            self._flush_now()

    async def flush(self) -> None:
        self._flush_now()

    def _flush_now(self) -> None:
        if self._lines:
            lines, self._lines = self._lines, []
            self._write(b"\n".join(lines).decode("utf-8") + "\n")


def _path_of(request: web.Request) -> str:
    """Without the query, and without a part of the path that is a `{token}`."""
    token = request.match_info.get("token")
    return request.path.replace(token, HIDDEN) if token else request.path
