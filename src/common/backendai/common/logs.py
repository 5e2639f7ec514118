"""Structured logs on the standard library: an event first, then fields, never sentences.

One line is one record, as JSON under a service manager and readable in a terminal. Context
(request, session, agent) comes from a context variable. Secrets are removed and control characters
escaped here.
"""

import logging
import logging.handlers
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import msgspec

HIDDEN: Final = "***"
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FORMATS: Final = ("auto", "json", "console")
_SECRET_NAME: Final = re.compile(
    r"secret|passw|passphrase|token|authorization|cookie|credential|private_key|_sk$|^sk$",
    re.IGNORECASE,
)
_SECRET_TEXTS: Final = (
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+(@)"), rf"\g<1>{HIDDEN}\g<2>"),
    (re.compile(r"(credential=[^:\s,]+:)[0-9A-Fa-f]+"), rf"\g<1>{HIDDEN}"),
    (
        re.compile(r"((?:password|secret[_-]?key|token)\s*[=:]\s*)[^\s,;&]+", re.IGNORECASE),
        rf"\g<1>{HIDDEN}",
    ),
)
_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))} | {
    0x0A: "\\n",
    0x0D: "\\r",
    0x09: "\\t",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}

# JSON itself escapes only those below 0x20.
_JSON_CONTROLS: Final = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}

_context: ContextVar[Mapping[str, object]] = ContextVar("log_context", default={})  # noqa: B039 - never changed in place
_known_secrets: set[str] = set()


class LoggingOptions(Protocol):
    """What `configure` reads of a daemon's settings."""

    @property
    def level(self) -> str: ...

    @property
    def format(self) -> str: ...

    @property
    def file(self) -> Path | None: ...

    @property
    def file_bytes_max(self) -> int: ...

    @property
    def file_backups(self) -> int: ...

    @property
    def pkg_ns(self) -> Mapping[str, str]: ...


class Log:
    """A logger of events: `log.info("session.placed", session=..., agent=...)`."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, **fields: object) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._write(logging.ERROR, event, fields)

    def crash(self, event: str, cause: BaseException, **fields: object) -> None:
        """An error with the whole chain of `cause`, for the edge that ends it."""
        self._write(logging.ERROR, event, fields, cause)

    def _write(
        self,
        level: int,
        event: str,
        fields: Mapping[str, object],
        cause: BaseException | None = None,
    ) -> None:
        if self._logger.isEnabledFor(level):
            extra = {"fields": {**_context.get(), **fields}}
            self._logger.log(level, event, extra=extra, exc_info=cause)


def get_logger(name: str) -> Log:
    return Log(logging.getLogger(name))


@contextmanager
def log_context(**fields: object) -> Iterator[None]:
    """Add `fields` to every record inside."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def bind_context(**fields: object) -> None:
    """Add `fields` to every later record of the current task."""
    _context.set({**_context.get(), **fields})


def context_field(name: str) -> object | None:
    """What the context says of `name`."""
    return _context.get().get(name)


def hide_secret(value: str) -> None:
    """Keep `value` out of every record from now on. Values under 6 characters are not worth it."""
    if len(value) >= 6:
        _known_secrets.add(value)


def configure(options: LoggingOptions) -> None:
    """Send all records of this process where the settings say. May be called again."""
    formatter = _formatter(options.format)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if options.file is not None:
        handlers.append(_file_handler(options.file, options.file_bytes_max, options.file_backups))
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel(options.level)
    for package, level in options.pkg_ns.items():
        logging.getLogger(package).setLevel(level)


def _file_handler(path: Path, bytes_max: int, backups: int) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    return logging.handlers.RotatingFileHandler(
        path, maxBytes=bytes_max, backupCount=backups, encoding="utf-8"
    )


def _formatter(word: str) -> logging.Formatter:
    is_json = word == "json" or (word == "auto" and not sys.stderr.isatty())
    return JsonFormatter() if is_json else ConsoleFormatter()


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, event, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time_of(record),
            "level": record.levelname,
            "logger": record.name,
            "event": _clean(record.getMessage()),
        }
        for name, value in _fields_of(record).items():
            line.setdefault(name, value)
        if record.exc_info:
            line["traceback"] = _traceback_of(record)
        return msgspec.json.encode(line).decode("utf-8").translate(_JSON_CONTROLS)


class ConsoleFormatter(logging.Formatter):
    """A line for people: time, level, event, `name=value` pairs; a traceback follows indented."""

    def format(self, record: logging.LogRecord) -> str:
        pairs = "".join(f" {name}={_shown(value)}" for name, value in _fields_of(record).items())
        event = _clean(record.getMessage()).translate(_CONTROLS)
        line = f"{_time_of(record)} {record.levelname:<7} {event}{pairs}"
        if not record.exc_info:
            return line
        return "\n  ".join(
            [line, *(part.translate(_CONTROLS) for part in _traceback_of(record).splitlines())]
        )


def _time_of(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _fields_of(record: logging.LogRecord) -> dict[str, object]:
    fields: Mapping[str, object] = getattr(record, "fields", {})
    return {
        name: HIDDEN if _SECRET_NAME.search(name) else _plain(value)
        for name, value in fields.items()
    }


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {
            str(key): HIDDEN if _SECRET_NAME.search(str(key)) else _plain(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    return _clean(str(value))


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8")
    text = text.translate(_CONTROLS)
    return f'"{text}"' if " " in text or not text else text


def _clean(text: str) -> str:
    for secret in _known_secrets:
        text = text.replace(secret, HIDDEN)
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text)
    # Lone surrogates have no encoding; they must not cost the record.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _traceback_of(record: logging.LogRecord) -> str:
    cause = record.exc_info[1] if record.exc_info else None
    return _clean("".join(traceback.format_exception(cause))) if cause is not None else ""
