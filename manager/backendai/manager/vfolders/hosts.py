"""Storage hosts as people see them: which there are, how full they are, and quotas on them."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import Fault, InvalidParams
from backendai.common.logs import get_logger
from backendai.manager.audit.change import Change, Changes
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor
from backendai.manager.policies.reach import get_project

from . import actions, store
from .access import Operation
from .model import Folder, Ownership
from .proxies import FolderUsage, Proxies, ScopeUsage, Volume
from .reach import reach, require_managed
from .scopes import note_limit, require_known, scope_usage, set_limit

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HostInfo:
    """A volume and how full it is, in percent; None is unknown."""

    volume: Volume
    used_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Hosts:
    """`infos` has those whose proxy answered."""

    default: str | None
    allowed: list[str]
    infos: dict[str, HostInfo] = field(default_factory=dict)


class FolderHosts:
    """Every method that asks one host raises as `Proxies`."""

    def __init__(self, database: Database, changes: Changes, proxies: Proxies) -> None:
        self._database = database
        self._changes = changes
        self._proxies = proxies

    async def list_allowed(self, actor: Actor, project: str | None) -> Hosts:
        """The hosts of which anything is allowed to `actor`, or within a project; those that a
        proxy that is away has too. Raises ProjectNotFound."""

        async def load(conn: AsyncConnection) -> list[str]:
            found = await get_project(conn, actor, project) if project else None
            allowed = await store.load_allowed_hosts(conn, actor, found.id if found else None)
            return allowed.hosts

        wanted = await self._database.read(load)
        infos, silent = await self._look()
        known = [host for host in wanted if host in infos or host.partition(":")[0] in silent]
        told = await self._fill({host: infos[host] for host in known if host in infos})
        default = self._proxies.config.default_host
        return Hosts(default if default in known else None, known, told)

    async def list_all(self) -> Hosts:
        infos, _ = await self._look()
        return Hosts(self._proxies.config.default_host, sorted(infos), infos)

    def list_types(self) -> list[str]:
        return [each.value for each in Ownership if each in self._proxies.config.types]

    async def metric(self, host: str) -> dict[str, float]:
        return await self._proxies.metric(host)

    async def usage(self, actor: Actor, folder_id: UUID, host: str | None) -> FolderUsage:
        folder = await self._get(actor, folder_id, host)
        return await self._proxies.usage(folder)

    async def used_bytes(self, actor: Actor, folder_id: UUID, host: str | None) -> int:
        folder = await self._get(actor, folder_id, host)
        return await self._proxies.used_bytes(folder)

    async def quota(self, actor: Actor, folder_id: UUID, host: str | None) -> ScopeUsage:
        """That of the quota scope in which the folder is, with all its others: for whom that is
        of, the members of a project that it is of, and administrators. Raises Forbidden."""

        async def load(conn: AsyncConnection) -> Folder:
            folder = await _get(conn, actor, folder_id, host)
            await require_known(conn, actor, folder.quota_scope_id)
            return folder

        folder = await self._database.read(load)
        return await scope_usage(self._proxies, folder.host, folder.quota_scope_id)

    async def set_quota(
        self, actor: Actor, folder_id: UUID, host: str | None, size_bytes: int | None
    ) -> None:
        """Set the limit of the folder's quota scope, for administrators; None takes it away."""

        async def work(change: Change) -> Folder:
            folder = await _get(change.connection, actor, folder_id, host)
            await note_limit(change, folder.host, folder.quota_scope_id, size_bytes)
            return folder

        folder = await self._changes.run(actor, actions.SET_QUOTA, work)
        await set_limit(self._proxies, folder.host, folder.quota_scope_id, size_bytes)

    async def _get(self, actor: Actor, folder_id: UUID, host: str | None) -> Folder:
        return await self._database.read(lambda conn: _get(conn, actor, folder_id, host))

    async def _look(self) -> tuple[dict[str, HostInfo], set[str]]:
        """The volumes of all proxies by host, and the proxies that do not answer."""
        names = sorted(self._proxies.config.proxies)
        answers = await asyncio.gather(*map(self._list, names))
        infos = {
            f"{name}:{volume.name}": HostInfo(volume)
            for name, volumes in zip(names, answers, strict=True)
            for volume in volumes or ()
        }
        silent = {name for name, volumes in zip(names, answers, strict=True) if volumes is None}
        return infos, silent

    async def _list(self, proxy: str) -> list[Volume] | None:
        try:
            return await self._proxies.list_volumes(proxy)
        except Fault as fault:
            log.warning("storage.not_listed", proxy=proxy, code=fault.code)
            return None

    async def _fill(self, infos: dict[str, HostInfo]) -> dict[str, HostInfo]:
        percents = await asyncio.gather(*map(self._percent, infos))
        return {
            host: HostInfo(info.volume, percent)
            for (host, info), percent in zip(infos.items(), percents, strict=True)
        }

    async def _percent(self, host: str) -> float | None:
        try:
            usage = await self._proxies.volume_usage(host)
        except Fault as fault:
            log.info("storage.usage_unknown", host=host, code=fault.code)
            return None
        return 100 * usage.used_bytes / usage.capacity_bytes if usage.capacity_bytes else 0.0


async def _get(conn: AsyncConnection, actor: Actor, folder_id: UUID, host: str | None) -> Folder:
    """Raises VFolderNotFound, VFolderUnmanaged, and InvalidParams for a host that is not its."""
    folder = require_managed(await reach(conn, actor, str(folder_id), Operation.INFO))
    if host is not None and host != folder.host:
        raise InvalidParams(facts={"folder_host": "is not the host of this folder"})
    return folder
