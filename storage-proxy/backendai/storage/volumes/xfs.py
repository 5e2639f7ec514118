"""A volume on XFS."""

from .vfs import DirectoryVolume, open_vfs
from .volume import VolumeParts


def open_xfs(parts: VolumeParts) -> DirectoryVolume:
    return open_vfs(parts)
