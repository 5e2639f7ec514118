"""Log records: fields stay fields, secrets stay out, and no line can be forged."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backendai.common.logs import (
    ConsoleFormatter,
    JsonFormatter,
    bind_context,
    configure,
    context_field,
    get_logger,
    hide_secret,
    log_context,
)

log = get_logger("test.logs")


@dataclass(frozen=True)
class Options:
    level: str = "INFO"
    format: str = "json"
    file: Path | None = None
    file_bytes_max: int = 10_000
    file_backups: int = 1
    pkg_ns: Mapping[str, str] = field(default_factory=dict)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    path = tmp_path / "logs" / "daemon.log"
    configure(Options(file=path))
    yield path
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_record_is_one_json_line_with_fields_and_context(file: Path) -> None:
    with log_context(request_id="r-1"):
        bind_context(session="s-1")
        log.info("session.placed", agent="i-1", count=3, slots={"cpu": 1})
        assert context_field("session") == "s-1"
    log.info("later")
    first, second = lines_of(file)
    assert first["event"] == "session.placed"
    assert (first["request_id"], first["session"], first["agent"]) == ("r-1", "s-1", "i-1")
    assert (first["count"], first["slots"]) == (3, {"cpu": 1})
    assert first["level"] == "INFO"
    assert "request_id" not in second


def test_fields_cannot_replace_time_level_or_event(file: Path) -> None:
    log.info("real", event_="x", **{"time": "never", "level": "NONE"})
    assert lines_of(file)[0]["level"] == "INFO"


@pytest.mark.parametrize(
    "name", ["password", "secret_key", "auth_token", "Authorization", "cookie"]
)
def test_fields_named_like_secrets_are_hidden(file: Path, name: str) -> None:
    log.info("x", **{name: "canary-1"}, nested={name: "canary-2"})
    text = file.read_text()
    assert "canary" not in text
    assert "***" in text


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:canary@host/db",
        "redis://:canary@host",
        "BackendAI signMethod=HMAC-SHA256, credential=AKIA:ca9a59",
        "password=canary&x=1",
        "secret_key: canary",
    ],
)
def test_secrets_within_texts_are_hidden(file: Path, text: str) -> None:
    log.info("x", url=text)
    assert "canary" not in file.read_text()
    assert "ca9a59" not in file.read_text()


def test_known_secrets_are_hidden_wherever_they_are(file: Path) -> None:
    hide_secret("canary-known-secret")
    try:
        raise RuntimeError("connect with canary-known-secret failed")
    except RuntimeError as error:
        log.crash("store.failed", error, value=["a canary-known-secret"])
    assert "canary" not in file.read_text()
    assert "RuntimeError" in file.read_text()


@pytest.mark.parametrize("formatter", [JsonFormatter(), ConsoleFormatter()])
@pytest.mark.parametrize(
    "text", ["a\nERROR forged", "a\rb", "\x1b[31mred", "a\u2028b", "\x9b31m", "\ud800"]
)
def test_controls_cannot_forge_lines(formatter: logging.Formatter, text: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, text, None, None)
    record.fields = {"name": text}
    line = formatter.format(record)
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert "\x9b" not in line


def test_the_console_shows_pairs_and_an_indented_traceback() -> None:
    try:
        raise ValueError("why")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, "f", 1, "loop.died", None, (ValueError, error, None)
        )
    record.fields = {"loop": "reap", "words": "two words"}
    first, *rest = ConsoleFormatter().format(record).splitlines()
    assert first.endswith('ERROR   loop.died loop=reap words="two words"')
    assert all(line.startswith("  ") for line in rest)


def test_levels_of_packages_are_set(file: Path) -> None:
    configure(Options(file=file, level="WARNING", pkg_ns={"test.logs": "DEBUG"}))
    log.debug("seen")
    get_logger("other").info("not seen")
    assert [line["event"] for line in lines_of(file)] == ["seen"]
    logging.getLogger("test.logs").setLevel(logging.NOTSET)


def test_records_of_other_libraries_pass_as_events(file: Path) -> None:
    logging.getLogger("library").warning("it took %d s", 3)
    assert lines_of(file)[0]["event"] == "it took 3 s"
