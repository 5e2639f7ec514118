"""PURE: which alerts begin and end, from what is seen now and what was kept of before.

What cannot be looked at just now changes nothing: an alert neither begins nor ends by silence.
"""

import enum
import hashlib
import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

SIGNATURE_HEADER: Final = "X-BackendAI-Signature"


class AlertKind(enum.StrEnum):
    """The words are those of the API, of the metric and of what is posted."""

    AGENT_LOST = "agent_lost"
    DISK_NEAR_FULL = "disk_near_full"
    IDLE_ACCELERATOR = "idle_accelerator"
    QUOTA_NEAR = "quota_near"


class Change(enum.StrEnum):
    BEGIN = "begin"
    END = "end"
    TEST = "test"


class Key(NamedTuple):
    """What an alert is about: at most one of a key is open at a time."""

    kind: AlertKind
    subject: str


@dataclass(frozen=True, slots=True)
class Look:
    """What is wrong now, with a sentence on it, and what could not be looked at."""

    wrong: Mapping[Key, str]
    unseen: Collection[Key] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of something wrong since `seen_at`; nobody is told before `began_at`."""

    id: int
    key: Key
    detail: str
    seen_at: datetime
    began_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """`new` is to be kept, what is in both `new` and `begun_at_once` begins with it; `gone` is what
    ended before anybody was told; `reworded` goes on, with another sentence than before."""

    new: Sequence[Key] = ()
    begun_at_once: Collection[Key] = ()
    begins: Sequence[Kept] = ()
    ends: Sequence[Kept] = ()
    gone: Sequence[Kept] = ()
    reworded: Sequence[Kept] = ()


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as people see it."""

    id: int
    key: Key
    detail: str
    began_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One alert's beginning or end, of which `target` has not heard; `attempts` failed so far."""

    alert: Alert
    change: Change
    target: str
    attempts: int = 0

    @property
    def at(self) -> datetime:
        is_end = self.change is Change.END and self.alert.ended_at is not None
        return self.alert.ended_at if is_end and self.alert.ended_at else self.alert.began_at


@dataclass(frozen=True, slots=True)
class Hold:
    """How many seconds something has to be wrong before it is an alert."""

    seconds: Mapping[AlertKind, float] = field(default_factory=dict)

    def is_over(self, kind: AlertKind, seen_at: datetime, now: datetime) -> bool:
        return (now - seen_at).total_seconds() >= self.seconds.get(kind, 0.0)


def decide(kept: Sequence[Kept], look: Look, hold: Hold, now: datetime) -> Changes:
    known = {one.key for one in kept}
    new = [key for key in sorted(look.wrong) if key not in known]
    over = [one for one in kept if one.key not in look.wrong and one.key not in look.unseen]
    return Changes(
        new=new,
        begun_at_once=frozenset(key for key in new if hold.is_over(key.kind, now, now)),
        begins=[
            one
            for one in kept
            if one.began_at is None
            and one.key in look.wrong
            and hold.is_over(one.key.kind, one.seen_at, now)
        ],
        ends=[one for one in over if one.began_at is not None],
        gone=[one for one in over if one.began_at is None],
        reworded=[one for one in kept if look.wrong.get(one.key, one.detail) != one.detail],
    )


def subject_of(message: Message) -> str:
    """The first line of a mail."""
    kind, subject = message.alert.key
    words = kind.value.replace("_", " ")
    if message.change is Change.TEST:
        return "[Backend.AI] test of alerts"
    is_over = "over: " if message.change is Change.END else ""
    return f"[Backend.AI] {is_over}{words}: {subject}"


def text_of(message: Message) -> str:
    """What a mail says."""
    alert = message.alert
    lines = [f"{alert.detail}.", "", f"since  {alert.began_at.isoformat(timespec='seconds')}"]
    if message.change is Change.END and alert.ended_at is not None:
        lines.append(f"until  {alert.ended_at.isoformat(timespec='seconds')}")
    if message.change is not Change.TEST:
        lines += [f"alert  {alert.id} ({alert.key.kind})", "", _ADVICE[alert.key.kind]]
    return "\n".join(lines) + "\n"


def body_of(message: Message) -> bytes:
    """The JSON that is posted; `id` and `change` are the same each time that one change is told."""
    alert = message.alert
    return msgspec.json.encode(
        {
            "type": "alert",
            "change": message.change.value,
            "id": alert.id,
            "kind": alert.key.kind.value,
            "subject": alert.key.subject,
            "detail": alert.detail,
            "began_at": alert.began_at.isoformat(),
            "ended_at": alert.ended_at and alert.ended_at.isoformat(),
            # Some chats show nothing but this.
            "text": f"{subject_of(message)} - {alert.detail}",
        }
    )


def sign(key: bytes, at: datetime, body: bytes) -> str:
    """The value of SIGNATURE_HEADER: when it was sent, and HMAC-SHA-256 over that time, a dot, and
    the body."""
    seconds = str(int(at.timestamp()))
    digest = hmac.new(key, seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def name_webhook(url: str) -> str:
    """What stands for it in the database, in lists and in logs: there may be secrets in it."""
    return f"webhook:{hashlib.sha256(url.encode()).hexdigest()[:12]}"


_ADVICE: Final[Mapping[AlertKind, str]] = {
    AlertKind.AGENT_LOST: (
        "See whether the machine, its network and its agent run. Sessions there go on where only "
        "the link is broken; the runbook has the steps."
    ),
    AlertKind.DISK_NEAR_FULL: (
        "Free some space there before it is full: sessions fail to start, and uploads are refused."
    ),
    AlertKind.IDLE_ACCELERATOR: (
        "Ask the owner whether the session is still needed, or end it; idle checkers of resource "
        "policies do that by themselves."
    ),
    AlertKind.QUOTA_NEAR: (
        "Its owner will soon be unable to write: raise the limit, or let files be removed."
    ),
}
