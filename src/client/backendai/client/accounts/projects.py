"""Projects of domains, and who is in them."""

from collections.abc import Sequence
from typing import Final, Unpack

import msgspec

from backendai.client.accounts.rows import Member, Project, ProjectChanges, ProjectProps, wire_props
from backendai.client.channel import Channel
from backendai.client.graph import Graph, fields_of, read_row
from backendai.common.faults import ProjectNotFound

_MADE: Final = f"group {{ {fields_of(Project)} }}"
_ID: Final = {"gid": "UUID!"}


class _Members(msgspec.Struct, frozen=True):
    members: tuple[Member, ...] | None


class Projects:
    """Users see their own, domain admins the domain's and change them, superadmins all. Admins of a
    project see and change who is in it.

    Changes raise ProjectNotFound, Conflict, InsufficientPrivilege and BadUsage.
    """

    def __init__(self, channel: Channel) -> None:
        self._graph = Graph(channel)

    async def list(
        self, *, domain: str | None = None, is_active: bool | None = None
    ) -> tuple[Project, ...]:
        types = {"domain_name": "String", "is_active": "Boolean"}
        args = {"domain_name": domain, "is_active": is_active}
        return await self._graph.list(Project, "groups", types, args)

    async def find(self, name: str, *, domain: str) -> Project | None:
        types = {"name": "String!", "domain_name": "String"}
        args = {"name": name, "domain_name": domain}
        return next(iter(await self._graph.list(Project, "groups_by_name", types, args)), None)

    async def get(self, name: str, *, domain: str) -> Project:
        """Raises ProjectNotFound."""
        found = await self.find(name, domain=domain)
        if found is None:
            raise ProjectNotFound(f"{name} in domain {domain}")
        return found

    async def create(self, name: str, *, domain: str, **props: Unpack[ProjectProps]) -> Project:
        types = {"name": "String!", "props": "GroupInput!"}
        args = {"name": name, "props": wire_props({**props, "domain": domain})}
        return read_row(
            Project, (await self._graph.change("create_group", types, args, _MADE))["group"]
        )

    async def modify(self, project_id: str, **changes: Unpack[ProjectChanges]) -> Project:
        types = {**_ID, "props": "ModifyGroupInput!"}
        args = {"gid": project_id, "props": wire_props(changes)}
        return read_row(
            Project, (await self._graph.change("modify_group", types, args, _MADE))["group"]
        )

    async def members(self, project_id: str) -> tuple[Member, ...] | None:
        """Who is in it, for those who administer it; None for others. Raises ProjectNotFound."""
        found = await self._graph.find(_Members, "group", {"id": "UUID!"}, {"id": project_id})
        if found is None:
            raise ProjectNotFound(project_id)
        return found.members

    async def add_users(self, project_id: str, users: Sequence[str]) -> None:
        """Users of its domain, by id or email; who is in it already stays so."""
        await self._change_members(project_id, "user", "add", users)

    async def remove_users(self, project_id: str, users: Sequence[str]) -> None:
        """By id or email."""
        await self._change_members(project_id, "user", "remove", users)

    async def add_admins(self, project_id: str, users: Sequence[str]) -> None:
        """Make users of its domain admins of it, by id or email; they come in if need be. For
        domain admins and superadmins."""
        await self._change_members(project_id, "admin", "add", users)

    async def remove_admins(self, project_id: str, users: Sequence[str]) -> None:
        """Let admins, by id or email, be nothing but members. For domain admins and superadmins."""
        await self._change_members(project_id, "admin", "remove", users)

    async def activate(self, project_id: str) -> Project:
        return await self.modify(project_id, is_active=True)

    async def deactivate(self, project_id: str) -> Project:
        """Let no session begin in it; everything is kept."""
        return await self.modify(project_id, is_active=False)

    async def delete(self, project_id: str) -> None:
        """The same as `deactivate`."""
        await self._graph.change("delete_group", _ID, {"gid": project_id})

    async def purge(self, project_id: str) -> None:
        """Remove it for good, with the record of its sessions; refused while some are not over."""
        await self._graph.change("purge_group", _ID, {"gid": project_id})

    async def _change_members(
        self, project_id: str, whose: str, mode: str, users: Sequence[str]
    ) -> None:
        types = {**_ID, "props": "ModifyGroupInput!"}
        props = {f"{whose}_update_mode": mode, f"{whose}_uuids": list(users)}
        await self._graph.change("modify_group", types, {"gid": project_id, "props": props})
