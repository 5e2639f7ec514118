"""Image registries, as superadmins keep them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from backendai.client.channel import Channel, convert

_FIELDS: Final = "hostname config { url type project username password ssl_verify }"
_LIST: Final = f"query {{ container_registries {{ {_FIELDS} }} }}"
_CREATE: Final = (
    "mutation($hostname: String!, $props: CreateContainerRegistryInput!)"
    " { create_container_registry(hostname: $hostname, props: $props)"
    f" {{ container_registry {{ {_FIELDS} }} }} }}"
)
_MODIFY: Final = (
    "mutation($hostname: String!, $props: ModifyContainerRegistryInput!)"
    " { modify_container_registry(hostname: $hostname, props: $props)"
    f" {{ container_registry {{ {_FIELDS} }} }} }}"
)
_DELETE: Final = (
    "mutation($hostname: String!)"
    " { delete_container_registry(hostname: $hostname) { container_registry { hostname } } }"
)


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


class Registries:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def list(self) -> tuple[Registry, ...]:
        data = await self._channel.query(_LIST, {})
        return convert(tuple[Registry, ...], data.get("container_registries") or ())

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
        return await self._change("create_container_registry", _CREATE, hostname, props)

    async def modify(self, hostname: str, props: Mapping[str, Any]) -> Registry:
        """`props` are fields of RegistryConfig; what is not named stays, an empty text removes."""
        return await self._change("modify_container_registry", _MODIFY, hostname, props)

    async def delete(self, hostname: str) -> None:
        """Its images stay known until they are forgotten."""
        await self._channel.query(_DELETE, {"hostname": hostname})

    async def _change(
        self, root: str, document: str, hostname: str, props: Mapping[str, Any]
    ) -> Registry:
        data = await self._channel.query(document, {"hostname": hostname, "props": dict(props)})
        return convert(Registry, data[root]["container_registry"])
