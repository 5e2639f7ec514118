"""What storage proxies do for managers: every endpoint of theirs as a method."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from backendai.common.faults import Conflict, FileNotFound

from .link import ASK_SECONDS, Call, ProxyLink
from .model import Folder
from .volumes import Host, VolumeConfig, parse_host

# Of what only adds to an answer.
GLANCE_SECONDS: Final = 5.0
# Of work on all files of a folder, in a task.
DELETE_SECONDS: Final = 3600.0
CLONE_SECONDS: Final = 24 * 3600.0
# Of a file or a directory, for which somebody waits.
COPY_SECONDS: Final = 600.0


class Volume(msgspec.Struct, frozen=True):
    """A volume as its proxy describes it. `path` is where nodes have it mounted, `volume_id` what
    proves it there; None while its proxy cannot read it."""

    name: str
    backend: str
    path: str = ""
    fsprefix: str | None = None
    capabilities: list[str] = []
    volume_id: str | None = None


class FolderUsage(msgspec.Struct, frozen=True):
    file_count: int
    used_bytes: int


class ScopeUsage(msgspec.Struct, frozen=True):
    """Of a quota scope; None is unknown, or no limit."""

    used_bytes: int | None = None
    limit_bytes: int | None = None


class VolumeUsage(msgspec.Struct, frozen=True):
    capacity_bytes: int
    used_bytes: int


class FileStat(msgspec.Struct, frozen=True):
    """`mode` is the system's number; times are ISO 8601."""

    mode: int
    size: int
    created: str
    modified: str


class FileEntry(msgspec.Struct, frozen=True):
    """`type` is FILE, DIRECTORY or SYMLINK."""

    name: str
    type: str
    stat: FileStat
    symlink_target: str | None = ""


class _Volumes(msgspec.Struct, frozen=True):
    volumes: list[Volume]


class _Files(msgspec.Struct, frozen=True):
    items: list[FileEntry]


class _Path(msgspec.Struct, frozen=True):
    path: str


class _Used(msgspec.Struct, frozen=True):
    used_bytes: int


class _Token(msgspec.Struct, frozen=True):
    token: str


class _Metric(msgspec.Struct, frozen=True):
    metric: dict[str, float]


class Hardware(msgspec.Struct, frozen=True):
    """`status` is healthy, degraded, offline or unavailable."""

    status: str
    status_info: str | None = None
    metadata: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a client shows the proxy at `url`, to send, fetch or unpack one thing."""

    token: str
    url: str


class Proxies:
    """Every method raises as `ProxyLink.ask`."""

    def __init__(self, link: ProxyLink) -> None:
        self._link = link

    @property
    def config(self) -> VolumeConfig:
        return self._link.config

    def knows(self, host: str) -> bool:
        """Whether its proxy is configured."""
        return parse_host(host).proxy in self.config.proxies

    async def list_volumes(self, proxy: str, seconds: float = GLANCE_SECONDS) -> list[Volume]:
        call = Call("GET", "/volumes", {}, seconds)
        return (await self._link.ask(Host(proxy, "*"), call, _Volumes)).volumes

    async def volume_usage(self, host: str) -> VolumeUsage:
        place, call = _of_volume(host, "GET", "/folder/fs-usage", seconds=GLANCE_SECONDS)
        return await self._link.ask(place, call, VolumeUsage)

    async def metric(self, host: str) -> dict[str, float]:
        place, call = _of_volume(host, "GET", "/volume/performance-metric")
        return (await self._link.ask(place, call, _Metric)).metric

    async def hardware(self, host: str) -> Hardware:
        place, call = _of_volume(host, "GET", "/volume/hwinfo", seconds=GLANCE_SECONDS)
        return await self._link.ask(place, call, Hardware)

    async def ensure_scope(self, host: str, scope: str, limit_bytes: int | None) -> None:
        """Make the quota scope with this limit; one that is there already stays as it is."""
        options = None if limit_bytes is None else {"limit_bytes": limit_bytes}
        body = {"qsid": scope, "options": options, "extra_args": {}}
        try:
            await self._link.tell(*_of_volume(host, "POST", "/quota-scope", body))
        except Conflict:
            return

    async def scope_usage(self, host: str, scope: str) -> ScopeUsage:
        """Raises FileNotFound for one that was never made."""
        place, call = _of_volume(host, "GET", "/quota-scope", {"qsid": scope})
        return await self._link.ask(place, call, ScopeUsage)

    async def set_limit(self, host: str, scope: str, limit_bytes: int | None) -> None:
        """None takes the limit away."""
        if limit_bytes is None:
            gone = _of_volume(host, "DELETE", "/quota-scope/quota", {"qsid": scope})
            await self._link.tell(*gone)
        else:
            body = {"qsid": scope, "options": {"limit_bytes": limit_bytes}}
            await self._link.tell(*_of_volume(host, "PATCH", "/quota-scope", body))

    async def create(self, folder: Folder) -> None:
        await self._link.tell(*_of_folder(folder, "POST", "/folder/create", {"options": None}))

    async def delete(self, folder: Folder) -> None:
        """Delete all of its files; what is not there any more is no fault."""
        try:
            await self._link.tell(
                *_of_folder(folder, "POST", "/folder/delete", seconds=DELETE_SECONDS)
            )
        except FileNotFound:
            return

    async def clone(self, source: Folder, target: Folder) -> None:
        """Copy all files; both are of one proxy."""
        place = parse_host(source.host)
        body = {
            "src_volume": place.volume,
            "src_vfid": source.vfid,
            "dst_volume": parse_host(target.host).volume,
            "dst_vfid": target.vfid,
            "options": None,
        }
        await self._link.tell(place, Call("POST", "/folder/clone", body, CLONE_SECONDS))

    async def mount_path(self, folder: Folder, subpath: str = ".") -> str:
        """Where the folder, or a directory in it, is on the machines that have its volume."""
        place, call = _of_folder(folder, "GET", "/folder/mount", {"subpath": subpath})
        return (await self._link.ask(place, call, _Path)).path

    async def usage(self, folder: Folder, seconds: float = ASK_SECONDS) -> FolderUsage:
        place, call = _of_folder(folder, "GET", "/folder/usage", seconds=seconds)
        return await self._link.ask(place, call, FolderUsage)

    async def used_bytes(self, folder: Folder) -> int:
        place, call = _of_folder(folder, "GET", "/folder/used-bytes")
        return (await self._link.ask(place, call, _Used)).used_bytes

    async def mkdir(self, folder: Folder, path: str, *, parents: bool, exist_ok: bool) -> None:
        body = {"relpath": path, "parents": parents, "exist_ok": exist_ok}
        await self._link.tell(*_of_folder(folder, "POST", "/folder/file/mkdir", body))

    async def list_files(self, folder: Folder, path: str) -> list[FileEntry]:
        place, call = _of_folder(folder, "POST", "/folder/file/list", {"relpath": path})
        return (await self._link.ask(place, call, _Files)).items

    async def rename_file(self, folder: Folder, path: str, new_name: str) -> None:
        body = {"relpath": path, "new_name": new_name}
        await self._link.tell(*_of_folder(folder, "POST", "/folder/file/rename", body))

    async def move_file(self, folder: Folder, source: str, target: str) -> None:
        body = {"src_relpath": source, "dst_relpath": target}
        await self._link.tell(*_of_folder(folder, "POST", "/folder/file/move", body))

    async def copy_file(self, folder: Folder, source: str, target: str) -> None:
        """A file, or a directory with all in it."""
        body = {"src_relpath": source, "dst_relpath": target}
        await self._link.tell(
            *_of_folder(folder, "POST", "/folder/file/copy", body, seconds=COPY_SECONDS)
        )

    async def delete_files(self, folder: Folder, paths: Sequence[str], *, recursive: bool) -> None:
        body = {"relpaths": list(paths), "recursive": recursive}
        await self._link.tell(*_of_folder(folder, "POST", "/folder/file/delete", body))

    async def begin_upload(self, folder: Folder, path: str, size_bytes: int) -> Ticket:
        body = {"relpath": path, "size": size_bytes}
        return await self._begin(folder, "upload", body)

    async def begin_download(self, folder: Folder, path: str, *, archive: bool) -> Ticket:
        body = {"relpath": path, "archive": archive, "unmanaged_path": None}
        return await self._begin(folder, "download", body)

    async def begin_selection(self, folder: Folder, path: str, names: Sequence[str]) -> Ticket:
        """Of one archive of paths below the directory `path`."""
        body = {"relpath": path, "archive": True, "selection": list(names)}
        return await self._begin(folder, "download", body)

    async def begin_extraction(
        self, folder: Folder, path: str, into: str, *, removes: bool
    ) -> Ticket:
        body = {"relpath": path, "into": into, "remove": removes}
        return await self._begin(folder, "extract", body)

    async def _begin(self, folder: Folder, word: str, body: dict[str, Any]) -> Ticket:
        place, call = _of_folder(folder, "POST", f"/folder/file/{word}", body)
        token = (await self._link.ask(place, call, _Token)).token
        return Ticket(token, f"{self._link.address_of(place).client_api}/{word}")


def _of_volume(
    host: str,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    seconds: float = ASK_SECONDS,
) -> tuple[Host, Call]:
    place = parse_host(host)
    return place, Call(method, path, {"volume": place.volume, **(body or {})}, seconds)


def _of_folder(
    folder: Folder,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    seconds: float = ASK_SECONDS,
) -> tuple[Host, Call]:
    known_by = {"vfid": folder.vfid, **(body or {})}
    return _of_volume(folder.host, method, path, known_by, seconds)
