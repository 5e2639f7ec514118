"""The secret of the relays in its file, and how it is replaced while everything runs.

A line of the file is a key, and when it begins to be signed with. What is written there is accepted
at once, by all that have read it: so a new key is known everywhere before the first use of it, and
the one before is good for what was signed with it. Daemons look at the file again by themselves.
"""

import base64
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from .clock import Clock
from .faults import Conflict, ServerMisconfigured
from .logs import get_logger
from .secretfile import check_private, decode_key

log = get_logger(__name__)

LOOK_SECONDS: Final = 1.0
_ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RelaySecret:
    """Signed with from `since` on."""

    key: bytes = field(repr=False)
    since: datetime = _ALWAYS

    def __str__(self) -> str:
        text = base64.b64encode(self.key).decode("ascii")
        return text if self.since == _ALWAYS else f"{text} {self.since.isoformat()}"


class Secrets(Protocol):
    """What signs and checks by the secret of the relays."""

    def signing(self) -> bytes:
        """The key that new words are signed with."""
        ...

    def accepted(self) -> tuple[bytes, ...]:
        """All that words may be signed with, that of `signing` among them."""
        ...


@dataclass(frozen=True, slots=True)
class OneSecret:
    """Secrets that are not replaced."""

    key: bytes = field(repr=False)

    def signing(self) -> bytes:
        return self.key

    def accepted(self) -> tuple[bytes, ...]:
        return (self.key,)


class FileSecrets:
    """Secrets of a file, which is looked at again each second that they are asked for."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Raises ServerMisconfigured."""
        self._path = path
        self._clock = clock
        # Before it is read: what is written meanwhile is read again.
        self._seen = _stamp(path)
        self._secrets = read_secrets(path)
        self._looked_at = clock.monotonic()

    def signing(self) -> bytes:
        self._look()
        return signing_of(self._secrets, self._clock.now()).key

    def accepted(self) -> tuple[bytes, ...]:
        self._look()
        return tuple(secret.key for secret in self._secrets)

    def _look(self) -> None:
        now = self._clock.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        stamp = _stamp(self._path)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._secrets = read_secrets(self._path)
        except ServerMisconfigured as fault:
            # What was read before goes on until somebody mends it.
            log.error("relay.secret_unreadable", why=fault.detail)
        else:
            log.info("relay.secret_read", keys=len(self._secrets))


def read_secrets(path: Path) -> tuple[RelaySecret, ...]:
    """Oldest first. Raises ServerMisconfigured naming what is wrong."""
    lines = [line.split() for line in check_private(path).splitlines() if line.strip()]
    if not lines:
        raise ServerMisconfigured(f"secret-key-file {path} is empty")
    found = [RelaySecret(decode_key(path, line[0]), _since_of(path, line[1:])) for line in lines]
    return tuple(sorted(found, key=lambda secret: secret.since))


def signing_of(secrets: tuple[RelaySecret, ...], now: datetime) -> RelaySecret:
    """The newest that is due; where none is, the oldest."""
    due = [secret for secret in secrets if secret.since <= now]
    return due[-1] if due else secrets[0]


def rotated(
    secrets: tuple[RelaySecret, ...], key: bytes, now: datetime, lead: timedelta
) -> tuple[RelaySecret, ...]:
    """The present one, and a new one that follows it. Raises Conflict while one waits: who has not
    read that yet would be left without a key that both know."""
    waiting = [secret for secret in secrets if secret.since > now]
    if waiting:
        raise Conflict(
            f"A new key is waiting to be used from {waiting[-1].since.isoformat()} on: wait for it."
        )
    return (signing_of(secrets, now), RelaySecret(key, (now + lead).replace(microsecond=0)))


def write_secrets(path: Path, secrets: tuple[RelaySecret, ...]) -> None:
    """In place of what is there, whole or not at all, for the same owner."""
    old = path.stat()
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            file.write("".join(f"{secret}\n" for secret in secrets))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _since_of(path: Path, words: list[str]) -> datetime:
    if not words:
        return _ALWAYS
    try:
        since = datetime.fromisoformat(words[0])
        if since.tzinfo is None or len(words) > 1:
            raise ValueError
    except ValueError as error:
        raise ServerMisconfigured(
            f"secret-key-file {path}: behind a key stands one time as 2026-01-31T12:00:00+00:00"
        ) from error
    return since


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_ino, found.st_mtime_ns)
