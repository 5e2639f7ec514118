"""Limits of what a keypair may have waiting in the queue."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Null is no limit, which is what the release before this one does.
    op.get_bind().exec_driver_sql(
        "ALTER TABLE keypair_policies ADD COLUMN max_pending_session_count integer, "
        "ADD COLUMN max_pending_session_resource_slots jsonb"
    )
