"""What a token to join by is good for."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime

from backendai.common.contracts.joining import TOKEN_CHARS_MAX
from backendai.common.ids import AgentId
from backendai.manager.agents.join_tokens import (
    JoinTokenRow,
    digest_of,
    make_token,
    refusal_of,
)

KEY, OTHER_KEY = "k" * 40, "o" * 40
FRESH = JoinTokenRow(
    id=uuid.UUID(int=1),
    resource_group="gpu",
    expires_at=datetime(2026, 1, 5, 10, tzinfo=UTC),
    is_expired=False,
    used_by=None,
    public_key=None,
)
USED = replace(FRESH, used_by="i-one", public_key=KEY)
NODE = AgentId("i-one")


def test_a_fresh_one_is_for_whoever_comes_first() -> None:
    assert refusal_of(FRESH, NODE, KEY) == ""


def test_one_that_nobody_knows_is_refused() -> None:
    assert "No such token" in refusal_of(None, NODE, KEY)


def test_an_expired_one_is_refused_whether_used_or_not() -> None:
    for row in (FRESH, USED):
        told = refusal_of(replace(row, is_expired=True), NODE, KEY)
        assert "expired at 2026-01-05T10:00" in told


def test_who_used_it_may_come_again_with_the_same_key_and_name() -> None:
    assert refusal_of(USED, NODE, KEY) == ""


def test_a_used_one_is_refused_to_another_key_or_name() -> None:
    assert "was used by i-one" in refusal_of(USED, NODE, OTHER_KEY)
    assert "was used by i-one" in refusal_of(USED, AgentId("i-two"), KEY)


def test_tokens_differ_and_are_kept_as_digests() -> None:
    tokens = {make_token() for _ in range(100)}
    assert len(tokens) == 100
    for token in tokens:
        assert 40 < len(token) <= TOKEN_CHARS_MAX
        assert token.encode() not in digest_of(token)
    assert len({digest_of(token) for token in tokens}) == 100
