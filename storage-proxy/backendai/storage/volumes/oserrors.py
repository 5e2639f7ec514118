"""What the file system says, as faults: the one place that knows what an errno means here."""

import errno
import os
from typing import Final

from backendai.common.faults import Fault
from backendai.common.storage_faults import (
    PathExists,
    PathFault,
    PathForbidden,
    PathLeadsOut,
    PathNotFound,
    StorageFull,
    VolumeFailed,
    VolumeUnavailable,
)

_LEAF: Final[dict[int, type[Fault]]] = {
    errno.EXDEV: PathLeadsOut,
    errno.ELOOP: PathLeadsOut,
    errno.ENOENT: PathNotFound,
    errno.EEXIST: PathExists,
    errno.EACCES: PathForbidden,
    errno.EPERM: PathForbidden,
    errno.ENOSPC: StorageFull,
    errno.EDQUOT: StorageFull,
    errno.EFBIG: StorageFull,
    # A mount that went away, or a server behind it.
    errno.ESTALE: VolumeUnavailable,
    errno.ENOTCONN: VolumeUnavailable,
    errno.ESHUTDOWN: VolumeUnavailable,
    errno.EHOSTDOWN: VolumeUnavailable,
    errno.EHOSTUNREACH: VolumeUnavailable,
    errno.ETIMEDOUT: VolumeUnavailable,
    errno.ENODEV: VolumeUnavailable,
    # This process has no descriptors or no memory left for the moment.
    errno.EMFILE: VolumeUnavailable,
    errno.ENFILE: VolumeUnavailable,
    errno.ENOMEM: VolumeUnavailable,
}
_REFUSALS: Final = {
    errno.ENOTDIR: "a part of the path is no directory",
    errno.EISDIR: "it is a directory",
    errno.ENOTEMPTY: "the directory is not empty",
    errno.EINVAL: "it is not of the kind that this needs",
    errno.ENXIO: "it is a socket, pipe or device",
    errno.ENAMETOOLONG: "a name is too long",
    errno.EBUSY: "it is in use",
    errno.ETXTBSY: "it is a program that runs",
    errno.EMLINK: "there are too many links",
    errno.EILSEQ: "the name has characters that this file system does not take",
}
_WORDS: Final = {
    errno.EXDEV: "the path leads out of the folder",
    errno.ELOOP: "the path leads out of the folder, or round in a circle of links",
    errno.ENOENT: "there is no such file or directory",
    errno.EEXIST: "there is something of this name already",
    errno.EDQUOT: "the quota is used up",
    errno.ENOSPC: "the volume is full",
    errno.EFBIG: "the file is larger than the file system takes",
    errno.EROFS: "the volume is mounted read-only",
    errno.EIO: "the disk, or what stands for it, failed",
}


def fault_of(error: OSError, volume: str) -> Fault:
    """What to tell of `error`, with the names that the caller gave, never with the host's."""
    code = error.errno or errno.EIO
    leaf = PathFault if code in _REFUSALS else _LEAF.get(code, VolumeFailed)
    words = _REFUSALS.get(code) or _WORDS.get(code) or os.strerror(code)
    paths = [name for name in (_name_of(error.filename), _name_of(error.filename2)) if name]
    shown = f"{', '.join(paths)}: {words}" if paths else words
    facts = {"errno": code, "paths": paths, "volume": volume}
    return leaf(shown, facts)


def _name_of(name: object) -> str:
    """Absolute names are the host's: only what lies below a folder is told."""
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    if not isinstance(name, str) or name.startswith("/"):
        return ""
    return name.encode("utf-8", "replace").decode("utf-8")
