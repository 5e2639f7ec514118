"""Every order that lists of sessions may have, and the last time that each was scheduled."""

from backendai.manager.db.migrations.indexes import create_indexes, drop_indexes

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
_INDEXES = {
    "ix_projects_name": "ON projects (name)",
    "ix_users_full_name": "ON users (full_name)",
    "ix_history_last_scheduled": "ON history (session_id, id) INCLUDE (at)"
    " WHERE kernel_id IS NULL AND to_status = 'SCHEDULED'",
    "ix_kernels_main_image": "ON kernels (image DESC, session_id) WHERE cluster_role = 'main'",
    "ix_kernels_main_agent": "ON kernels (agent_id DESC, session_id) WHERE cluster_role = 'main'",
    "ix_sessions_of_project": "ON sessions (project_id, id)",
    **{f"ix_sessions_by_{name}": f"ON sessions ({name} DESC, id)" for name in _ORDERS},
}


def upgrade() -> None:
    create_indexes(_INDEXES)
    drop_indexes("ix_history_scheduled")
