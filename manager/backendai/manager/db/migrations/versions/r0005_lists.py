"""What lists need: how busy a node is, indexes for pages of sessions; a limit of model services."""

from alembic import op

from backendai.manager.db.migrations.indexes import create_indexes

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_sessions_newest": "ON sessions (created_at DESC, id) INCLUDE (status)",
    "ix_sessions_domain": "ON sessions (domain_name, created_at DESC, id) INCLUDE (status)",
    "ix_sessions_name": "ON sessions (name text_pattern_ops)",
    "ix_sessions_user": "ON sessions (user_id, created_at DESC, id)",
}
_STATEMENTS = (
    "ALTER TABLE user_policies"
    " ADD COLUMN max_session_count_per_model_session integer DEFAULT 10 NOT NULL",
    # Last, since who hears of nodes waits for it.
    "ALTER TABLE agents ADD COLUMN last_use jsonb DEFAULT '{}'::jsonb NOT NULL",
)


def upgrade() -> None:
    create_indexes(_INDEXES)
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
