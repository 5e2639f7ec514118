"""The words of traces: what a span may tell, and what collects it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import Enum
from typing import Final, Protocol, TypeAlias

TRACEPARENT_HEADER: Final = "traceparent"
# Never of a query, a body, a header, or anything else that somebody may have put a secret into.
Facts: TypeAlias = Mapping[str, str | int | float | bool]


class SpanKind(Enum):
    """Who a span belongs to: who asks another daemon, who answers, or neither."""

    CLIENT = "client"
    SERVER = "server"
    INTERNAL = "internal"


class Span(Protocol):
    """A step that is under way."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits; empty where nothing is collected."""
        ...

    def note(self, facts: Facts) -> None: ...

    def fail(self, what: str) -> None:
        """It failed, with the code of a fault or another word of ours."""
        ...


class Tracer(Protocol):
    """What collects the spans of one daemon."""

    def open(
        self, name: str, kind: SpanKind, facts: Facts, parent: str, *, begins_trace: bool
    ) -> AbstractContextManager[Span]: ...

    def traceparent(self) -> str:
        """The span that is under way, as W3C's Trace Context writes it; empty without one."""
        ...

    def close(self) -> None:
        """Send what is left. Blocks, for as long as the collector lets it."""
        ...


class _NoSpan:
    trace_id = ""

    def note(self, facts: Facts) -> None:
        pass

    def fail(self, what: str) -> None:
        pass


NO_SPAN: Final[Span] = _NoSpan()
