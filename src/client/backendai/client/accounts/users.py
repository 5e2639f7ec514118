"""Users of domains."""

from typing import Final, Unpack

from backendai.client.accounts.rows import (
    LIST_TYPES,
    MADE_ORDER,
    User,
    UserChanges,
    UserProps,
    wire_props,
)
from backendai.client.channel import Channel
from backendai.client.graph import Graph, fields_of, read_row
from backendai.common.faults import UserNotFound

ACTIVE: Final = "active"
INACTIVE: Final = "inactive"
_MADE: Final = f"user {{ {fields_of(User)} }}"


class Users:
    """Users see themselves, domain admins their domain's, superadmins all and change them.

    Changes raise UserNotFound, Conflict, Forbidden, InsufficientPrivilege and BadUsage.
    """

    def __init__(self, channel: Channel) -> None:
        self._graph = Graph(channel)

    async def list(
        self,
        *,
        domain: str | None = None,
        project_id: str | None = None,
        status: str | None = None,
        filter: str | None = None,  # noqa: A002 - the word of the API
        order: str = MADE_ORDER,
        limit: int | None = None,
    ) -> tuple[User, ...]:
        """All, or the first `limit`, `filter`ed (`role == "admin"`) and in `order` (`-email`)."""
        types = {"domain_name": "String", "group_id": "UUID", "status": "String", **LIST_TYPES}
        args = {
            "domain_name": domain,
            "group_id": project_id,
            "status": status,
            "filter": filter,
            "order": order,
        }
        return await self._graph.list_pages(User, "user_list", types, args, rows_max=limit)

    async def find(self, email: str) -> User | None:
        return await self._graph.find(User, "user", {"email": "String"}, {"email": email})

    async def get(self, email: str) -> User:
        """Raises UserNotFound."""
        found = await self.find(email)
        if found is None:
            raise UserNotFound(email)
        return found

    async def create(self, email: str, password: str, **props: Unpack[UserProps]) -> User:
        """A user with a first keypair, `main_access_key`."""
        types = {"email": "String!", "props": "UserInput!"}
        args = {"email": email, "props": {**wire_props(props), "password": password}}
        return read_row(User, (await self._graph.change("create_user", types, args, _MADE))["user"])

    async def modify(self, email: str, **changes: Unpack[UserChanges]) -> User:
        types = {"email": "String!", "props": "ModifyUserInput!"}
        args = {"email": email, "props": wire_props(changes)}
        return read_row(User, (await self._graph.change("modify_user", types, args, _MADE))["user"])

    async def activate(self, email: str) -> User:
        return await self.modify(email, status=ACTIVE)

    async def deactivate(self, email: str) -> User:
        """Do not let the user in; the keypairs stay as they are."""
        return await self.modify(email, status=INACTIVE)

    async def delete(self, email: str) -> None:
        """Switch the account and its keypairs off; everything is kept."""
        await self._graph.change("delete_user", {"email": "String!"}, {"email": email})

    async def purge(self, email: str) -> None:
        """Remove the user for good, with keypairs and the record of sessions; refused while some
        are not over."""
        types = {"email": "String!", "props": "PurgeUserInput!"}
        await self._graph.change("purge_user", types, {"email": email, "props": {}})
