"""What is in a directory, here or in a folder, as one value: path -> entry."""

import asyncio
import enum
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backendai.client.faults import LocalFileFailed, UnexpectedAnswer
from backendai.client.results import FileEntry

TOP: Final = "."
# What a download is called until it is whole.
PART_PREFIX: Final = ".backendai-"
PART_SUFFIX: Final = ".part"


class Kind(enum.Enum):
    """OTHER is what is never copied: a link, a device, a socket, a pipe."""

    FILE = "file"
    DIRECTORY = "directory"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Entry:
    """`size` in bytes; `mtime` in seconds since 1970."""

    kind: Kind
    size: int = 0
    mtime: float = 0.0


# Paths are relative, with `/`; a directory comes before what is in it.
Tree = Mapping[str, Entry]


def join(above: str, name: str) -> str:
    """The path of `name`, itself a path or the top, in the directory `above` or the top."""
    if name == TOP:
        return above
    return name if above == TOP else f"{above}/{name}"


def clean(path: str) -> str:
    """As paths are written here; empty is the top."""
    return "/".join(part for part in path.split("/") if part not in ("", TOP)) or TOP


def name_of(path: str) -> str:
    """The last part; that of the top is the top."""
    return path.rpartition("/")[2]


def read_entry(found: FileEntry) -> Entry:
    """An entry of a listing. Raises UnexpectedAnswer for a name that would lead elsewhere."""
    name = found.filename
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise UnexpectedAnswer(f"The listing names {name!r}, which is no name of a file.")
    kind = {"d": Kind.DIRECTORY, "-": Kind.FILE}.get(found.mode[:1], Kind.OTHER)
    return Entry(kind, found.size, found.mtime)


async def read_local(top: Path) -> dict[str, Entry]:
    """All that is below `top`, of which there may be nothing. Raises LocalFileFailed."""
    return await asyncio.to_thread(lambda: dict(_walk(top, TOP)))


def look_at(path: Path) -> Entry | None:
    """What is at `path`, links followed; None where nothing is. Raises LocalFileFailed."""
    try:
        return _entry(path.stat())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalFileFailed.of(error, path) from error


def _walk(directory: Path, above: str) -> Iterator[tuple[str, Entry]]:
    try:
        with os.scandir(directory) as entries:
            found = {each.name: each.stat(follow_symlinks=False) for each in entries}
    except FileNotFoundError:
        return
    except OSError as error:
        raise LocalFileFailed.of(error, directory) from error
    for name in sorted(found):
        if name.startswith(PART_PREFIX) and name.endswith(PART_SUFFIX):
            continue
        if not name.isprintable() and any("\udc80" <= letter <= "\udcff" for letter in name):
            raise LocalFileFailed(f"{directory}: {name!r} is no name in UTF-8.")
        path, entry = join(above, name), _entry(found[name])
        yield path, entry
        if entry.kind is Kind.DIRECTORY:
            yield from _walk(directory / name, path)


def _entry(seen: os.stat_result) -> Entry:
    if stat.S_ISDIR(seen.st_mode):
        return Entry(Kind.DIRECTORY)
    kind = Kind.FILE if stat.S_ISREG(seen.st_mode) else Kind.OTHER
    return Entry(kind, seen.st_size, seen.st_mtime)
