"""Domains: the tenants."""

from typing import Final, Unpack

from backendai.client.accounts.rows import Domain, DomainChanges, DomainProps, wire_props
from backendai.client.channel import Channel
from backendai.client.graph import Graph, fields_of, read_row
from backendai.common.faults import DomainNotFound

_MADE: Final = f"domain {{ {fields_of(Domain)} }}"


class Domains:
    """Everybody sees the own one; changes are a superadmin's.

    Changes raise DomainNotFound, Conflict, Forbidden, InsufficientPrivilege and BadUsage.
    """

    def __init__(self, channel: Channel) -> None:
        self._graph = Graph(channel)

    async def list(self, *, is_active: bool | None = None) -> tuple[Domain, ...]:
        types = {"is_active": "Boolean"}
        return await self._graph.list(Domain, "domains", types, {"is_active": is_active})

    async def find(self, name: str) -> Domain | None:
        return next((domain for domain in await self.list() if domain.name == name), None)

    async def get(self, name: str) -> Domain:
        """Raises DomainNotFound."""
        found = await self.find(name)
        if found is None:
            raise DomainNotFound(name)
        return found

    async def create(self, name: str, **props: Unpack[DomainProps]) -> Domain:
        types = {"name": "String!", "props": "DomainInput!"}
        args = {"name": name, "props": wire_props(props)}
        return read_row(
            Domain, (await self._graph.change("create_domain", types, args, _MADE))["domain"]
        )

    async def modify(self, name: str, /, **changes: Unpack[DomainChanges]) -> Domain:
        types = {"name": "String!", "props": "ModifyDomainInput!"}
        args = {"name": name, "props": wire_props(changes)}
        return read_row(
            Domain, (await self._graph.change("modify_domain", types, args, _MADE))["domain"]
        )

    async def activate(self, name: str) -> Domain:
        return await self.modify(name, is_active=True)

    async def deactivate(self, name: str) -> Domain:
        """Let none of its users in; everything is kept."""
        return await self.modify(name, is_active=False)

    async def delete(self, name: str) -> None:
        """The same as `deactivate`."""
        await self._graph.change("delete_domain", {"name": "String!"}, {"name": name})

    async def purge(self, name: str) -> None:
        """Remove an empty one for good."""
        await self._graph.change("purge_domain", {"name": "String!"}, {"name": name})
