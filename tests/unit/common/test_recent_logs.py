"""The latest records in memory: how many, how severe, and without secrets."""

import logging
from collections.abc import Iterator

import pytest

from backendai.common.logs import get_logger
from backendai.common.recent_logs import RecentLogs, keep_recent

log = get_logger(__name__)


@pytest.fixture
def recent() -> Iterator[RecentLogs]:
    root = logging.getLogger()
    level = root.level
    root.setLevel("DEBUG")
    with keep_recent() as kept:
        yield kept
    root.setLevel(level)


def events(recent: RecentLogs, level: str = "DEBUG", count_max: int = 100) -> list[str]:
    return [record["event"] for record in recent.list(level, count_max)]


def test_the_latest_of_a_level_are_listed_in_order(recent: RecentLogs) -> None:
    log.debug("a")
    log.warning("b", session="s")
    log.error("c")
    assert events(recent) == ["a", "b", "c"]
    assert events(recent, "WARNING") == ["b", "c"]
    assert events(recent, "DEBUG", 1) == ["c"]
    assert recent.list("WARNING", 2)[0]["session"] == "s"


def test_secrets_are_not_kept(recent: RecentLogs) -> None:
    log.info("login", password="swordfish", url="redis://:swordfish@host")
    (record,) = recent.list("INFO", 1)
    assert "swordfish" not in str(record)


def test_the_oldest_make_room() -> None:
    few, small = RecentLogs(records_max=2), RecentLogs(chars_max=300)
    for number in range(9):
        record = logging.makeLogRecord({"msg": f"e{number}", "levelno": logging.INFO})
        few.handle(record)
        small.handle(record)
    assert events(few) == ["e7", "e8"]
    assert 0 < len(events(small)) < 9
    small.handle(logging.makeLogRecord({"msg": "x" * 300, "levelno": logging.INFO}))
    assert events(small) == [], "it is too long for all of it"
    small.handle(logging.makeLogRecord({"msg": "y", "levelno": logging.INFO}))
    assert events(small) == ["y"]


def test_nothing_is_kept_afterwards() -> None:
    with keep_recent() as kept:
        pass
    assert kept not in logging.getLogger().handlers
