"""Where in a kernel folders may be seen, how a volume is known for what it is, and which
directories of nodes may be folders without one. PURE."""

import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import msgspec

from .faults import BadRequest
from .paths import RelPath, parse_relpath

HOME: Final = "/home/work"
# At the top of each volume, written by its storage proxy: what has none is no mounted volume.
VOLUME_FILE: Final = ".backendai-volume.json"
TARGET_CHARS_MAX: Final = 1024

# Images, engines and the runner keep these, and what is below them, for themselves.
_SYSTEM: Final = frozenset(
    "bin,boot,dev,etc,lib,lib32,lib64,libx32,proc,root,run,sbin,sys,tmp,usr,var".split(",")  # noqa: SIM905
)
_RUNNER: Final = ("opt", "kernel")
# What a node itself is made of: /tmp has none of it.
_OF_NODES: Final = _SYSTEM - {"tmp"}
# Folders have to lie below these, not in their place.
_TOPS: Final = frozenset({"/", "/home", HOME, "/media", "/mnt", "/opt", "/srv"})
# What shells, terminals and the platform itself read in a home: dotfiles are for these.
_KEPT_NAMES: Final = frozenset({".ssh", ".terminfo", ".jupyter", ".tmux.conf"})
_KEPT_PATTERN: Final = re.compile(r"\.[a-z0-9]+(rc|_profile)")
_TARGET: Final = "mount target"
_DIRECTORY: Final = "directory"
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]")


class VolumeProof(msgspec.Struct, frozen=True):
    """What VOLUME_FILE says: which volume it is, wherever it is mounted."""

    id: str


def parse_target(text: str) -> str:
    """The absolute path in the kernel; `data` and `./data/` are `/home/work/data`.

    Raises BadRequest saying why nothing may be mounted there.
    """
    names = _names_of(_TARGET, text)
    target = "/".join(("", *names)) if text.startswith("/") else "/".join((HOME, *names))
    if target in (*_TOPS, ""):
        why = "is not below it: name a folder in it" if names else "names no folder"
        raise _refusal(_TARGET, text, why)
    if _is_kept(RelPath(tuple(target.split("/")[1:]))):
        raise _refusal(_TARGET, text, "is kept for the system")
    return target


def parse_directory(text: str) -> str:
    """The absolute path of a directory that administrators keep on nodes; `/mnt//x/` is `/mnt/x`.

    Raises BadRequest saying why it is none that kernels may see.
    """
    names = _names_of(_DIRECTORY, text)
    if not text.startswith("/"):
        raise _refusal(_DIRECTORY, text, "is not absolute: write it as nodes do, such as /mnt/x")
    if not names:
        raise _refusal(_DIRECTORY, text, "is the whole node: name a directory of it")
    if names[0] in _OF_NODES:
        raise _refusal(_DIRECTORY, text, f"is kept for the system, as all of /{names[0]} is")
    return "/".join(("", *names))


def is_kept_name(name: str) -> bool:
    """Whether no folder may have this name in a home."""
    return name in _KEPT_NAMES or _KEPT_PATTERN.fullmatch(name) is not None


def find_clashes(targets: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The positions of each two targets that are the same, or of which one lies in the other."""
    for (one, first), (other, second) in combinations(enumerate(targets), 2):
        if f"{first}/".startswith(f"{second}/") or f"{second}/".startswith(f"{first}/"):
            yield one, other


def below_home(target: str) -> RelPath | None:
    """Where a target lies below the home; None when it is elsewhere."""
    inside = target.removeprefix(f"{HOME}/")
    return parse_relpath(inside) if inside != target else None


def _is_kept(path: RelPath) -> bool:
    inside = below_home(f"/{path}")
    if inside is not None:
        return is_kept_name(inside.names[0])
    return path.names[0] in _SYSTEM or path.names[:2] == _RUNNER


def _names_of(what: str, text: str) -> tuple[str, ...]:
    if _UNPRINTABLE.search(text):
        raise _refusal(what, text, "has characters that cannot be printed")
    if len(text) > TARGET_CHARS_MAX:
        raise _refusal(what, text, f"is longer than {TARGET_CHARS_MAX} characters")
    return parse_relpath(text.lstrip("/")).names


def _refusal(what: str, text: str, why: str) -> BadRequest:
    shown = text if len(text) <= 100 else f"{text[:100]}…"
    return BadRequest(f"the {what} {shown!r} {why}", {"path": shown})
