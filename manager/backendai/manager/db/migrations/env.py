"""Alembic's entry: runs the revisions on the connection that `db.schema` hands over."""

from collections.abc import Collection
from typing import Any

from alembic import context

from backendai.manager.db.migrations.indexes import WITHIN
from backendai.manager.db.revision import make_remark
from backendai.manager.db.tables import metadata


def _note_oldest(*_: Any, heads: Collection[str] = (), **__: Any) -> None:
    """In the transaction of each migration: no tables are ever there with the remark of others."""
    for revision in heads:
        context.execute(make_remark(revision))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    transaction_per_migration=not context.config.attributes[WITHIN],
    on_version_apply=_note_oldest,
)
with context.begin_transaction():
    context.run_migrations()
