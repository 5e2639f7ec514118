"""Projects of domains, and who is in them."""

from collections.abc import Sequence
from typing import Final, Unpack

from backendai.client.accounts.rows import Project, ProjectChanges, ProjectProps, wire_props
from backendai.client.channel import Channel
from backendai.client.graph import Graph, fields_of, read_row
from backendai.common.faults import ProjectNotFound

_MADE: Final = f"group {{ {fields_of(Project)} }}"
_ID: Final = {"gid": "UUID!"}


class Projects:
    """Users see their own, domain admins the domain's and change them, superadmins all.

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

    async def add_users(self, project_id: str, user_ids: Sequence[str]) -> None:
        """Users of its domain; who is in it already stays so."""
        await self._change_users(project_id, "add", user_ids)

    async def remove_users(self, project_id: str, user_ids: Sequence[str]) -> None:
        await self._change_users(project_id, "remove", user_ids)

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

    async def _change_users(self, project_id: str, mode: str, user_ids: Sequence[str]) -> None:
        types = {**_ID, "props": "ModifyGroupInput!"}
        props = {"user_update_mode": mode, "user_uuids": list(user_ids)}
        await self._graph.change("modify_group", types, {"gid": project_id, "props": props})
