"""Policies of keypairs, of users and of projects."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Generic, TypeVar, Unpack

import msgspec

from backendai.client.channel import Channel
from backendai.client.graph import Graph, fields_of, read_row, write_row
from backendai.client.resources.rows import (
    KeypairPolicy,
    KeypairPolicyProps,
    ProjectPolicy,
    ProjectPolicyProps,
    UserPolicy,
    UserPolicyProps,
)
from backendai.common.faults import PolicyNotFound

S = TypeVar("S", bound=msgspec.Struct)

_NAME: Final = {"name": "String!"}
# A keypair's policy must say these; they are what the server's first policy has.
_KEYPAIR_FIRST: Final[KeypairPolicyProps] = {
    "default_for_unspecified": "UNLIMITED",
    "max_concurrent_sessions": 100,
    "max_containers_per_session": 16,
    "idle_timeout": 0,
}


class Policies(Generic[S]):
    """Everybody sees those that bind them, administrators all; changes are a superadmin's.

    Changes raise PolicyNotFound, Conflict, InsufficientPrivilege and BadUsage.
    """

    # What they are of, in names of fields and in names of types.
    _of: ClassVar[str]
    _type: ClassVar[str]

    def __init__(self, channel: Channel, kind: type[S]) -> None:
        self._graph = Graph(channel)
        self._kind = kind

    async def list(self) -> tuple[S, ...]:
        return await self._graph.list(self._kind, f"{self._of}_resource_policies", {}, {})

    async def find(self, name: str) -> S | None:
        root = f"{self._of}_resource_policy"
        return await self._graph.find(self._kind, root, _NAME, {"name": name})

    async def get(self, name: str) -> S:
        """Raises PolicyNotFound."""
        found = await self.find(name)
        if found is None:
            raise PolicyNotFound(name)
        return found

    async def delete(self, name: str) -> None:
        """Raises Conflict, which names who has it, while somebody does."""
        await self._graph.change(f"delete_{self._of}_resource_policy", _NAME, {"name": name})

    async def _create(self, name: str, props: Mapping[str, Any]) -> S:
        types = {**_NAME, "props": f"Create{self._type}ResourcePolicyInput!"}
        args = {"name": name, "props": write_row(props)}
        fields = f"resource_policy {{ {fields_of(self._kind)} }}"
        made = await self._graph.change(f"create_{self._of}_resource_policy", types, args, fields)
        return read_row(self._kind, made["resource_policy"])

    async def _modify(self, name: str, changes: Mapping[str, Any]) -> None:
        types = {**_NAME, "props": f"Modify{self._type}ResourcePolicyInput!"}
        args = {"name": name, "props": write_row(changes)}
        await self._graph.change(f"modify_{self._of}_resource_policy", types, args)


class KeypairPolicies(Policies[KeypairPolicy]):
    _of = "keypair"
    _type = "KeyPair"

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel, KeypairPolicy)

    async def create(self, name: str, **props: Unpack[KeypairPolicyProps]) -> KeypairPolicy:
        """What is not said is as in the first policy of a server: 100 sessions, of 16 containers at
        most, any amounts, for ever."""
        return await self._create(name, {**_KEYPAIR_FIRST, **props})

    async def modify(self, name: str, **changes: Unpack[KeypairPolicyProps]) -> None:
        """It holds for what is scheduled from now on."""
        await self._modify(name, changes)


class UserPolicies(Policies[UserPolicy]):
    _of = "user"
    _type = "User"

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel, UserPolicy)

    async def create(self, name: str, **props: Unpack[UserPolicyProps]) -> UserPolicy:
        return await self._create(name, props)

    async def modify(self, name: str, **changes: Unpack[UserPolicyProps]) -> None:
        await self._modify(name, changes)


class ProjectPolicies(Policies[ProjectPolicy]):
    _of = "project"
    _type = "Project"

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel, ProjectPolicy)

    async def create(self, name: str, **props: Unpack[ProjectPolicyProps]) -> ProjectPolicy:
        return await self._create(name, props)

    async def modify(self, name: str, **changes: Unpack[ProjectPolicyProps]) -> None:
        await self._modify(name, changes)
