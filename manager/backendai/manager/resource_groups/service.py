"""Which resource groups a person may use in a project."""

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import ResourceGroupNotFound
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor
from backendai.manager.policies.reach import ResourceGroup, get_project, list_resource_groups

from .proxy import AppProxy


class ResourceGroups:
    def __init__(self, database: Database, proxy: AppProxy) -> None:
        self._database = database
        self._proxy = proxy

    async def list_usable(self, actor: Actor, project: str) -> list[ResourceGroup]:
        """Administrators also see those that are not public. Raises ProjectNotFound."""

        async def work(conn: AsyncConnection) -> list[ResourceGroup]:
            found = await get_project(conn, actor, project)
            return await list_resource_groups(conn, actor.access_key, found)

        groups = await self._database.read(work)
        return [group for group in groups if group.is_public or actor.is_domain_admin]

    async def proxy_version(self, actor: Actor, name: str, project: str) -> str:
        """`v1` where the group has no app proxy of its own.

        Raises ProjectNotFound, ResourceGroupNotFound, and Unavailable where the proxy is away.
        """
        usable = {group.name: group for group in await self.list_usable(actor, project)}
        if name not in usable:
            raise ResourceGroupNotFound(f"{name!r} is none that you may use")
        address = usable[name].proxy_address
        return (await self._proxy.ask_status(address)).api_version if address else "v1"
