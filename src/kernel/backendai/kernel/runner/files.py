"""Files of a session, as the container's user sees them: nothing outside of the work directory is
touched.

All functions block; the service calls them in a thread, one at a time.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backendai.kernel.runner.runs import Refusal
from backendai.kernel.wire import (
    DownloadReply,
    FileEntry,
    ListFilesReply,
    Upload,
    UploadReply,
)

if TYPE_CHECKING:
    from backendai.kernel.runner.archive import Archive

UPLOADS_MAX = 64
ENTRIES_MAX = 20_000
NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC


def resolve_inside(work_dir: Path, path: str) -> Path:
    """The real path, without its last component being followed; raises Refusal when it leads
    outside.
    """
    if "\0" in path or not path:
        raise Refusal("bad-path", "a path must not be empty or hold a zero byte")
    root = Path(os.path.realpath(work_dir))
    lexical = Path(os.path.normpath(work_dir / path))
    if lexical in (Path(os.path.normpath(work_dir)), root):
        return root
    real = Path(os.path.realpath(lexical.parent)) / lexical.name
    if not real.is_relative_to(root):
        raise Refusal("bad-path", f"{path!r} leads outside of {work_dir}: use a path below it")
    return real


def resolve_link_inside(work_dir: Path, path: str) -> Path:
    """As resolve_inside, and a link at the end is followed as long as it stays inside."""
    real = Path(os.path.realpath(resolve_inside(work_dir, path)))
    if not real.is_relative_to(os.path.realpath(work_dir)):
        raise Refusal("bad-path", f"{path!r} is a link that leads outside of {work_dir}")
    return real


@dataclass
class OpenUpload:
    """A file that is being received beside its final place."""

    part: Path
    size: int


@dataclass(frozen=True)
class EndedUpload:
    """Where the last piece of a file began, and how long the file was with it."""

    last_offset: int
    size: int


class Uploads:
    """Files on their way in; each appears under its name only when it is whole."""

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir
        self._open: dict[Path, OpenUpload] = {}
        self._ended: dict[Path, EndedUpload] = {}

    def receive(self, piece: Upload) -> UploadReply:
        target = resolve_inside(self._work_dir, piece.path)
        if target.is_dir():
            raise Refusal("bad-path", f"{piece.path!r} is a folder")
        upload = self._begin(target) if piece.offset == 0 else self._open.get(target)
        if self._is_repeated(piece, target, upload):
            return UploadReply(offset=piece.offset + len(piece.data))
        expected = upload.size if upload else 0
        if upload is None or piece.offset != expected:
            raise Refusal("bad-offset", f"{piece.path!r}: the next offset is {expected}")
        append_at(upload.part, upload.size, piece.data)
        upload.size += len(piece.data)
        if piece.last:
            upload.part.replace(target)
            del self._open[target]
            self._note_end(target, EndedUpload(piece.offset, upload.size))
        return UploadReply(offset=upload.size)

    def _is_repeated(self, piece: Upload, target: Path, upload: OpenUpload | None) -> bool:
        """Whether this piece was the one before, so that its asker only missed the reply."""
        end = piece.offset + len(piece.data)
        if upload is not None:
            is_known = 0 < piece.offset < end == upload.size and not piece.last
            return is_known and read_at(upload.part, piece.offset, end) == piece.data
        ended = self._ended.get(target)
        is_known = piece.last and ended == EndedUpload(piece.offset, end)
        return is_known and read_at(target, piece.offset, end + 1) == piece.data

    def _note_end(self, target: Path, ended: EndedUpload) -> None:
        self._ended[target] = ended
        while len(self._ended) > UPLOADS_MAX:
            del self._ended[next(iter(self._ended))]

    def _begin(self, target: Path) -> OpenUpload:
        self._ended.pop(target, None)
        old = self._open.pop(target, None)
        if old is not None:
            old.part.unlink(missing_ok=True)
        if len(self._open) >= UPLOADS_MAX:
            raise Refusal("busy", f"{UPLOADS_MAX} uploads are open; finish or repeat one of them")
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{os.urandom(6).hex()}.part")
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK, 0o644))
        upload = self._open[target] = OpenUpload(part, 0)
        return upload


def append_at(path: Path, offset: int, data: bytes) -> None:
    """What an attempt that failed half way (a full disk) has left behind `offset` is replaced."""
    with os.fdopen(os.open(path, os.O_WRONLY | NO_LINK), "wb") as file:
        file.truncate(offset)
        file.seek(offset)
        file.write(data)


def read_at(path: Path, start: int, end: int) -> bytes:
    """Empty when there is no such file (any more)."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | NO_LINK | os.O_NONBLOCK), "rb") as file:
            file.seek(start)
            return file.read(end - start)
    except OSError:
        return b""


class Downloads:
    """Archives on their way out; the look at a tree that offset 0 took serves the later offsets."""

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir
        self._archives: dict[str, Archive] = {}

    def send(self, path: str, offset: int) -> DownloadReply:
        from backendai.kernel.runner.archive import (
            ARCHIVES_KEPT,
            Archive,
        )  # tarfile is slow to load

        if offset == 0:
            root = resolve_link_inside(self._work_dir, path)
            if not root.exists():
                raise Refusal("not-found", f"no file or folder {path!r}")
            self._archives.pop(path, None)
            name = Path(os.path.normpath(self._work_dir / path)).name
            self._archives[path] = Archive(root, name)
            while len(self._archives) > ARCHIVES_KEPT:
                del self._archives[next(iter(self._archives))]
        archive = self._archives.get(path)
        if archive is None or not 0 <= offset <= archive.total_bytes:
            raise Refusal("download-expired", f"{path!r}: begin again at offset 0")
        data = archive.read(offset)
        last = offset + len(data) >= archive.total_bytes
        return DownloadReply(data=data, total_bytes=archive.total_bytes, last=last)


def list_files(work_dir: Path, path: str) -> ListFilesReply:
    """The entries of a folder by name, links shown as links; raises Refusal."""
    place = resolve_link_inside(work_dir, path)
    if not place.exists():
        raise Refusal("not-found", f"no file or folder {path!r}")
    names = sorted(entry.path for entry in os.scandir(place)) if place.is_dir() else [str(place)]
    errors = []
    if len(names) > ENTRIES_MAX:
        errors.append(f"only the first {ENTRIES_MAX} of {len(names)} entries are listed")
    entries = []
    for name in names[:ENTRIES_MAX]:
        try:
            entries.append(describe_file(Path(name)))
        except OSError as error:
            errors.append(f"{Path(name).name}: {error.strerror}")
    return ListFilesReply(entries=entries, abspath=show_name(str(place)), errors="\n".join(errors))


def describe_file(path: Path) -> FileEntry:
    facts = path.lstat()
    return FileEntry(
        filename=show_name(path.name),
        size=facts.st_size,
        mode=stat.filemode(facts.st_mode),
        mtime=facts.st_mtime,
        ctime=facts.st_ctime,
        atime=facts.st_atime,
    )


def show_name(name: str) -> str:
    """A file name that is not UTF-8 can be shown, but not asked for."""
    return os.fsencode(name).decode("utf-8", "replace")
