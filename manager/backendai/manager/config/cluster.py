"""What is true of the whole cluster: slot types and the announcement from etcd, counts from SQL."""

import contextlib
import uuid
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from backendai.common.slots import CPU, MEM, SlotError, parse_slot_name, slot_type
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor
from backendai.manager.policies.store import list_slot_names
from backendai.manager.sessions.store import FINAL_WORDS

from .rest import MANAGER_VERSION

CONFIG_PREFIX: Final = "config/"
SLOTS_PREFIX: Final = CONFIG_PREFIX + "resource_slots/"
ANNOUNCEMENT_KEY: Final = CONFIG_PREFIX + "announcement"


class ClusterFacts:
    """Answers from the last known configuration, so that etcd may be away."""

    def __init__(self, database: Database, node: dict[str, Any]) -> None:
        self._database = database
        self._node = node
        self._config: Mapping[str, str] = {}

    def learn(self, config: Mapping[str, str]) -> None:
        """Take over a new snapshot of the configuration."""
        self._config = config

    def find(self, key: str) -> str | None:
        """The value of `key` below config/, where it is set."""
        return self._config.get(CONFIG_PREFIX + key)

    async def slot_types(self) -> dict[str, str]:
        """Slot name -> count, bytes or unique: built in, configured, and offered by any node."""
        async with self._database.begin() as connection:
            offered = await list_slot_names(connection)
        named = {str(CPU), str(MEM), *offered}
        types = {name: slot_type(parse_slot_name(name)).value for name in sorted(named)}
        return types | _configured_slots(self._config)

    async def announcement(self) -> tuple[bool, str]:
        message = self._config.get(ANNOUNCEMENT_KEY, "")
        return bool(message), message

    async def nodes(self) -> list[dict[str, Any]]:
        return [{**self._node, "status": "running", "version": MANAGER_VERSION}]

    async def count_live_sessions(self) -> int:
        statement = sa.select(sa.func.count()).where(t.sessions.c.status.not_in(FINAL_WORDS))
        async with self._database.begin() as connection:
            return int(await connection.scalar(statement) or 0)

    async def is_member(self, actor: Actor, project: str) -> bool:
        reference = t.projects.c.name == project
        with contextlib.suppress(ValueError):
            reference = t.projects.c.id == uuid.UUID(project)
        statement = (
            sa.select(sa.literal(1))
            .select_from(t.projects.join(t.project_members))
            .where(reference, t.project_members.c.user_id == actor.user_id)
        )
        async with self._database.begin() as connection:
            return await connection.scalar(statement) is not None


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
