"""What is true of the whole cluster: the configuration in etcd, and the slots that nodes offer."""

import contextlib
import urllib.parse
import uuid
from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa

from backendai.common.enums import ProjectRole
from backendai.common.slots import CPU, MEM, SlotError, parse_slot_name, slot_type
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor
from backendai.manager.images.registries import list_addresses
from backendai.manager.policies.store import list_slot_names

CONFIG_PREFIX: Final = "config/"
SLOTS_PREFIX: Final = CONFIG_PREFIX + "resource_slots/"
ANNOUNCEMENT_KEY: Final = CONFIG_PREFIX + "announcement"
REGISTRIES_PREFIX: Final = CONFIG_PREFIX + "docker/registry/"
PROJECT_USE_KEY: Final = CONFIG_PREFIX + "api/resources/group_resource_visibility"
_NO: Final = frozenset({"false", "no", "off", "0"})


class ClusterFacts:
    """Answers from the last known configuration, so that etcd may be away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._config: Mapping[str, str] = {}
        self._is_known = False

    def learn(self, config: Mapping[str, str]) -> None:
        """Take over a new snapshot of the configuration."""
        self._config, self._is_known = config, True

    def find(self, key: str) -> str | None:
        """The value of `key` below config/, where it is set."""
        return self._config.get(CONFIG_PREFIX + key)

    def find_below(self, path: str) -> dict[str, str] | None:
        """What is set below config/ and `path`, which ends in a slash, by the rest of its key.

        None while nothing has been learned yet.
        """
        if not self._is_known:
            return None
        prefix = CONFIG_PREFIX + path
        return {
            key.removeprefix(prefix): value
            for key, value in self._config.items()
            if key.startswith(prefix)
        }

    async def slot_types(self, group: str | None = None) -> dict[str, str]:
        """Slot name -> count, bytes or unique: built in, configured, and offered by any node.

        With `group` only what is built in and offered by the nodes of that resource group.
        """
        offered = await self._database.read(lambda conn: list_slot_names(conn, group))
        named = {str(CPU), str(MEM), *offered}
        types = {name: slot_type(parse_slot_name(name)).value for name in sorted(named)}
        configured = _configured_slots(self._config)
        if group is not None:
            configured = {name: kind for name, kind in configured.items() if name in named}
        return types | configured

    async def announcement(self) -> tuple[bool, str]:
        message = self._config.get(ANNOUNCEMENT_KEY, "")
        return bool(message), message

    async def registries(self) -> dict[str, str]:
        """Image registries by name, with their addresses: those of the configuration too, which
        are not rescanned."""
        found = {
            key.removeprefix(REGISTRIES_PREFIX): url
            for key, url in self._config.items()
            if key.startswith(REGISTRIES_PREFIX) and "/" not in key.removeprefix(REGISTRIES_PREFIX)
        }
        stored = await self._database.read(list_addresses)
        named = {urllib.parse.unquote(name): url for name, url in found.items()} | stored
        return {name: named[name] for name in sorted(named)}

    def is_project_use_told(self) -> bool:
        """Whether members see what their project may use and uses; they do unless told not to."""
        return self._config.get(PROJECT_USE_KEY, "true").strip().lower() not in _NO

    async def find_project_role(self, actor: Actor, project: str) -> ProjectRole | None:
        """What the actor is in a project of its domain; None where it is not in."""
        reference = t.projects.c.name == project
        with contextlib.suppress(ValueError):
            reference = t.projects.c.id == uuid.UUID(project)
        statement = (
            sa.select(t.project_members.c.role)
            .select_from(t.projects.join(t.project_members))
            .where(reference, t.project_members.c.user_id == actor.user_id)
        )
        async with self._database.begin() as connection:
            role = await connection.scalar(statement)
        return None if role is None else ProjectRole(role)


def _configured_slots(config: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for key, kind in config.items():
        name = key.removeprefix(SLOTS_PREFIX)
        if key.startswith(SLOTS_PREFIX) and kind in ("count", "bytes", "unique"):
            try:
                found[str(parse_slot_name(name))] = kind
            except SlotError:
                continue
    return found
