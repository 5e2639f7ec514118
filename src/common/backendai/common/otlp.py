"""Spans on their way to a collector by OTLP over HTTP: the only module that knows OpenTelemetry.

It is imported where a collector is named, and needs the extra `tracing`. A thread sends batches;
what the collector does not take is dropped, and nobody waits for it.
"""

import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .logs import get_logger
from .spans import NO_SPAN, TRACEPARENT_HEADER, Facts, Span, SpanKind

log = get_logger(__name__)

TRACES_PATH: Final = "/v1/traces"
BATCH_SECONDS: Final = 1.0
BATCH_SPANS: Final = 512
# What waits while the collector is slow; beyond it, spans are dropped.
WAITING_SPANS_MAX: Final = 4096
SEND_SECONDS: Final = 5.0
_KINDS: Final = {
    SpanKind.CLIENT: trace.SpanKind.CLIENT,
    SpanKind.SERVER: trace.SpanKind.SERVER,
    SpanKind.INTERNAL: trace.SpanKind.INTERNAL,
}
_WHY_CHARS_MAX: Final = 300
_context_text: Final = TraceContextTextMapPropagator()


class OtlpTracer:
    """A Tracer. Which traces are collected follows from their id alone, so that daemons with the
    same `sample` agree on it, and nobody outside has a say."""

    def __init__(
        self,
        endpoint: str,
        sample: float,
        service: str,
        version: str,
        *,
        batch_seconds: float = BATCH_SECONDS,
    ) -> None:
        exporter = OTLPSpanExporter(endpoint + TRACES_PATH, timeout=SEND_SECONDS)
        self._provider = TracerProvider(
            sampler=TraceIdRatioBased(sample),
            resource=Resource(
                {
                    "service.name": service,
                    "service.version": version,
                    "host.name": socket.gethostname(),
                }
            ),
            # Ended by its daemon, in bounded time.
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                _Sending(exporter, endpoint),
                max_queue_size=WAITING_SPANS_MAX,
                schedule_delay_millis=batch_seconds * 1000,
                max_export_batch_size=BATCH_SPANS,
            )
        )
        self._tracer = self._provider.get_tracer("backendai", version)

    @contextmanager
    def open(
        self, name: str, kind: SpanKind, facts: Facts, parent: str, *, begins_trace: bool
    ) -> Iterator[Span]:
        context = _context_text.extract({TRACEPARENT_HEADER: parent}) if parent else None
        is_within = trace.get_current_span(context).get_span_context().is_valid
        if not is_within and not begins_trace:
            yield NO_SPAN
            return
        with self._tracer.start_as_current_span(
            name,
            context,
            _KINDS[kind],
            facts,
            # Its words may hold anything.
            record_exception=False,
            set_status_on_exception=False,
        ) as made:
            yield _OtlpSpan(made)

    def traceparent(self) -> str:
        carrier: dict[str, str] = {}
        _context_text.inject(carrier)
        return carrier.get(TRACEPARENT_HEADER, "")

    def close(self) -> None:
        self._provider.shutdown()


class _OtlpSpan:
    def __init__(self, made: trace.Span) -> None:
        self._made = made
        told = trace.format_trace_id(made.get_span_context().trace_id)
        self.trace_id: Final = told if made.is_recording() else ""

    def note(self, facts: Facts) -> None:
        self._made.set_attributes(facts)

    def fail(self, what: str) -> None:
        self._made.set_attribute("error.type", what)
        self._made.set_status(trace.StatusCode.ERROR)


class _FirstWords(logging.Handler):
    """Keeps what the libraries say first of a batch; they would log each that is not taken."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.said = self.said or record.getMessage()[:_WHY_CHARS_MAX]


class _Sending(SpanExporter):
    """Logs once that the collector does not take spans, and once that it does again."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._is_failing = False
        self._library = _FirstWords()
        logger = logging.getLogger("opentelemetry")
        logger.handlers, logger.propagate = [self._library], False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._library.said = ""
        outcome = self._exporter.export(spans)
        is_failing = outcome is not SpanExportResult.SUCCESS
        if is_failing and not self._is_failing:
            why = self._library.said
            log.warning("tracing.not_taken", endpoint=self._endpoint, why=why, spans=len(spans))
        elif self._is_failing and not is_failing:
            log.info("tracing.taken_again", endpoint=self._endpoint)
        self._is_failing = is_failing
        return outcome

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)
