"""An error log, as values."""

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


class Severity(enum.StrEnum):
    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewErrorLog:
    """As the program that met the error tells it."""

    severity: Severity
    source: str
    message: str
    context_lang: str
    context_env: Mapping[str, Any] = field(default_factory=dict)
    request_url: str | None = None
    request_status: int | None = None
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class ErrorLog:
    """`is_read` is as it was before this reading."""

    id: uuid.UUID
    user_id: uuid.UUID
    is_read: bool
    created_at: datetime
    told: NewErrorLog


@dataclass(frozen=True, slots=True)
class Page:
    """`count` is of all pages."""

    logs: tuple[ErrorLog, ...]
    count: int
