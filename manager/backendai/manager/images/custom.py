"""PURE: names and labels of custom images, those that sessions were committed to.

A custom image is called `custom/<its owner's id>/<what the owner calls it>`: nobody's image hides
another's, and whose it is needs no looking up.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from backendai.common.contracts.agent import COMMIT_LABEL
from backendai.common.images import CUSTOM_PREFIX

NAME_RULE: Final = (
    "1 to 64 of lower-case letters, digits and single ., _ or - between them, and perhaps :tag"
)
_PATTERN: Final = re.compile(
    r"(?=[^:]{1,64}(?::|\Z))[a-z0-9]+(?:(?:\.|_|-)[a-z0-9]+)*(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,63})?",
    re.ASCII,
)
_ODD: Final = re.compile(r"[^a-z0-9]+", re.ASCII)


class CommitOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a commit task works on. `image` is the whole name."""

    session_id: str
    owner_id: str
    kernel_id: str
    generation: int
    agent_id: str
    image: str
    labels: dict[str, str]
    bytes_max: int


@dataclass(frozen=True, slots=True)
class Owner:
    id: uuid.UUID
    email: str


def check_custom_name(text: str) -> str:
    """What a person calls an image, with a tag. Raises ValueError with the rule."""
    if not _PATTERN.fullmatch(text):
        raise ValueError(f"write {NAME_RULE}")
    return text if ":" in text else f"{text}:latest"


def make_name(session_name: str, now: datetime) -> str:
    """For a commit that nobody has named: the session's name, and when."""
    words = _ODD.sub("-", session_name.lower()[:64]).strip("-")
    return f"{words or 'session'}:{now:%Y%m%d-%H%M%S}"


def prefix_of(owner_id: uuid.UUID) -> str:
    """What the names of all images of one owner begin with."""
    return f"{CUSTOM_PREFIX}{owner_id.hex}/"


def labels_of(owner: Owner, name: str, commit_id: str) -> Mapping[str, str]:
    """Put over those of the session's own image, which tell how to run it."""
    return {
        COMMIT_LABEL: commit_id,
        "ai.backend.customized-image.name": name,
        "ai.backend.customized-image.owner": f"user:{owner.id}",
        "ai.backend.customized-image.user.email": owner.email,
    }
