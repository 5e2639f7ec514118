"""Every order that lists of sessions may have, and the last time that each was scheduled."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_ORDERS = (
    "cluster_mode",
    "cluster_size",
    "ended_at",
    "name",
    "priority",
    "resource_group",
    "result",
    "starts_at",
    "status",
    "status_info",
    "type",
)
_STATEMENTS = (
    "CREATE INDEX ix_projects_name ON projects (name)",
    "CREATE INDEX ix_users_full_name ON users (full_name)",
    "CREATE INDEX ix_history_last_scheduled ON history (session_id, id) INCLUDE (at)"
    " WHERE kernel_id IS NULL AND to_status = 'SCHEDULED'",
    "CREATE INDEX ix_kernels_main_image ON kernels (image DESC, session_id)"
    " WHERE cluster_role = 'main'",
    "CREATE INDEX ix_kernels_main_agent ON kernels (agent_id DESC, session_id)"
    " WHERE cluster_role = 'main'",
    "CREATE INDEX ix_sessions_of_project ON sessions (project_id, id)",
    *(f"CREATE INDEX ix_sessions_by_{name} ON sessions ({name} DESC, id)" for name in _ORDERS),
    # Last, since who reads histories waits for it.
    "DROP INDEX ix_history_scheduled",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
