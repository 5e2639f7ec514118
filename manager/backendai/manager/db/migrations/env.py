"""Alembic's entry: runs the revisions on the connection that `db.schema` hands over."""

from alembic import context

from backendai.manager.db.migrations.indexes import WITHIN
from backendai.manager.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    transaction_per_migration=not context.config.attributes[WITHIN],
)
with context.begin_transaction():
    context.run_migrations()
