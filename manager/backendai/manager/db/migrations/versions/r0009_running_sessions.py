"""What the looks at the sessions that run go by, page after page."""

from backendai.manager.db.migrations.indexes import create_indexes, drop_indexes

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


_INDEXES = {
    "ix_sessions_running": "ON sessions (id) WHERE status IN ('RUNNING', 'RUNNING_DEGRADED')",
}


def upgrade() -> None:
    create_indexes(_INDEXES)


def downgrade() -> None:
    drop_indexes(*_INDEXES)
