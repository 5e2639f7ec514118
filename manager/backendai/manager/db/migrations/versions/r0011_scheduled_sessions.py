"""When sessions were scheduled, which lists are filtered and ordered by."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(
        "CREATE INDEX ix_history_scheduled ON history (session_id, at)"
        " WHERE kernel_id IS NULL AND to_status = 'SCHEDULED'"
    )


def downgrade() -> None:
    op.get_bind().exec_driver_sql("DROP INDEX ix_history_scheduled")
