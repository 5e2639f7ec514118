"""Image registries, as superadmins keep them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from backendai.client.channel import Channel
from backendai.client.graph import Graph, Types, fields_of, read_row


class RegistryConfig(msgspec.Struct, frozen=True):
    """`type` is docker or harbor2; no `project` means all; a `password` is never shown, only that
    there is one."""

    url: str
    type: str
    project: Sequence[str] | None = None
    username: str | None = None
    password: str | None = None
    ssl_verify: bool | None = None


class Registry(msgspec.Struct, frozen=True):
    """`hostname` begins the names of its images."""

    hostname: str
    config: RegistryConfig


_SHOWN: Final = f"container_registry {{ {fields_of(Registry)} }}"
_NAMED: Final = {"hostname": "String!"}


class Registries:
    """A superadmin's.

    Changes raise Conflict, RegistryNotFound, InsufficientPrivilege and BadUsage, and are never
    asked twice.
    """

    def __init__(self, channel: Channel) -> None:
        self._graph = Graph(channel)

    async def list(self) -> tuple[Registry, ...]:
        return await self._graph.list(Registry, "container_registries", {}, {})

    async def add(
        self,
        hostname: str,
        url: str,
        *,
        type: str = "docker",  # noqa: A002 - the word of the API
        project: Sequence[str] = (),
        username: str = "",
        password: str = "",
        ssl_verify: bool = True,
    ) -> Registry:
        props = {
            "url": url,
            "type": type,
            "project": list(project),
            "username": username,
            "password": password,
            "ssl_verify": ssl_verify,
        }
        return await self._change(
            "create_container_registry", "CreateContainerRegistryInput!", hostname, props
        )

    async def modify(self, hostname: str, props: Mapping[str, Any]) -> Registry:
        """`props` are fields of RegistryConfig; what is not named stays, an empty text removes."""
        return await self._change(
            "modify_container_registry", "ModifyContainerRegistryInput!", hostname, props
        )

    async def delete(self, hostname: str) -> None:
        """Its images stay known until they are forgotten."""
        shown = "container_registry { hostname }"
        await self._graph.change_shown(
            "delete_container_registry", _NAMED, {"hostname": hostname}, shown
        )

    async def _change(
        self, root: str, kind: str, hostname: str, props: Mapping[str, Any]
    ) -> Registry:
        types: Types = {**_NAMED, "props": kind}
        args = {"hostname": hostname, "props": dict(props)}
        answer = await self._graph.change_shown(root, types, args, _SHOWN)
        return read_row(Registry, answer["container_registry"])
