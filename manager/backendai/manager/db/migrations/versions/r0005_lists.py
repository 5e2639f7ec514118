"""What lists need: how busy a node is, indexes for pages of sessions; a limit of model services."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_STATEMENTS = (
    "CREATE INDEX ix_sessions_newest ON sessions (created_at DESC, id) INCLUDE (status)",
    "CREATE INDEX ix_sessions_domain ON sessions (domain_name, created_at DESC, id)"
    " INCLUDE (status)",
    "CREATE INDEX ix_sessions_name ON sessions (name text_pattern_ops)",
    "CREATE INDEX ix_sessions_user ON sessions (user_id, created_at DESC, id)",
    "ALTER TABLE user_policies"
    " ADD COLUMN max_session_count_per_model_session integer DEFAULT 10 NOT NULL",
    # Last, since who hears of nodes waits for it.
    "ALTER TABLE agents ADD COLUMN last_use jsonb DEFAULT '{}'::jsonb NOT NULL",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
