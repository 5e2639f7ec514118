"""Ids of the platform: one type for each thing, and the port that makes new ones.

Nothing in the cores calls uuid4 itself: they take an `IdSource`, so a simulation repeats exactly.
"""

import base64
import random
import secrets
import uuid
from typing import NewType, Protocol

SessionId = NewType("SessionId", uuid.UUID)
KernelId = NewType("KernelId", uuid.UUID)
UserId = NewType("UserId", uuid.UUID)
ProjectId = NewType("ProjectId", uuid.UUID)
ImageId = NewType("ImageId", uuid.UUID)
AgentId = NewType("AgentId", str)
AccessKey = NewType("AccessKey", str)
DomainName = NewType("DomainName", str)
ResourceGroupName = NewType("ResourceGroupName", str)
Generation = NewType("Generation", int)
Revision = NewType("Revision", int)

ACCESS_KEY_PREFIX = "AKIA"
ACCESS_KEY_RANDOM_BYTES = 10
SECRET_KEY_RANDOM_BYTES = 30


class IdSource(Protocol):
    """Where new ids and tokens come from."""

    def uuid(self) -> uuid.UUID: ...

    def token(self, size_bytes: int) -> bytes: ...


class SystemIds:
    """Ids from the operating system's random source."""

    def uuid(self) -> uuid.UUID:
        return uuid.uuid4()

    def token(self, size_bytes: int) -> bytes:
        return secrets.token_bytes(size_bytes)


class SeededIds:
    """Ids that repeat for the same seed: for simulations and tests, never for secrets."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def uuid(self) -> uuid.UUID:
        return uuid.UUID(int=self._random.getrandbits(128), version=4)

    def token(self, size_bytes: int) -> bytes:
        return self._random.randbytes(size_bytes)


def uuid_of(text: str) -> uuid.UUID | None:
    """The id that `text` is, if it is one."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def new_access_key(ids: IdSource) -> AccessKey:
    """An access key: 20 upper-case letters and digits, as clients of this API expect."""
    text = base64.b32encode(ids.token(ACCESS_KEY_RANDOM_BYTES)).decode("ascii")
    return AccessKey(ACCESS_KEY_PREFIX + text)


def new_secret_key(ids: IdSource) -> str:
    """A secret key: 40 URL-safe characters, 240 random bits."""
    return base64.urlsafe_b64encode(ids.token(SECRET_KEY_RANDOM_BYTES)).decode("ascii")
