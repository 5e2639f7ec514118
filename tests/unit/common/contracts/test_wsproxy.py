"""What a manager tells an app proxy is believed for a minute, and from nobody else."""

from datetime import UTC, datetime, timedelta

import pytest

from backendai.common.contracts.wsproxy import (
    DATE_HEADER,
    MAC_HEADER,
    check_conf,
    derive_key,
    sign_conf,
)
from backendai.common.faults import AuthFailed

SECRET = bytes(range(32))
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BODY = b'{"kernel_port": 1}'


@pytest.mark.parametrize("late", [-60, 0, 60])
def test_the_words_of_a_manager_are_believed(late: int) -> None:
    headers = sign_conf(SECRET, BODY, NOW)
    check_conf([SECRET], BODY, headers, NOW + timedelta(seconds=late))


@pytest.mark.parametrize("late", [-61, 61])
def test_old_words_are_not(late: int) -> None:
    with pytest.raises(AuthFailed, match="old"):
        check_conf([SECRET], BODY, sign_conf(SECRET, BODY, NOW), NOW + timedelta(seconds=late))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {MAC_HEADER: "0" * 64},
        {MAC_HEADER: "é" * 64},
        {DATE_HEADER: (NOW + timedelta(seconds=1)).isoformat()},
        {DATE_HEADER: "x" * 100},
    ],
)
def test_words_of_others_are_not(change: dict[str, str]) -> None:
    headers = {**sign_conf(SECRET, BODY, NOW), **change} if change else {}
    with pytest.raises(AuthFailed, match="not the words"):
        check_conf([SECRET], BODY, headers, NOW)
    for secret, body in ((SECRET, BODY + b" "), (bytes(32), BODY)):
        with pytest.raises(AuthFailed):
            check_conf([secret], body, sign_conf(SECRET, BODY, NOW), NOW)


def test_each_purpose_has_a_key_of_its_own() -> None:
    assert derive_key(SECRET, b"x") not in (
        SECRET,
        derive_key(bytes(32), b"x"),
        derive_key(SECRET, b"y"),
    )
