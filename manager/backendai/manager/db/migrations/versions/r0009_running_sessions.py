"""What the looks at the sessions that run go by, page after page."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(
        "CREATE INDEX ix_sessions_running ON sessions (id)"
        " WHERE status IN ('RUNNING', 'RUNNING_DEGRADED')"
    )


def downgrade() -> None:
    op.get_bind().exec_driver_sql("DROP INDEX ix_sessions_running")
