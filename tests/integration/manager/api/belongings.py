"""All rows of the database that belong to a domain, found by what the columns of tables refer to.

A table that is added is covered by itself.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

import sqlalchemy as sa

from backendai.manager.db.engine import Database
from backendai.manager.db.tables import metadata

Row = dict[str, Any]
Snapshot = dict[str, list[str]]
# What columns mean that are no foreign keys, as their tables outlive what they tell of.
_REFERENCES: Final[Mapping[str, tuple[str, str]]] = {
    "domain_name": ("domains", "name"),
    "project_id": ("projects", "id"),
    "user_id": ("users", "id"),
    "access_key": ("keypairs", "access_key"),
    "session_id": ("sessions", "id"),
    "kernel_id": ("kernels", "id"),
}
# Belongs to nobody, and is for superadmins to change.
_SHARED: Final = frozenset(
    {
        "keypair_policies",
        "user_policies",
        "project_policies",
        "resource_presets",
        "resource_groups",
        "container_registries",
        "image_aliases",
        "cluster_status",
    }
)
# Changes by itself.
_RESTLESS: Final = frozenset({"last_used", "waiting", "relayed_at"})


async def read_belongings(database: Database, domain: str) -> Snapshot:
    """The rows of `domain` and the shared ones by table, each as JSON, in an order of their own."""
    owned: dict[tuple[str, str], set[Any]] = defaultdict(set, {("domains", "name"): {domain}})
    kept: Snapshot = {}
    async with database.begin() as connection:
        for table in metadata.sorted_tables:
            found = await connection.execute(sa.text(f"select to_jsonb(x) from {table.name} x"))
            rows = [row for row in found.scalars() if _belongs(table, row, owned)]
            for column in table.primary_key.columns:
                owned[table.name, column.name] |= {row[column.name] for row in rows}
            kept[table.name] = sorted(_shown(row) for row in rows)
    return kept


def _belongs(table: sa.Table, row: Row, owned: Mapping[tuple[str, str], set[Any]]) -> bool:
    if table.name in _SHARED or (
        table.name == "domains" and row["name"] in owned["domains", "name"]
    ):
        return True
    return any(row[name] in owned[meant] for name, meant in _references(table))


def _references(table: sa.Table) -> Iterator[tuple[str, tuple[str, str]]]:
    """Columns that say whose a row is, with what they name."""
    for column in table.columns:
        for key in column.foreign_keys:
            if key.column.table.name not in _SHARED | {"agents", "images"}:
                yield column.name, (key.column.table.name, key.column.name)
        if not column.foreign_keys and column.name in _REFERENCES:
            yield column.name, _REFERENCES[column.name]


def _shown(row: Row) -> str:
    kept = {name: value for name, value in row.items() if name not in _RESTLESS}
    return json.dumps(kept, sort_keys=True)
