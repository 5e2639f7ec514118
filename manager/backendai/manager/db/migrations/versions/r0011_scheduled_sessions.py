"""When sessions were scheduled, which lists are filtered and ordered by."""

from backendai.manager.db.migrations.indexes import create_indexes, drop_indexes

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


_INDEXES = {
    "ix_history_scheduled": "ON history (session_id, at)"
    " WHERE kernel_id IS NULL AND to_status = 'SCHEDULED'",
}


def upgrade() -> None:
    create_indexes(_INDEXES)


def downgrade() -> None:
    drop_indexes(*_INDEXES)
