"""Files as they travel: a form with one part per file up, a tar archive per path down."""

import io
import re
import secrets
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote

from backendai.client.faults import BadUsage, UnexpectedAnswer

_PLAIN_NAME: Final = re.compile(r"[ !#-\[\]-~]+")
_BOUNDARY: Final = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)


def pack_form(files: Sequence[Path], base: Path) -> tuple[str, bytes]:
    """(content type, body) of an upload; names are relative to `base`. Raises BadUsage."""
    boundary = secrets.token_hex(16)
    body = io.BytesIO()
    for file in files:
        content = _read(file)
        body.write(
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="src"; {_filename(_name(file, base))}\r\n'
            "Content-Type: application/octet-stream\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
        )
        body.write(content + b"\r\n")
    body.write(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", body.getvalue()


def unpack_parts(content_type: str, body: bytes, destination: Path) -> tuple[Path, ...]:
    """Writes the files of every archive in a multipart body under `destination`.

    Only files and folders are written, and only below it. Raises UnexpectedAnswer.
    """
    written: list[Path] = []
    for part in split_parts(content_type, body):
        try:
            with tarfile.open(fileobj=io.BytesIO(part), mode="r:") as archive:
                written += _extract(archive, destination)
        except tarfile.TarError as error:
            raise UnexpectedAnswer(f"A part is no tar archive: {error}") from error
    return tuple(written)


def split_parts(content_type: str, body: bytes) -> Iterator[bytes]:
    """The contents of the parts of a multipart body."""
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise UnexpectedAnswer(f"Files should come in parts, not as {content_type or 'nothing'}.")
    delimiter = b"\r\n--" + match.group(1).encode()
    for part in (b"\r\n" + body).split(delimiter)[1:]:
        if part.startswith(b"--"):
            return
        yield part.partition(b"\r\n\r\n")[2]


def _extract(archive: tarfile.TarFile, destination: Path) -> Iterator[Path]:
    for member in archive:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise UnexpectedAnswer(f"The archive names a file outside: {member.name!r}")
        target = destination / name
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
        content = archive.extractfile(member) if member.isreg() else None
        if content is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())
            target.chmod(member.mode & 0o777)
            yield target


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadUsage(f"Cannot read {file}: {error.strerror}") from error


def _name(file: Path, base: Path) -> str:
    try:
        return file.resolve().relative_to(base.resolve()).as_posix()
    except ValueError:
        raise BadUsage(f"{file} is not below {base}") from None


def _filename(name: str) -> str:
    if _PLAIN_NAME.fullmatch(name):
        return f'filename="{name}"'
    return f"filename*=utf-8''{quote(name, safe='')}"
