"""Looks up the folders of a new session, where they lie on the nodes, and what sessions mount."""

import asyncio
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import Conflict, FileNotFound, StorageUnavailable, VFolderNotFound
from backendai.common.ids import uuid_of
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Actor
from backendai.manager.lifecycle.model import NewMount
from backendai.manager.vfolders import store
from backendai.manager.vfolders.model import LISTED, Folder, FolderStatus
from backendai.manager.vfolders.proxies import Volume
from backendai.manager.vfolders.volumes import parse_host

from .mounts import MountWish, PlannedMount, plan_mounts

TOLD_MAX = 20
_NO_VOLUME = Volume(name="", backend="")

_v = t.vfolders.c
_m = t.session_mounts.c
_IDS: Final = sa.bindparam("ids", type_=ARRAY(sa.Uuid))
_MOUNTED: Final = (
    sa.select(
        _m.session_id,
        *(_m.vfolder_id, _m.name, _m.host, _m.kernel_path, _m.permission, _m.subpath),
    )
    .where(_m.session_id == sa.any_(_IDS))
    .order_by(_m.session_id, _m.position)
)


@dataclass(frozen=True, slots=True)
class MountedFolder:
    """What a session mounts, as it was when it was made; without `vfolder_id` it is no more."""

    vfolder_id: uuid.UUID | None
    name: str
    host: str
    target: str
    permission: str
    subpath: str


class Places(Protocol):
    """Of `vfolders.proxies`: where folders are."""

    async def list_volumes(self, proxy: str) -> list[Volume]: ...

    async def mount_path(self, folder: Folder, subpath: str = ".") -> str: ...


async def plan_for(
    conn: AsyncConnection, owner: Actor, wishes: Sequence[MountWish]
) -> tuple[PlannedMount, ...]:
    """As `plan_mounts`; a folder that is missing is told with the names of those there are.

    Who administers a project mounts what its members do, whoever asks for the session.
    """
    owner = replace(owner, administers=frozenset())
    references = [wish.reference for wish in wishes]
    ids = [found for reference in references if (found := uuid_of(reference))]
    is_of_home = sa.and_(_v.user_id == owner.user_id, _v.name.startswith("."))
    is_meant = sa.or_(_v.name.in_(references), _v.id.in_(ids), is_of_home)
    seen = await store.list_seen(conn, owner, is_meant)
    projects = {one.folder.project_id for one in seen}
    allowed = {one: await store.load_allowed_hosts(conn, owner, one) for one in projects}
    try:
        return plan_mounts(wishes, seen, allowed)
    except VFolderNotFound as fault:
        listed = _v.status.in_(sorted(status.value for status in LISTED))
        names = sorted({one.folder.name for one in await store.list_seen(conn, owner, listed)})
        told = ", ".join(names[:TOLD_MAX]) or "none"
        more = ", …" if len(names) > TOLD_MAX else ""
        raise VFolderNotFound(f"{fault.detail}; you have: {told}{more}", fault.facts) from fault


async def locate(places: Places, planned: Sequence[PlannedMount]) -> tuple[NewMount, ...]:
    """Raises StorageUnavailable, and FileNotFound for a directory that is not in its folder. Of an
    unmanaged folder only nodes know what is in it."""
    hosts = list(dict.fromkeys(one.folder.host for one in planned if not one.folder.is_unmanaged))
    found = await asyncio.gather(*(_volume_of(places, host) for host in hosts))
    volumes = {"": _NO_VOLUME, **dict(zip(hosts, found, strict=True))}
    paths = await asyncio.gather(*(_path_of(places, mount) for mount in planned))
    return tuple(
        NewMount(
            vfolder_id=mount.folder.id,
            name=mount.folder.name,
            host=mount.folder.host,
            volume_path=volumes[mount.folder.host].path,
            volume_id=volumes[mount.folder.host].volume_id or "",
            host_path=path,
            kernel_path=mount.target,
            permission=mount.permission.value,
            subpath=mount.subpath,
        )
        for mount, path in zip(planned, paths, strict=True)
    )


async def hold_folders(conn: AsyncConnection, mounts: Sequence[NewMount], now: datetime) -> None:
    """Note their use, and let none of them be deleted before the session is stored.

    Raises Conflict for one that was put into the bin meanwhile.
    """
    ids = sorted({mount.vfolder_id for mount in mounts})
    used = (
        sa.update(t.vfolders)
        .where(_v.id.in_(ids), _v.status == FolderStatus.READY.value)
        .values(last_used_at=now)
        .returning(_v.id)
    )
    held = set(await conn.scalars(used))
    gone = sorted({mount.name for mount in mounts if mount.vfolder_id not in held})
    if gone:
        raise Conflict(f"{', '.join(gone)} cannot be used any more.", {"folders": gone})


async def load_mounted(
    conn: AsyncConnection, session_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, list[MountedFolder]]:
    """What sessions mount, in the order in which they do."""
    grouped: dict[uuid.UUID, list[MountedFolder]] = {}
    for session_id, *values in await conn.execute(_MOUNTED, {"ids": list(session_ids)}):
        grouped.setdefault(session_id, []).append(MountedFolder(*values))
    return grouped


async def _volume_of(places: Places, host: str) -> Volume:
    place = parse_host(host)
    listed = await places.list_volumes(place.proxy)
    volume = next((one for one in listed if one.name == place.volume), None)
    if volume is None or not volume.volume_id:
        raise StorageUnavailable(f"The storage host {host} is not there.", {"host": host})
    return volume


async def _path_of(places: Places, mount: PlannedMount) -> str:
    """The folder's; a directory in it is looked for by the node, which asks anew at each start."""
    if mount.folder.unmanaged_path is not None:
        return mount.folder.unmanaged_path
    try:
        path = await places.mount_path(mount.folder)
        if mount.subpath != ".":
            await places.mount_path(mount.folder, mount.subpath)
    except FileNotFound as fault:
        raise FileNotFound(
            f"{mount.subpath} in folder {mount.folder.name}: {fault.detail}", fault.facts
        ) from fault
    return path
