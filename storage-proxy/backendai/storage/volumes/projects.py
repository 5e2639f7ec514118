"""Project quotas of a file system, by its system calls: a directory tree that counts as one.

All of it blocks and raises OSError. Sizes are bytes. See quotactl_fd(2), ioctl_xfs_fsgetxattr(2).
"""

import ctypes
import errno
import fcntl
import os
import struct
from dataclasses import dataclass
from typing import Final

_SYS_QUOTACTL_FD: Final = 443
_PROJECT: Final = 2
_GET: Final = (ord("X") << 8) + 3
_SET_LIMIT: Final = (ord("X") << 8) + 4
_GET_STATE: Final = (ord("X") << 8) + 8
_BLOCK_BYTES: Final = 512
# struct fs_disk_quota of linux/dqblk_xfs.h.
_QUOTA: Final = struct.Struct("=bbHIQQQQQQiiHHbbbbQQQiHh8s")
_VERSION: Final = 1
_HARD_AND_SOFT_BLOCKS: Final = (1 << 3) | (1 << 2)
_STATE_BYTES: Final = 512
_ENFORCED: Final = 1 << 5
# struct fsxattr of linux/fs.h.
_ATTRIBUTES: Final = struct.Struct("=IIIII8s")
_GET_ATTRIBUTES: Final = 0x801C581F
_SET_ATTRIBUTES: Final = 0x401C5820
_INHERITED: Final = 0x200
_libc: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class ProjectUsage:
    used_bytes: int
    limit_bytes: int | None


def is_enforced(fd: int) -> bool:
    """Whether the file system that `fd` is on stops projects at their limits."""
    state = ctypes.create_string_buffer(_STATE_BYTES)
    state[0] = _VERSION.to_bytes(1, "little")
    try:
        _quotactl(fd, _GET_STATE, 0, state)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTTY):
            return False
        raise
    flags: int = struct.unpack_from("=H", state, 2)[0]
    return bool(flags & _ENFORCED)


def read_project_usage(fd: int, project: int) -> ProjectUsage:
    buffer = ctypes.create_string_buffer(_QUOTA.size)
    try:
        _quotactl(fd, _GET, project, buffer)
    except OSError as error:
        if error.errno == errno.ENOENT:
            # Nothing was ever written or limited in it.
            return ProjectUsage(0, None)
        raise
    found = _QUOTA.unpack(buffer.raw)
    hard, used = found[4], found[8]
    return ProjectUsage(used * _BLOCK_BYTES, hard * _BLOCK_BYTES or None)


def write_project_limit(fd: int, project: int, limit_bytes: int | None) -> None:
    """Rounded up to blocks. None takes the limit away; zero is the smallest there is."""
    blocks = 0 if limit_bytes is None else max(1, -(-limit_bytes // _BLOCK_BYTES))
    head = (_VERSION, _PROJECT, _HARD_AND_SOFT_BLOCKS, project, blocks, blocks)
    packed = _QUOTA.pack(*head, *[0] * 16, bytes(8))
    _quotactl(fd, _SET_LIMIT, project, ctypes.create_string_buffer(packed, _QUOTA.size))


def read_project(fd: int) -> int:
    """Zero for what belongs to none."""
    return int(_read_attributes(fd)[3])


def join_project(directory: int, project: int) -> None:
    """What is made in the open directory from now on counts for `project`."""
    _set_project(directory, project, _INHERITED)


def move_to_project(file: int, project: int) -> None:
    """The open file alone counts for `project` from now on. Only so is it renamed into a directory
    that joined it."""
    _set_project(file, project, 0)


def _set_project(fd: int, project: int, more_flags: int) -> None:
    flags, extent, count, _, cow, pad = _read_attributes(fd)
    changed = bytearray(_ATTRIBUTES.pack(flags | more_flags, extent, count, project, cow, pad))
    fcntl.ioctl(fd, _SET_ATTRIBUTES, changed)


def _read_attributes(fd: int) -> tuple[int, int, int, int, int, bytes]:
    buffer = bytearray(_ATTRIBUTES.size)
    fcntl.ioctl(fd, _GET_ATTRIBUTES, buffer)
    flags, extent, count, project, cow, pad = _ATTRIBUTES.unpack(buffer)
    return flags, extent, count, project, cow, pad


def _quotactl(fd: int, command: int, project: int, buffer: "ctypes.Array[ctypes.c_char]") -> None:
    arguments = (fd, (command << 8) | _PROJECT, project, buffer)
    if _libc.syscall(_SYS_QUOTACTL_FD, *arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
