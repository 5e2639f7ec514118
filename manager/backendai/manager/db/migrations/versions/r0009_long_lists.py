"""What lists over a long history need, and looks at the sessions that run.

The way back only takes indexes away: a database of the revision before works without them.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_sessions_running": "sessions (id) WHERE status IN ('RUNNING', 'RUNNING_DEGRADED')",
    "ix_history_scheduled": "history (session_id, at)"
    " WHERE kernel_id IS NULL AND to_status = 'SCHEDULED'",
}


def upgrade() -> None:
    for name, what in _INDEXES.items():
        op.get_bind().exec_driver_sql(f"CREATE INDEX {name} ON {what}")


def downgrade() -> None:
    for name in _INDEXES:
        op.get_bind().exec_driver_sql(f"DROP INDEX {name}")
