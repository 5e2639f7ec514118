"""Opening the volumes of the settings, each by the backend of its name."""

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Final

from backendai.common.faults import ServerMisconfigured
from backendai.common.storage_faults import VolumeNotFound

from ..owner import find_owner
from ..settings import StorageSettings
from .volume import OpenVolume, Volume, VolumeParts

GROUP: Final = "backendai.volumes"


class Volumes:
    """All volumes of this daemon by their names."""

    def __init__(self, volumes: Mapping[str, Volume]) -> None:
        self._volumes = volumes

    def __iter__(self) -> Iterator[Volume]:
        return iter(self._volumes.values())

    def get(self, name: str) -> Volume:
        """Raises VolumeNotFound."""
        found = self._volumes.get(name)
        if found is None:
            raise VolumeNotFound(f"{name[:100]!r} is none of {', '.join(self._volumes) or 'none'}")
        return found

    def close(self) -> None:
        for volume in self:
            volume.close()


def open_volumes(settings: StorageSettings) -> Volumes:
    """Nothing on disk is touched yet. Raises ServerMisconfigured with what to change."""
    own = settings.storage_proxy
    owner = find_owner(own.uid, own.gid)
    opened = {}
    for name, options in settings.volume.items():
        parts = VolumeParts(name, options, owner, own.threads, own.io_timeout)
        opened[name] = _find_backend(name, options.backend)(parts)
    return Volumes(opened)


def _find_backend(name: str, backend: str) -> OpenVolume:
    installed = entry_points(group=GROUP)
    if backend not in installed.names:
        known = ", ".join(sorted(installed.names))
        raise ServerMisconfigured(f"volume.{name}.backend is {backend!r}; installed are {known}")
    found: OpenVolume = installed[backend].load()
    return found
