"""Tables of sessions: their kernels, what these hold or held, their history and templates."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from .columns import (
    AMOUNT,
    NOW,
    created_at,
    domain_name,
    json_list,
    json_object,
    metadata,
    timestamp,
)

_IS_LIVE: Final = sa.text("freed_at is null")
_IS_SCHEDULING: Final = sa.text("kernel_id is null and to_status = 'SCHEDULED'")

sessions: Final = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("tag", sa.Text),
    sa.Column("priority", sa.Integer, nullable=False, server_default="10"),
    domain_name(),
    sa.Column("project_id", UUID(as_uuid=True), sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("user_id", UUID(as_uuid=True), sa.ForeignKey("users.id"), nullable=False),
    sa.Column("access_key", sa.Text, sa.ForeignKey("keypairs.access_key"), nullable=False),
    sa.Column("created_by", UUID(as_uuid=True), sa.ForeignKey("users.id"), nullable=False),
    sa.Column("resource_group", sa.Text, sa.ForeignKey("resource_groups.name"), nullable=False),
    sa.Column("cluster_mode", sa.Text, nullable=False),
    sa.Column("cluster_size", sa.Integer, nullable=False),
    # Derived from the kernels' statuses by the one function that moves them.
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("status_info", sa.Text, nullable=False, server_default=""),
    timestamp("status_changed_at", nullable=False),
    # Why it waits: {"rule", "need", "have", "detail", "causes": {cause: node count}, "at"}.
    json_object("waiting"),
    sa.Column("result", sa.Text, nullable=False, server_default="undefined"),
    sa.Column("exit_code", sa.Integer),
    sa.Column("startup_command", sa.Text),
    sa.Column("bootstrap_script", sa.Text),
    sa.Column("callback_url", sa.Text),
    json_object("environ"),
    json_object("resource_opts"),
    json_object("requested_slots"),
    json_list("designated_agents"),
    json_list("preopen_ports"),
    timestamp("starts_at"),
    timestamp("started_at"),
    timestamp("ended_at"),
    sa.Column("query_count", sa.BigInteger, nullable=False, server_default="0"),
    created_at(),
)

sa.Index(
    "uq_sessions_live_name",
    sessions.c.access_key,
    sessions.c.name,
    unique=True,
    postgresql_where=sa.text("status not in ('TERMINATED', 'CANCELLED')"),
)
sa.Index(
    "ix_sessions_live",
    sessions.c.status,
    sessions.c.priority.desc(),
    sessions.c.created_at,
    postgresql_where=sa.text("status not in ('TERMINATED', 'CANCELLED')"),
)
_IS_RUNNING: Final = sa.text("status in ('RUNNING', 'RUNNING_DEGRADED')")
sa.Index("ix_sessions_running", sessions.c.id, postgresql_where=_IS_RUNNING)
sa.Index("ix_sessions_owner", sessions.c.access_key, sessions.c.created_at.desc())
# Lists: of everybody, of a domain, of a user. The id makes an order of what began together; the
# status is what every list is narrowed by, so far pages are skipped without reading rows.
sa.Index(
    "ix_sessions_newest",
    sessions.c.created_at.desc(),
    sessions.c.id,
    postgresql_include=["status"],
)
sa.Index(
    "ix_sessions_domain",
    sessions.c.domain_name,
    sessions.c.created_at.desc(),
    sessions.c.id,
    postgresql_include=["status"],
)
sa.Index("ix_sessions_user", sessions.c.user_id, sessions.c.created_at.desc(), sessions.c.id)
# With this kind of order, beginnings of names are found too.
sa.Index("ix_sessions_name", sessions.c.name, postgresql_ops={"name": "text_pattern_ops"})
sa.Index("ix_sessions_project", sessions.c.project_id, sessions.c.created_at.desc())
# Each order that lists of sessions may have by a column of theirs, lest far pages be sorted;
# the opposite order is the index read backwards.
for _name in (
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
):
    sa.Index(f"ix_sessions_by_{_name}", sessions.c[_name].desc(), sessions.c.id)
# By names of users and projects: who has which sessions, without their rows.
sa.Index("ix_sessions_of_project", sessions.c.project_id, sessions.c.id)

session_dependencies: Final = sa.Table(
    "session_dependencies",
    metadata,
    sa.Column("session_id", UUID(as_uuid=True), sa.ForeignKey("sessions.id"), primary_key=True),
    sa.Column("depends_on", UUID(as_uuid=True), sa.ForeignKey("sessions.id"), primary_key=True),
    sa.Index("ix_session_dependencies_depends_on", "depends_on"),
)

kernels: Final = sa.Table(
    "kernels",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("session_id", UUID(as_uuid=True), sa.ForeignKey("sessions.id"), nullable=False),
    sa.Column("cluster_role", sa.Text, nullable=False),
    sa.Column("cluster_index", sa.Integer, nullable=False),
    sa.Column("cluster_hostname", sa.Text, nullable=False),
    sa.Column("image", sa.Text, nullable=False),
    sa.Column("image_id", UUID(as_uuid=True)),
    sa.Column("architecture", sa.Text, nullable=False),
    json_object("requested_slots"),
    sa.Column("shared_memory_bytes", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("status_info", sa.Text, nullable=False, server_default=""),
    json_object("status_data"),
    timestamp("status_changed_at", nullable=False),
    # When the present status must have been left; null where the table sets no limit.
    timestamp("deadline_at"),
    # Grows with each attempt to run it; orders to agents carry it.
    sa.Column("generation", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    json_list("failed_agents"),
    sa.Column("agent_id", sa.Text, sa.ForeignKey("agents.id")),
    sa.Column("container_id", sa.Text),
    json_list("service_ports"),
    json_object("devices"),
    json_object("last_use"),
    sa.Column("exit_code", sa.Integer),
    timestamp("started_at"),
    timestamp("ended_at"),
    created_at(),
    sa.UniqueConstraint("session_id", "cluster_role", "cluster_index"),
    sa.Index("ix_kernels_session", "session_id"),
)
sa.Index(
    "ix_kernels_live",
    kernels.c.agent_id,
    kernels.c.status,
    postgresql_where=sa.text("status not in ('TERMINATED', 'CANCELLED')"),
)
# What lists of sessions tell of the main one.
_IS_MAIN: Final = sa.text("cluster_role = 'main'")
sa.Index(
    "ix_kernels_main_image",
    kernels.c.image.desc(),
    kernels.c.session_id,
    postgresql_where=_IS_MAIN,
)
sa.Index(
    "ix_kernels_main_agent",
    kernels.c.agent_id.desc(),
    kernels.c.session_id,
    postgresql_where=_IS_MAIN,
)

allocations: Final = sa.Table(
    "allocations",
    metadata,
    sa.Column("kernel_id", UUID(as_uuid=True), sa.ForeignKey("kernels.id"), primary_key=True),
    sa.Column("generation", sa.BigInteger, primary_key=True),
    sa.Column("slot", sa.Text, primary_key=True),
    sa.Column("agent_id", sa.Text, sa.ForeignKey("agents.id"), nullable=False),
    sa.Column("amount", AMOUNT, nullable=False),
    sa.Column("allocated_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=NOW),
    timestamp("freed_at"),
    sa.CheckConstraint("amount >= 0", name="amount_not_negative"),
    sa.Index("ix_allocations_live", "agent_id", "slot", postgresql_where=_IS_LIVE),
)

history: Final = sa.Table(
    "history",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("session_id", UUID(as_uuid=True), sa.ForeignKey("sessions.id"), nullable=False),
    # Null for a move of the session itself.
    sa.Column("kernel_id", UUID(as_uuid=True)),
    sa.Column("generation", sa.BigInteger),
    sa.Column("from_status", sa.Text),
    sa.Column("to_status", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    json_object("detail"),
    sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=NOW),
    sa.Index("ix_history_session", "session_id", "id"),
    sa.Index(
        "ix_history_last_scheduled",
        "session_id",
        "id",
        postgresql_include=["at"],
        postgresql_where=_IS_SCHEDULING,
    ),
)

# What sessions are started from again and again. `template` is checked and has canonical keys.
session_templates: Final = sa.Table(
    "session_templates",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    json_object("template"),
    sa.Column("project_id", UUID(as_uuid=True), sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("user_id", UUID(as_uuid=True), sa.ForeignKey("users.id"), nullable=False),
    created_at(),
    timestamp("modified_at"),
    sa.CheckConstraint("type in ('task', 'cluster')", name="type_known"),
    sa.Index("ix_session_templates_user", "user_id"),
    sa.Index("ix_session_templates_project", "project_id"),
)

# What kernels held whose own rows are gone, written by a trigger as they go. Without references,
# since it outlives everything that it tells of; names are as they were.
usage_records: Final = sa.Table(
    "usage_records",
    metadata,
    sa.Column("kernel_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("generation", sa.BigInteger, primary_key=True),
    sa.Column("slot", sa.Text, primary_key=True),
    sa.Column("amount", AMOUNT, nullable=False),
    sa.Column("allocated_at", sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column("freed_at", sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column("session_id", UUID(as_uuid=True), nullable=False),
    sa.Column("project_id", UUID(as_uuid=True), nullable=False),
    sa.Column("user_id", UUID(as_uuid=True), nullable=False),
    # Everything else that a bill shows of the kernel; the keys are those of view usage_facts.
    json_object("facts"),
    sa.Index("ix_usage_records_project", "project_id", "freed_at"),
    sa.Index("ix_usage_records_user", "user_id", "freed_at"),
)

# When a session was last used, and what checkers found of it. Without a reference: to note that
# one is used waits for nobody who moves it. Rows of ended sessions are deleted in time.
session_idleness: Final = sa.Table(
    "session_idleness",
    metadata,
    sa.Column("session_id", UUID(as_uuid=True), primary_key=True),
    timestamp("active_at"),
    sa.Column("active_by", sa.Text, nullable=False, server_default=""),
    json_object("utilization"),
    json_object("warned"),
    json_object("checks"),
)

# The last event of the outbox that a session's callback was told. Rows go as those above.
callbacks: Final = sa.Table(
    "callbacks",
    metadata,
    sa.Column("session_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("told", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_at", sa.TIMESTAMP(timezone=True), nullable=False),
)
