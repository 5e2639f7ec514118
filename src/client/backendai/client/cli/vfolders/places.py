"""Where `cp` and `sync` copy from and to: a path here, or FOLDER:PATH. PURE."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click


@dataclass(frozen=True, slots=True)
class Place:
    """A path in `folder`; here where that is None."""

    folder: str | None
    path: str

    @property
    def is_directory(self) -> bool:
        """Whether it is written as one."""
        return self.path in ("", ".") or self.path.endswith("/")


@dataclass(frozen=True, slots=True)
class Way:
    """Paths that are copied, all from one side, to the other. `folder` is the one at that side
    where `is_up` says."""

    folder: str
    is_up: bool
    sources: tuple[str, ...]
    target: Place

    @property
    def local_sources(self) -> tuple[Path, ...]:
        return tuple(map(Path, self.sources))


@dataclass(frozen=True, slots=True)
class Inner:
    """Paths that are copied within one folder."""

    folder: str
    sources: tuple[str, ...]
    target: str


def read_place(text: str) -> Place:
    """`data:a/b`; with a `/` before the colon (`./data:a`) it is a path here."""
    folder, colon, path = text.partition(":")
    if not colon or "/" in folder:
        return Place(None, text)
    if not folder:
        raise click.UsageError(f"{text!r} names no folder before the colon.")
    return Place(folder, path or ".")


def read_way(words: Sequence[str]) -> Way:
    """The last of `words` is where to. Raises UsageError unless exactly one side is a folder's."""
    *sources, target = map(read_place, words)
    if not sources:
        raise click.UsageError("Give what to copy, and where to.")
    folders = {each.folder for each in sources}
    if len(folders) > 1:
        raise click.UsageError("Copy from one folder, or from here, at a time.")
    (origin,) = folders
    if (origin is None) == (target.folder is None):
        raise click.UsageError("One side must be FOLDER:PATH, the other a path on this machine.")
    paths = tuple(each.path for each in sources)
    return Way(origin or target.folder or "", origin is None, paths, target)


def read_inner(words: Sequence[str]) -> Inner | None:
    """Where all of `words` are in the same folder. Raises UsageError for several into one that does
    not read as a directory."""
    places = [read_place(word) for word in words]
    folders = {place.folder for place in places}
    if len(places) < 2 or None in folders or len(folders) > 1:
        return None
    *sources, target = places
    if len(sources) > 1 and not target.is_directory:
        raise click.UsageError("Several are copied into a directory: end where to with a /.")
    return Inner(str(target.folder), tuple(each.path for each in sources), target.path)
