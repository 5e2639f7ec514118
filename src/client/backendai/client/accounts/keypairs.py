"""Keypairs of users."""

from typing import Final, Unpack

from backendai.client.accounts.rows import (
    LIST_TYPES,
    MADE_ORDER,
    Keypair,
    KeypairProps,
    NewKeypair,
    wire_props,
)
from backendai.client.channel import Channel
from backendai.client.graph import Graph, fields_of, read_row
from backendai.common.faults import KeypairNotFound

_MADE: Final = f"keypair {{ {fields_of(NewKeypair)} }}"
_KEY: Final = {"access_key": "String!"}


class Keypairs:
    """Users see their own, domain admins their domain's, superadmins all and change them.

    Changes raise KeypairNotFound, UserNotFound, Conflict, Forbidden, InsufficientPrivilege and
    BadUsage.
    """

    def __init__(self, channel: Channel) -> None:
        self._graph = Graph(channel)

    async def list(
        self,
        *,
        email: str | None = None,
        domain: str | None = None,
        is_active: bool | None = None,
        filter: str | None = None,  # noqa: A002 - the word of the API
        order: str = MADE_ORDER,
        limit: int | None = None,
    ) -> tuple[Keypair, ...]:
        """All, or the first `limit`, `filter`ed (`is_admin == true`) and in `order`
        (`-last_used`)."""
        types = {"email": "String", "domain_name": "String", "is_active": "Boolean", **LIST_TYPES}
        args = {
            "email": email,
            "domain_name": domain,
            "is_active": is_active,
            "filter": filter,
            "order": order,
        }
        return await self._graph.list_pages(Keypair, "keypair_list", types, args, rows_max=limit)

    async def find(self, access_key: str) -> Keypair | None:
        types = {"access_key": "String"}
        return await self._graph.find(Keypair, "keypair", types, {"access_key": access_key})

    async def get(self, access_key: str) -> Keypair:
        """Raises KeypairNotFound."""
        found = await self.find(access_key)
        if found is None:
            raise KeypairNotFound(access_key)
        return found

    async def create(self, owner: str, **props: Unpack[KeypairProps]) -> NewKeypair:
        """One more for the user with this email or id. Keep the secret key: it is told once."""
        types = {"user_id": "String!", "props": "KeyPairInput!"}
        args = {"user_id": owner, "props": wire_props(props)}
        made = await self._graph.change("create_keypair", types, args, _MADE)
        return read_row(NewKeypair, made["keypair"])

    async def modify(self, access_key: str, **changes: Unpack[KeypairProps]) -> None:
        types = {**_KEY, "props": "ModifyKeyPairInput!"}
        args = {"access_key": access_key, "props": wire_props(changes)}
        await self._graph.change("modify_keypair", types, args)

    async def activate(self, access_key: str) -> None:
        await self.modify(access_key, is_active=True)

    async def deactivate(self, access_key: str) -> None:
        """Refuse what it signs; its sessions go on."""
        await self.modify(access_key, is_active=False)

    async def delete(self, access_key: str) -> None:
        """Remove it for good. The record of its sessions goes over to another one of the user."""
        await self._graph.change("delete_keypair", _KEY, {"access_key": access_key})
