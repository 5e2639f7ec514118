"""A daemon's pid file: written at start, locked while it runs, removed at its end.

The lock is the kernel's, so a file that a killed daemon left behind is in nobody's way.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .faults import ServerMisconfigured


@contextmanager
def hold_pid_file(path: Path | None) -> Iterator[None]:
    """Nothing without a path. Raises ServerMisconfigured when another process holds the file, or
    when it cannot be written."""
    if path is None:
        yield
        return
    try:
        descriptor = _open_locked(path)
        _write(descriptor)
    except OSError as error:
        raise ServerMisconfigured(f"pid-file {path} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        # Still locked: whoever opened it meanwhile sees that it is no longer the one at `path`.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _open_locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            _lock(descriptor, path)
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _write(descriptor: int) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    except OSError:
        os.close(descriptor)
        raise


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise ServerMisconfigured(
            f"process {pid} runs already and holds pid-file {path}"
        ) from error


def _is_at(descriptor: int, path: Path) -> bool:
    """The one that held it before may have removed it between our opening and locking it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
