"""The roots of storage: folders, volumes, quota scopes. Proxies are asked for what is selected."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from graphql import GraphQLError

from backendai.common.faults import Fault, InvalidParams, VFolderNotFound
from backendai.common.logs import get_logger
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor
from backendai.manager.vfolders import actions, store
from backendai.manager.vfolders.assembly import VFolders
from backendai.manager.vfolders.proxies import Proxies, Volume
from backendai.manager.vfolders.scopes import QuotaScope

from . import vfolders as folders
from .execute import GraphContext, Resolver, sync_fields
from .mutations import Errand
from .pages import Wanted
from .queries import Root
from .selection import Info, selected
from .texts import json_text, read_id
from .vfolders import VFolderView

log = get_logger(__name__)

_USAGE: Final = frozenset({"num_files", "cur_size"})
_WHOLE: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_BYTES_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class VolumeView:
    """A volume, with what was asked of its proxy about it, by the name of the field."""

    host: str
    volume: Volume
    told: Mapping[str, Any]


class StorageRoots:
    def __init__(self, database: Database, vfolders: VFolders) -> None:
        self._database = database
        self._vfolders = vfolders

    def roots(self) -> dict[str, Root]:
        return {
            "vfolder": Root(actions.READ, self._folder),
            "vfolders": Root(actions.READ, self._folders),
            "vfolder_list": Root(actions.READ, self._seen),
            "vfolder_own_list": Root(actions.READ, self._own),
            "vfolder_invited_list": Root(actions.READ, self._invited),
            "vfolder_project_list": Root(actions.READ, self._of_projects),
            "vfolder_permission_list": Root(actions.READ_SHARES, self._shares),
            "storage_volume": Root(actions.READ_VOLUMES, self._volume),
            "storage_volume_list": Root(actions.READ_VOLUMES, self._volumes),
            "quota_scope": Root(actions.QUOTA, self._scope),
        }

    async def _folder(
        self,
        _: Any,
        info: Info,
        id: str | None = None,  # noqa: A002 - the name of the argument
    ) -> Any:
        actor, folder_id = _actor(info), str(read_id(id))
        try:
            seen = await self._database.read(lambda db: store.get_seen(db, actor, folder_id))
        except VFolderNotFound:
            return None
        view = VFolderView(seen)
        if _USAGE.isdisjoint(selected(info)):
            return view
        counted = await self._vfolders.usages.find(seen.folder)
        return replace(view, usage=counted.usage if counted else None)

    async def _folders(self, _: Any, info: Info, **args: Any) -> Any:
        views = await self._database.read(lambda db: folders.load_folders(db, _actor(info), args))
        return await self._count(views, selected(info))

    async def _seen(self, _: Any, info: Info, **args: Any) -> Any:
        return await self._page(info, args, store.is_seen(_actor(info), administered=True))

    async def _own(self, _: Any, info: Info, **args: Any) -> Any:
        return await self._page(info, args, store.is_owned(_actor(info)))

    async def _invited(self, _: Any, info: Info, **args: Any) -> Any:
        return await self._page(info, args, store.is_shared_with(_actor(info)))

    async def _of_projects(self, _: Any, info: Info, **args: Any) -> Any:
        return await self._page(info, args, store.is_member(_actor(info)))

    async def _page(self, info: Info, args: dict[str, Any], where: Any) -> Any:
        page = await self._database.read(
            lambda db: folders.load_page(db, _actor(info), info, args, where)
        )
        return page | {"items": await self._count(page["items"], selected(info, "items"))}

    async def _count(self, views: list[VFolderView], fields: set[str]) -> list[VFolderView]:
        """With how much is in them, where that is selected and known soon."""
        if _USAGE.isdisjoint(fields):
            return views
        found = await self._vfolders.usages.find_several(view.seen.folder for view in views)
        return [
            replace(view, usage=found[view.seen.folder.id].usage)
            if view.seen.folder.id in found
            else view
            for view in views
        ]

    async def _shares(self, _: Any, info: Info, **args: Any) -> Any:
        return await self._database.read(lambda db: folders.load_shares(db, info, args))

    async def _volume(
        self,
        _: Any,
        info: Info,
        id: str | None = None,  # noqa: A002 - the name of the argument
    ) -> Any:
        infos = (await self._vfolders.hosts.list_all()).infos
        if id is None or id not in infos:
            return None
        return await _view(self._vfolders.proxies, id, infos[id].volume, selected(info))

    async def _volumes(self, _: Any, info: Info, **args: Any) -> Any:
        """By host. There are few: what is asked of proxies is asked of those on the page."""
        wanted = Wanted.read(args, selected(info))
        if wanted.filter or wanted.order:
            raise GraphQLError("Volumes are not filtered or ordered; they come by their ids.")
        infos = (await self._vfolders.hosts.list_all()).infos
        page = sorted(infos)[wanted.offset : wanted.offset + wanted.limit]
        fields, proxies = selected(info, "items"), self._vfolders.proxies
        views = [_view(proxies, host, infos[host].volume, fields) for host in page]
        return {"items": await asyncio.gather(*views), "total_count": len(infos)}

    async def _scope(self, _: Any, info: Info, storage_host_name: str, quota_scope_id: str) -> Any:
        return await self._vfolders.scopes.get(_actor(info), storage_host_name, quota_scope_id)


async def _view(proxies: Proxies, host: str, volume: Volume, fields: set[str]) -> VolumeView:
    asks: dict[str, Callable[[str], Awaitable[Any]]] = {
        "hardware_metadata": proxies.hardware,
        "performance_metric": proxies.metric,
        "usage": proxies.volume_usage,
    }
    told = {name: await _ask(name, host, ask) for name, ask in asks.items() if name in fields}
    return VolumeView(host, volume, told)


async def _ask(name: str, host: str, ask: Callable[[str], Awaitable[Any]]) -> str | None:
    """As JSON text; None while the proxy does not tell."""
    try:
        return json_text(msgspec.to_builtins(await ask(host)))
    except Fault as fault:
        log.info("storage.not_told", host=host, what=name, code=fault.code)
        return None


async def set_limit(
    vfolders: VFolders,
    actor: Actor,
    props: Mapping[str, Any],
    quota_scope_id: str,
    storage_host_name: str,
) -> Mapping[str, Any]:
    """Less than zero, and null, are no limit."""
    limit = _read_limit(props.get("hard_limit_bytes"))
    scope = await vfolders.scopes.set_limit(actor, storage_host_name, quota_scope_id, limit)
    return {"quota_scope": scope}


async def unset_limit(
    vfolders: VFolders, actor: Actor, quota_scope_id: str, storage_host_name: str
) -> Mapping[str, Any]:
    scope = await vfolders.scopes.set_limit(actor, storage_host_name, quota_scope_id, None)
    return {"quota_scope": scope}


def _read_limit(size: Any) -> int | None:
    """BigInt takes whatever JSON has. Raises InvalidParams."""
    if size is None:
        return None
    is_number = isinstance(size, int) and not isinstance(size, bool)
    text = str(size) if is_number or isinstance(size, str) else ""
    if not _WHOLE.fullmatch(text) or int(text) > _BYTES_MAX:
        raise InvalidParams(facts={"hard_limit_bytes": f"must be bytes, at most {_BYTES_MAX}"})
    return int(text) if int(text) >= 0 else None


def _actor(info: Info) -> Actor:
    context: GraphContext = info.context
    return context.actor


_VOLUME_FIELDS: Final[Mapping[str, Callable[[VolumeView], Any]]] = {
    "id": lambda view: view.host,
    "backend": lambda view: view.volume.backend,
    "fsprefix": lambda view: view.volume.fsprefix,
    "path": lambda view: view.volume.path,
    "capabilities": lambda view: view.volume.capabilities,
    "hardware_metadata": lambda view: view.told.get("hardware_metadata"),
    "performance_metric": lambda view: view.told.get("performance_metric"),
    "usage": lambda view: view.told.get("usage"),
}
_SCOPE_FIELDS: Final[Mapping[str, Callable[[QuotaScope], Any]]] = {
    "id": lambda scope: f"{scope.host}/{scope.id}",
    "quota_scope_id": lambda scope: scope.id,
    "storage_host_name": lambda scope: scope.host,
    "details": lambda scope: scope.usage,
}
FIELDS: Final[Mapping[str, dict[str, Resolver]]] = {
    "VirtualFolder": sync_fields(folders.FOLDER_FIELDS),
    "VirtualFolderPermission": sync_fields(folders.SHARE_FIELDS),
    "StorageVolume": sync_fields(_VOLUME_FIELDS),
    "QuotaScope": sync_fields(_SCOPE_FIELDS),
    "QuotaDetails": sync_fields(
        {
            "usage_bytes": lambda usage: usage.used_bytes,
            # Proxies count bytes, not files.
            "usage_count": lambda usage: None,
            "hard_limit_bytes": lambda usage: usage.limit_bytes,
        }
    ),
}
MUTATIONS: Final[Mapping[str, Errand]] = {
    "set_quota_scope": Errand(actions.SET_QUOTA, set_limit),
    "unset_quota_scope": Errand(actions.SET_QUOTA, unset_limit),
}
