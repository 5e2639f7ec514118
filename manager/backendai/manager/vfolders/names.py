"""Which names folders may have. PURE."""

import re
from typing import Final

from backendai.common.faults import InvalidParams

from .model import Ownership

NAME_CHARS_MAX: Final = 64
_NAME: Final = re.compile(r"[A-Za-z0-9._-]*[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
# A name that reads as an id would mean two folders.
_ID: Final = re.compile(r"[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}", re.ASCII)
# What sessions and these routes use themselves.
RESERVED: Final = frozenset({".terminfo", ".jupyter", ".tmux.conf", ".ssh", "invitations"})
_RESERVED: Final = (
    re.compile(r"\.[a-z0-9]+rc", re.ASCII),
    re.compile(r"\.[a-z0-9]+_profile", re.ASCII),
)


def check_name(name: str, ownership: Ownership) -> str:
    """`name`. Raises InvalidParams with what is allowed."""
    problem = _find_problem(name, ownership)
    if problem is not None:
        raise InvalidParams(facts={"name": problem})
    return name


def _find_problem(name: str, ownership: Ownership) -> str | None:
    if len(name) > NAME_CHARS_MAX or not _NAME.fullmatch(name):
        return (
            f"write at most {NAME_CHARS_MAX} of: letters, digits, dots, hyphens and underscores, "
            "with a letter or digit among them"
        )
    if _ID.fullmatch(name):
        return "reads as an id; choose another one"
    if name in RESERVED or any(pattern.fullmatch(name) for pattern in _RESERVED):
        told = ", ".join(sorted(RESERVED))
        return f"is reserved, as are {told}, .<word>rc and .<word>_profile; choose another one"
    if name.startswith(".") and ownership is Ownership.PROJECT:
        return "begins with a dot, which only folders of a user may: it is mounted in a home"
    return None
