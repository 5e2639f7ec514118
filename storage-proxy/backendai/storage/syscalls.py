"""What Linux can do and Python has no words for. All of it blocks."""

import ctypes
import errno
import os
from contextlib import suppress
from typing import Final

_SYS_RENAMEAT2: Final = 316 if os.uname().machine == "x86_64" else 276
_NOREPLACE: Final = 1
_EXCHANGE: Final = 2
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_libc: Final = ctypes.CDLL(None, use_errno=True)


def keep_freed_memory(piece_bytes_max: int, kept_bytes_max: int) -> None:
    """Use memory of pieces that have passed again, instead of giving it back to the kernel and
    asking for it anew: else each page of each piece is cleared and mapped."""
    # Other C libraries have no such setting.
    with suppress(AttributeError):
        _libc.mallopt(_M_MMAP_THRESHOLD, piece_bytes_max)
        _libc.mallopt(_M_TRIM_THRESHOLD, kept_bytes_max)


def rename_new(source: int, name: str, target: int, new_name: str) -> None:
    """Rename between two open directories; what has the new name already is never replaced.

    Raises OSError: EEXIST.
    """
    code = _renameat2(source, name, target, new_name, _NOREPLACE)
    if code == 0:
        return
    if code != errno.EINVAL:
        raise OSError(code, os.strerror(code), name, None, new_name)
    # File systems such as NFS know no such flag; there two at once may still race for the name.
    if _is_there(target, new_name):
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), name, None, new_name)
    os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)


def sync_filesystem(fd: int) -> None:
    """Write out everything of the file system that `fd` is on. Raises OSError."""
    if _libc.syncfs(fd) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def exchange(directory: int, one: str, other: str) -> None:
    """Swap two names of an open directory at once. Raises OSError."""
    code = _renameat2(directory, one, directory, other, _EXCHANGE)
    if code != 0:
        raise OSError(code, os.strerror(code), one, None, other)


def _renameat2(source: int, name: str, target: int, new_name: str, flags: int) -> int:
    """Zero, or the errno."""
    names = (source, os.fsencode(name), target, os.fsencode(new_name))
    return 0 if _libc.syscall(_SYS_RENAMEAT2, *names, flags) == 0 else ctypes.get_errno()


def _is_there(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
