"""PURE: dotfiles as values, where they may lie, and how many of them there may be."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backendai.common.faults import DotfileRefused

FILES_MAX: Final = 100
BYTES_MAX: Final = 64 * 1024
PATH_CHARS_MAX: Final = 256
PERMISSION: Final = re.compile(r"[0-7]{3}\Z", re.ASCII)
# What the platform itself puts into a home; a file of that name would break sessions.
RESERVED: Final = frozenset(
    {".terminfo", ".jupyter", ".ssh", ".ssh/authorized_keys", ".local", ".config"}
)
_WORD: Final = re.compile(r"[^\x00-\x1f\x7f/]+")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose dotfiles are meant: exactly one field is set."""

    access_key: str | None = None
    domain: str | None = None
    project_id: uuid.UUID | None = None

    @property
    def word(self) -> str:
        """The same for the same owner, and for nobody else."""
        return f"{self.access_key!r}:{self.domain!r}:{self.project_id}"


@dataclass(frozen=True, slots=True)
class Dotfile:
    """`path` is below the home; `permission` three octal digits."""

    path: str
    permission: str
    data: str

    @property
    def size_bytes(self) -> int:
        return len(self.path.encode()) + len(self.data.encode())


def check_path(path: str) -> str:
    """Raises ValueError that says what is allowed."""
    words = path.split("/")
    is_plain = all(_WORD.fullmatch(word) and word not in (".", "..") for word in words)
    if len(path) > PATH_CHARS_MAX or not is_plain:
        raise ValueError(f"write a path below the home, of at most {PATH_CHARS_MAX} characters")
    if path in RESERVED:
        raise ValueError(f"{path} is kept for the platform itself")
    return path


def check_room(others: Sequence[Dotfile], file: Dotfile) -> None:
    """Whether `file` may come to `others` of the same owner. Raises DotfileRefused."""
    if len(others) >= FILES_MAX:
        raise DotfileRefused(f"At most {FILES_MAX} are kept; delete one first.")
    size = sum(each.size_bytes for each in (*others, file))
    if size > BYTES_MAX:
        raise DotfileRefused(
            f"All together would be larger than {BYTES_MAX} bytes.", {"bytes": size}
        )
