"""Lays files into the home of a kernel, as the container's user; no link of theirs is followed."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from backendai.kernel.wire import HomeFile

FOLDER_MODE = 0o755
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def lay_files(work_dir: Path, files: Iterable[HomeFile]) -> list[str]:
    """Write each over what has its name; returns a sentence for each that cannot be."""
    problems = []
    for file in files:
        try:
            _lay(work_dir, file)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            problems.append(f"the dotfile {file.path} cannot be written: {why}")
    return problems


def _lay(work_dir: Path, file: HomeFile) -> None:
    words = file.path.split("/")
    if {"", ".", ".."} & {*words}:
        raise ValueError("it is no path below the home")
    folder = _open_folder(work_dir, words[:-1])
    try:
        _replace(folder, words[-1], file)
    finally:
        os.close(folder)


def _open_folder(work_dir: Path, words: Iterable[str]) -> int:
    """The descriptor of a folder below, made where it is missing."""
    folder = os.open(work_dir, _FOLDER)
    for word in words:
        try:
            inner = _enter(folder, word)
        finally:
            os.close(folder)
        folder = inner
    return folder


def _enter(folder: int, word: str) -> int:
    with suppress(FileExistsError):
        os.mkdir(word, FOLDER_MODE, dir_fd=folder)
    return os.open(word, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)


def _replace(folder: int, name: str, file: HomeFile) -> None:
    """A rename puts it in place: nobody sees half of it, and a link of that name is replaced."""
    part = f".{os.urandom(6).hex()}.part"
    try:
        with os.fdopen(os.open(part, _NEW, 0o600, dir_fd=folder), "wb") as draft:
            draft.write(file.data.encode())
            os.fchmod(draft.fileno(), int(file.permission, 8))
        os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=folder)
        raise
