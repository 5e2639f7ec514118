"""Traces: the steps that one request takes through all daemons, and how long each of them takes.

Off unless `[tracing] endpoint` names a collector: then a span is nothing, and nothing of
OpenTelemetry is imported. Where a trace begins, and what a span may tell, is decided by those who
open it; `otlp` carries it out. A daemon without the packages for it works on untraced.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from contextvars import ContextVar
from typing import Final

from .faults import Fault
from .logs import get_logger, log_context
from .settings.sections import TracingSettings
from .spans import NO_SPAN, TRACEPARENT_HEADER, Facts, Span, SpanKind, Tracer

log = get_logger(__name__)

# At the end of a daemon, which has more to do within the time that it gets.
FLUSH_SECONDS: Final = 1.0

_NOTHING: Final[AbstractContextManager[Span]] = nullcontext(NO_SPAN)

# Of the daemon that the current task belongs to.
_tracer: ContextVar[Tracer | None] = ContextVar("tracer", default=None)


@asynccontextmanager
async def traced(settings: TracingSettings, service: str, version: str) -> AsyncIterator[None]:
    """Collect the spans of this task and of all that it starts from now on, where that is wanted
    and can be done."""
    tracer = _find_tracer(settings, service, version)
    _tracer.set(tracer)
    try:
        yield
    finally:
        _tracer.set(None)
        if tracer is not None:
            await _close(tracer)


def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    facts: Facts | None = None,
    *,
    parent: str = "",
    begins_trace: bool = True,
) -> AbstractContextManager[Span]:
    """A step, for as long as the context is open; what it raises goes through and is noted.

    `parent` is a traceparent of somebody else's; without one it belongs to the span around it.
    `begins_trace` False is for what is asked again and again: it is told only within another.
    """
    tracer = _tracer.get()
    if tracer is None:
        return _NOTHING
    return _within(tracer.open(name, kind, facts or {}, parent, begins_trace=begins_trace))


def is_traced() -> bool:
    """Whether spans are collected here."""
    return _tracer.get() is not None


def no_span() -> AbstractContextManager[Span]:
    """For what is no step."""
    return _NOTHING


def traceparent() -> str:
    """The span that is under way, for another daemon; empty without one."""
    tracer = _tracer.get()
    return tracer.traceparent() if tracer is not None else ""


def trace_headers() -> dict[str, str]:
    """The same as headers of an HTTP request."""
    told = traceparent()
    return {TRACEPARENT_HEADER: told} if told else {}


@contextmanager
def _within(opened: AbstractContextManager[Span]) -> Iterator[Span]:
    """Log records inside name the trace, so that one is found by the other."""
    with opened as here, _named(here):
        try:
            yield here
        except BaseException as error:
            here.fail(error.code if isinstance(error, Fault) else type(error).__name__)
            raise


def _named(here: Span) -> AbstractContextManager[None]:
    return log_context(trace_id=here.trace_id) if here.trace_id else nullcontext()


def _find_tracer(settings: TracingSettings, service: str, version: str) -> Tracer | None:
    """None where no collector is named, or the packages for it are not there: a daemon that was
    upgraded without them has to serve all the same."""
    if settings.endpoint is None:
        return None
    try:
        from .otlp import OtlpTracer
    except ImportError as error:
        fix = f"{sys.prefix}/bin/pip install 'backendai-common[tracing]'"
        log.warning("tracing.impossible", endpoint=settings.endpoint, why=str(error), fix=fix)
        return None
    return OtlpTracer(settings.endpoint, settings.sample, service, version)


async def _close(tracer: Tracer) -> None:
    """Not in a pool, whose threads would keep the process while a collector hangs."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def close() -> None:
        tracer.close()
        # A loop that did not wait any longer may be closed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=close, name="tracing.close", daemon=True).start()
    try:
        async with asyncio.timeout(FLUSH_SECONDS):
            await done.wait()
    except TimeoutError:
        log.warning("tracing.left_unsent", waited_seconds=FLUSH_SECONDS)
