"""Alembic's entry: runs the revisions on the connection that `db.schema` hands over."""

from alembic import context

from backendai.manager.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
