"""What a path inside a folder may be. PURE: whether something lies there is not asked here.

The check gives early, clear words; that nothing outside is reached is the work of `beneath`.
"""

import os
from dataclasses import dataclass

from backendai.common.faults import BadRequest

NAME_BYTES_MAX = 255
PATH_BYTES_MAX = 4095


@dataclass(frozen=True)
class RelPath:
    """Names from the top of a folder down; none means the folder itself."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "/".join(self.names) or "."

    @property
    def is_top(self) -> bool:
        return not self.names

    @property
    def name(self) -> str:
        """The last name; empty for the folder itself."""
        return self.names[-1] if self.names else ""

    @property
    def parent(self) -> "RelPath":
        return RelPath(self.names[:-1])

    def __truediv__(self, name: str) -> "RelPath":
        return RelPath((*self.names, *parse_relpath(name).names))


def parse_relpath(text: str) -> RelPath:
    """`a//b/./c/` is `a/b/c`; `.` and the empty text are the folder itself.

    Raises BadRequest for an absolute path, `..`, NUL, a text that is no UTF-8, and for names
    or paths that are longer than file systems take.
    """
    if "\0" in text:
        raise _refusal(text, "has a NUL")
    if text.startswith("/"):
        raise _refusal(text, "is absolute: give it from the top of the folder")
    try:
        size = len(os.fsencode(text))
    except UnicodeEncodeError as error:
        raise _refusal(text, "is no valid text") from error
    if size > PATH_BYTES_MAX:
        raise _refusal(text, f"has {size} bytes; {PATH_BYTES_MAX} are allowed")
    names = tuple(name for name in text.split("/") if name not in ("", "."))
    for name in names:
        _check_name(text, name)
    return RelPath(names)


def _check_name(text: str, name: str) -> None:
    if name == "..":
        raise _refusal(text, "leads upwards: `..` is not allowed")
    if len(os.fsencode(name)) > NAME_BYTES_MAX:
        raise _refusal(text, f"has a name of more than {NAME_BYTES_MAX} bytes")


def _refusal(text: str, why: str) -> BadRequest:
    shown = text if len(text) <= 100 else f"{text[:100]}…"
    return BadRequest(f"the path {shown!r} {why}", {"path": shown})
