"""An uncompressed tar of a file or a tree that can be read from any offset without being stored.

The members and their sizes are fixed when the tree is looked at; a file that shrinks later is
filled up with zeros and one that grows is cut, so the archive always has the promised length.
"""

import bisect
import os
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path

from backendai.kernel.runner.runs import Refusal

ARCHIVES_KEPT = 8
MEMBERS_MAX = 100_000
CHUNK_BYTES = 4 * 1024 * 1024
END_BYTES = 2 * tarfile.BLOCKSIZE


@dataclass(frozen=True)
class Member:
    """One entry: where it starts in the archive, its header and, for a file, where its data is."""

    start: int
    header: bytes
    source: Path | None
    size: int

    @property
    def length(self) -> int:
        blocks = -(-self.size // tarfile.BLOCKSIZE)
        return len(self.header) + blocks * tarfile.BLOCKSIZE


class Archive:
    """Regular files and folders below `root`; links and devices are left out."""

    def __init__(self, root: Path, name: str) -> None:
        self._members: list[Member] = []
        self._end = 0
        self._scan(root, name)
        self._starts = [member.start for member in self._members]
        self.total_bytes = self._end + END_BYTES

    def read(self, offset: int) -> bytes:
        """Up to CHUNK_BYTES from here."""
        parts: list[bytes] = []
        end = min(offset + CHUNK_BYTES, self.total_bytes)
        index = max(bisect.bisect_right(self._starts, offset) - 1, 0)
        while offset < min(end, self._end):
            member = self._members[index]
            piece = read_member(member, offset - member.start, end - offset)
            parts.append(piece)
            offset += len(piece)
            index += 1
        parts.append(bytes(end - offset))
        return b"".join(parts)

    def _scan(self, root: Path, name: str) -> None:
        self._add(root, name)
        if not root.is_dir():
            return
        for folder, folders, files in os.walk(root, followlinks=False):
            inside = Path(name) / Path(folder).relative_to(root)
            folders.sort()
            for entry in folders + sorted(files):
                self._add(Path(folder) / entry, str(inside / entry))

    def _add(self, path: Path, name: str) -> None:
        try:
            facts = path.lstat()
        except FileNotFoundError:
            return  # It was removed since the folder was listed.
        if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
            return
        if len(self._members) >= MEMBERS_MAX:
            raise Refusal("too-large", f"more than {MEMBERS_MAX} files: ask for a smaller folder")
        header = make_header(name, facts)
        is_file = stat.S_ISREG(facts.st_mode)
        size = facts.st_size if is_file else 0
        member = Member(self._end, header, path if is_file else None, size)
        self._members.append(member)
        self._end += member.length


def make_header(name: str, facts: os.stat_result) -> bytes:
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(facts.st_mode)
    info.mtime = int(facts.st_mtime)
    if stat.S_ISDIR(facts.st_mode):
        info.type = tarfile.DIRTYPE
    else:
        info.size = facts.st_size
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def read_member(member: Member, offset: int, length: int) -> bytes:
    """What is at `offset` of the member, exactly `length` bytes or up to its end."""
    length = min(length, member.length - offset)
    head = member.header[offset : offset + length]
    offset = max(offset - len(member.header), 0)
    wanted = length - len(head)
    data = b""
    if member.source is not None and wanted and offset < member.size:
        data = read_file(member.source, offset, min(wanted, member.size - offset))
    return head + data + bytes(wanted - len(data))


def read_file(path: Path, offset: int, length: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""  # Removed since the tree was looked at: zeros take its place.
    try:
        return os.pread(descriptor, length, offset)
    finally:
        os.close(descriptor)
