"""When alerts begin and end, in all cases there are, and what is told of them."""

import hashlib
import hmac
import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest

from backendai.manager.alerts.model import (
    Alert,
    AlertKind,
    Change,
    Changes,
    Hold,
    Kept,
    Key,
    Look,
    Message,
    body_of,
    decide,
    name_webhook,
    sign,
    subject_of,
    text_of,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = Key(AlertKind.IDLE_ACCELERATOR, "s-1")
HOLD = Hold({AlertKind.IDLE_ACCELERATOR: 60.0})


def kept(age: float, *, has_begun: bool) -> Kept:
    seen = NOW - timedelta(seconds=age)
    return Kept(1, KEY, "idle", seen, seen if has_begun else None)


def happened(changes: Changes) -> str:
    words = {
        "kept": changes.new and not changes.begun_at_once,
        "begins at once": changes.begun_at_once,
        "begins": changes.begins,
        "ends": changes.ends,
        "gone": changes.gone,
    }
    return ", ".join(word for word, is_so in words.items() if is_so)


def test_what_is_wrong_begins_after_a_while_and_ends_when_it_is_over() -> None:
    expected = {
        # (was it kept, how: old enough, begun), what is seen now
        ("unknown", "wrong"): "kept",
        ("unknown", "well"): "",
        ("unknown", "unseen"): "",
        ("young", "wrong"): "",
        ("young", "well"): "gone",
        ("young", "unseen"): "",
        ("old", "wrong"): "begins",
        ("old", "well"): "gone",
        ("old", "unseen"): "",
        ("begun", "wrong"): "",
        ("begun", "well"): "ends",
        ("begun", "unseen"): "",
    }
    before = {
        "unknown": [],
        "young": [kept(59, has_begun=False)],
        "old": [kept(60, has_begun=False)],
        "begun": [kept(900, has_begun=True)],
    }
    looks = {"wrong": Look({KEY: "idle"}), "well": Look({}), "unseen": Look({}, [KEY])}
    cases = itertools.product(before, looks)
    found = {case: happened(decide(before[case[0]], looks[case[1]], HOLD, NOW)) for case in cases}
    assert found == expected


@pytest.mark.parametrize("has_begun", [True, False])
def test_what_goes_on_is_told_with_its_numbers_of_now(has_begun: bool) -> None:
    before = kept(10, has_begun=has_begun)
    assert decide([before], Look({KEY: "idle for long"}), HOLD, NOW).reworded == [before]
    assert decide([before], Look({KEY: "idle"}), HOLD, NOW).reworded == []
    assert decide([before], Look({}), HOLD, NOW).reworded == []


def test_what_needs_no_patience_begins_at_once() -> None:
    assert happened(decide([], Look({KEY: "idle"}), Hold(), NOW)) == "begins at once"


@pytest.mark.parametrize("kind", AlertKind)
def test_a_mail_says_what_since_when_and_what_to_do(kind: AlertKind) -> None:
    alert = Alert(7, Key(kind, "x"), "It is so", NOW, NOW + timedelta(hours=1))
    begins, ends = (Message(alert, change, "mail") for change in (Change.BEGIN, Change.END))
    assert subject_of(begins).startswith("[Backend.AI] ")
    assert subject_of(ends).startswith("[Backend.AI] over: ")
    assert "until" not in text_of(begins)
    assert "until  2026-01-01T01:00:00+00:00" in text_of(ends)
    assert text_of(begins).splitlines()[-1].endswith(".")


def test_a_post_is_the_same_each_time_and_signed_with_its_time() -> None:
    message = Message(Alert(7, KEY, "It is so", NOW), Change.BEGIN, "webhook:1", attempts=3)
    body = body_of(message)
    assert body == body_of(Message(message.alert, Change.BEGIN, "webhook:1"))
    told = json.loads(body)
    assert (told["change"], told["id"], told["kind"]) == ("begin", 7, "idle_accelerator")
    moment, digest = sign(b"k" * 32, NOW, body).split(",")
    signed = moment.removeprefix("t=").encode() + b"." + body
    assert digest == f"v1={hmac.new(b'k' * 32, signed, hashlib.sha256).hexdigest()}"


def test_the_name_of_a_webhook_tells_nothing_of_its_address() -> None:
    name = name_webhook("https://hooks.example.com/T0/secret")
    assert "secret" not in name
    assert name != name_webhook("https://hooks.example.com/T0/other")
