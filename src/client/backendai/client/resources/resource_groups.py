"""Resource groups (`scaling_group` on the wire), and whom their nodes are open to."""

from typing import Final, Unpack

from backendai.client.channel import Channel
from backendai.client.graph import Graph, fields_of, read_row, write_row
from backendai.client.resources.rows import ResourceGroup, ResourceGroupProps
from backendai.common.faults import ResourceGroupNotFound

_NAME: Final = {"name": "String!"}
_GROUP: Final = {"scaling_group": "String!"}
_MADE: Final = f"scaling_group {{ {fields_of(ResourceGroup)} }}"
_FIRST: Final[ResourceGroupProps] = {"driver": "static", "scheduler": "fifo"}


class ResourceGroups:
    """A superadmin's, to see as to change.

    Changes raise ResourceGroupNotFound, Conflict, InsufficientPrivilege and BadUsage.
    """

    def __init__(self, channel: Channel) -> None:
        self._graph = Graph(channel)

    async def list(self, *, is_active: bool | None = None) -> tuple[ResourceGroup, ...]:
        """By name, the first 1000."""
        types, args = {"is_active": "Boolean"}, {"is_active": is_active}
        return await self._graph.list(ResourceGroup, "scaling_groups", types, args)

    async def list_of_domain(self, domain: str) -> tuple[ResourceGroup, ...]:
        """Those that a domain may use, its projects' and keypairs' own ones left out."""
        types, args = {"domain": "String!"}, {"domain": domain}
        return await self._graph.list(ResourceGroup, "scaling_groups_for_domain", types, args)

    async def list_of_project(self, project_id: str) -> tuple[ResourceGroup, ...]:
        types, args = {"user_group": "String!"}, {"user_group": project_id}
        return await self._graph.list(ResourceGroup, "scaling_groups_for_user_group", types, args)

    async def list_of_keypair(self, access_key: str) -> tuple[ResourceGroup, ...]:
        types, args = {"access_key": "String!"}, {"access_key": access_key}
        return await self._graph.list(ResourceGroup, "scaling_groups_for_keypair", types, args)

    async def find(self, name: str) -> ResourceGroup | None:
        return await self._graph.find(ResourceGroup, "scaling_group", _NAME, {"name": name})

    async def get(self, name: str) -> ResourceGroup:
        """Raises ResourceGroupNotFound."""
        found = await self.find(name)
        if found is None:
            raise ResourceGroupNotFound(name)
        return found

    async def create(self, name: str, **props: Unpack[ResourceGroupProps]) -> ResourceGroup:
        """One that is open to nobody yet."""
        types = {**_NAME, "props": "CreateScalingGroupInput!"}
        args = {"name": name, "props": write_row({**_FIRST, **props})}
        made = await self._graph.change("create_scaling_group", types, args, _MADE)
        return read_row(ResourceGroup, made["scaling_group"])

    async def modify(self, name: str, **changes: Unpack[ResourceGroupProps]) -> None:
        types = {**_NAME, "props": "ModifyScalingGroupInput!"}
        args = {"name": name, "props": write_row(changes)}
        await self._graph.change("modify_scaling_group", types, args)

    async def delete(self, name: str) -> None:
        """Raises Conflict while it has nodes or sessions, also such as are on record: switch it off
        then (`is_active`)."""
        await self._graph.change("delete_scaling_group", _NAME, {"name": name})

    async def allow_domain(self, name: str, domain: str) -> None:
        """Open it to everybody in a domain. Raises Conflict where it is open already."""
        await self._open("associate_scaling_group_with_domain", name, "domain", domain)

    async def allow_project(self, name: str, project_id: str) -> None:
        await self._open("associate_scaling_group_with_user_group", name, "user_group", project_id)

    async def allow_keypair(self, name: str, access_key: str) -> None:
        await self._open("associate_scaling_group_with_keypair", name, "access_key", access_key)

    async def disallow_domain(self, name: str, domain: str) -> None:
        """Sessions that are in it stay. Raises NotFound where it is not open."""
        await self._open("disassociate_scaling_group_with_domain", name, "domain", domain)

    async def disallow_project(self, name: str, project_id: str) -> None:
        root = "disassociate_scaling_group_with_user_group"
        await self._open(root, name, "user_group", project_id)

    async def disallow_keypair(self, name: str, access_key: str) -> None:
        root = "disassociate_scaling_group_with_keypair"
        await self._open(root, name, "access_key", access_key)

    async def _open(self, root: str, name: str, argument: str, whom: str) -> None:
        types = {**_GROUP, argument: "UUID!" if argument == "user_group" else "String!"}
        await self._graph.change(root, types, {"scaling_group": name, argument: whom})
