"""PURE: dotfiles as values, where they may lie, how many there may be, and whose come first."""

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from backendai.common.faults import DotfileRefused

FILES_MAX: Final = 100
BYTES_MAX: Final = 64 * 1024
PATH_CHARS_MAX: Final = 256
HOME: Final = "/home/work/"
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
    """`path` is below the home; `permission` three octal digits. `data` gets into no log."""

    path: str
    permission: str
    data: str = field(repr=False)

    @property
    def size_bytes(self) -> int:
        return len(self.path.encode()) + len(self.data.encode())


def check_path(path: str) -> str:
    """The path below the home, which may be written with the home before it.

    Raises ValueError that says what is allowed.
    """
    below = path.removeprefix(HOME)
    words = below.split("/")
    is_plain = all(_WORD.fullmatch(word) and word not in (".", "..") for word in words)
    if len(path) > PATH_CHARS_MAX or not is_plain:
        raise ValueError(
            f"write a path below the home, such as .bashrc or {HOME}.bashrc, "
            f"of at most {PATH_CHARS_MAX} characters"
        )
    if below in RESERVED:
        raise ValueError(f"{below} is kept for the platform itself")
    return below


def check_room(others: Sequence[Dotfile], file: Dotfile) -> None:
    """Whether `file` may come to `others` of the same owner. Raises DotfileRefused."""
    if len(others) >= FILES_MAX:
        raise DotfileRefused(f"At most {FILES_MAX} are kept; delete one first.")
    size = sum(each.size_bytes for each in (*others, file))
    if size > BYTES_MAX:
        raise DotfileRefused(
            f"All together would be larger than {BYTES_MAX} bytes.", {"bytes": size}
        )
    if file not in choose_files([*others, file]):
        raise DotfileRefused(
            f"{file.path} would be a file and a folder: another one lies below it or above it.",
            {"path": file.path},
        )


def choose_files(files: Iterable[Dotfile]) -> list[Dotfile]:
    """Those that get a place in a home: of two for one place the first, and a folder is no file."""
    taken: set[str] = set()
    folders: set[str] = set()
    chosen = []
    for file in files:
        above = _folders_of(file.path)
        if file.path not in taken | folders and not above & taken:
            taken.add(file.path)
            folders |= above
            chosen.append(file)
    return chosen


def _folders_of(path: str) -> set[str]:
    words = path.split("/")[:-1]
    return {"/".join(words[:count]) for count in range(1, len(words) + 1)}
