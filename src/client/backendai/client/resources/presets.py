"""Presets: named amounts that people pick from. `Client.cluster` says which could start now."""

from collections.abc import Mapping
from typing import Any, Final, Unpack

from backendai.client.channel import Channel
from backendai.client.graph import Graph, fields_of, read_row, write_row
from backendai.client.resources.rows import Preset, PresetProps
from backendai.common.faults import PresetNotFound

_NAME: Final = {"name": "String!"}
_MADE: Final = f"resource_preset {{ {fields_of(Preset)} }}"


class Presets:
    """Everybody sees all; changes are a superadmin's.

    Changes raise PresetNotFound, Conflict, InsufficientPrivilege and BadUsage.
    """

    def __init__(self, channel: Channel) -> None:
        self._graph = Graph(channel)

    async def list(self) -> tuple[Preset, ...]:
        return await self._graph.list(Preset, "resource_presets", {}, {})

    async def find(self, name: str) -> Preset | None:
        return await self._graph.find(Preset, "resource_preset", _NAME, {"name": name})

    async def get(self, name: str) -> Preset:
        """Raises PresetNotFound."""
        found = await self.find(name)
        if found is None:
            raise PresetNotFound(name)
        return found

    async def create(self, name: str, **props: Unpack[PresetProps]) -> Preset:
        types = {**_NAME, "props": "CreateResourcePresetInput!"}
        args = {"name": name, "props": _write({"resource_slots": {}, **props})}
        made = await self._graph.change("create_resource_preset", types, args, _MADE)
        return read_row(Preset, made["resource_preset"])

    async def modify(self, name: str, **changes: Unpack[PresetProps]) -> None:
        types = {**_NAME, "props": "ModifyResourcePresetInput!"}
        args = {"name": name, "props": _write(changes)}
        await self._graph.change("modify_resource_preset", types, args)

    async def delete(self, name: str) -> None:
        """Sessions that were started from it stay as they are."""
        await self._graph.change("delete_resource_preset", _NAME, {"name": name})


def _write(props: Mapping[str, Any]) -> dict[str, Any]:
    """A size is a text there."""
    return {
        name: str(value) if name == "shared_memory" else value
        for name, value in write_row(props).items()
    }
