"""The manager's tables. What is occupied or used is never a column: it is a sum over live rows.

Amounts of resources are numeric(24,6) (cores, bytes, devices); maps of slots as users wrote
them are JSON objects of text. Times are timestamptz in UTC.
"""

from .accounts import (
    domains,
    dotfiles,
    keypairs,
    project_members,
    projects,
    users,
)
from .circuits import circuits, permits
from .cluster import (
    alert_messages,
    alerts,
    audit_log,
    cluster_status,
    error_logs,
    idempotency,
    leases,
    managers,
    outbox,
    tasks,
)
from .columns import AMOUNT, metadata
from .nodes import (
    agent_slots,
    agents,
    container_registries,
    image_agents,
    image_aliases,
    images,
    join_tokens,
    resource_group_domains,
    resource_group_keypairs,
    resource_group_projects,
    resource_groups,
)
from .policies import (
    keypair_policies,
    project_policies,
    resource_presets,
    user_policies,
)
from .sessions import (
    allocations,
    callbacks,
    history,
    kernels,
    session_dependencies,
    session_idleness,
    session_templates,
    sessions,
    usage_records,
)
from .vfolders import (
    quota_scopes,
    session_mounts,
    vfolder_invitations,
    vfolder_permissions,
    vfolders,
)

__all__ = [
    "AMOUNT",
    "agent_slots",
    "agents",
    "alert_messages",
    "alerts",
    "allocations",
    "audit_log",
    "callbacks",
    "circuits",
    "cluster_status",
    "container_registries",
    "domains",
    "dotfiles",
    "error_logs",
    "history",
    "idempotency",
    "image_agents",
    "image_aliases",
    "images",
    "join_tokens",
    "kernels",
    "keypair_policies",
    "keypairs",
    "leases",
    "managers",
    "metadata",
    "outbox",
    "permits",
    "project_members",
    "project_policies",
    "projects",
    "quota_scopes",
    "resource_group_domains",
    "resource_group_keypairs",
    "resource_group_projects",
    "resource_groups",
    "resource_presets",
    "session_dependencies",
    "session_idleness",
    "session_mounts",
    "session_templates",
    "sessions",
    "tasks",
    "usage_records",
    "user_policies",
    "users",
    "vfolder_invitations",
    "vfolder_permissions",
    "vfolders",
]
