"""The manager's tables. What is occupied or used is never a column: it is a sum over live rows.

Amounts of resources are numeric(24,6) (cores, bytes, devices); maps of slots as users wrote
them are JSON objects of text. Times are timestamptz in UTC.
"""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

AMOUNT: Final = sa.Numeric(24, 6)
_NOW: Final = sa.text("now()")
_EMPTY_OBJECT: Final = sa.text("'{}'::jsonb")
_EMPTY_LIST: Final = sa.text("'[]'::jsonb")
_IS_LIVE: Final = sa.text("freed_at is null")
_IS_SCHEDULING: Final = sa.text("kernel_id is null and to_status = 'SCHEDULED'")


def _time(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable)


def _created_at() -> sa.Column[object]:
    return sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=_NOW)


def _domain_name(*, primary_key: bool = False) -> sa.Column[object]:
    """Follows when a domain is renamed."""
    reference = sa.ForeignKey("domains.name", onupdate="CASCADE")
    return sa.Column("domain_name", sa.Text, reference, nullable=False, primary_key=primary_key)


def _object(name: str) -> sa.Column[object]:
    return sa.Column(name, JSONB, nullable=False, server_default=_EMPTY_OBJECT)


def _list(name: str) -> sa.Column[object]:
    return sa.Column(name, JSONB, nullable=False, server_default=_EMPTY_LIST)


def _flag(name: str, default: bool) -> sa.Column[object]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.text(str(default).lower()))


# Accounts.

domains: Final = sa.Table(
    "domains",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    _flag("is_active", True),
    _object("total_resource_slots"),
    _object("allowed_vfolder_hosts"),
    _list("allowed_docker_registries"),
    sa.Column("integration_id", sa.Text),
    _created_at(),
    _time("modified_at"),
)

projects: Final = sa.Table(
    "projects",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    _domain_name(),
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    _flag("is_active", True),
    sa.Column("resource_policy", sa.Text, sa.ForeignKey("project_policies.name"), nullable=False),
    _object("total_resource_slots"),
    _object("allowed_vfolder_hosts"),
    sa.Column("integration_id", sa.Text),
    _created_at(),
    _time("modified_at"),
    sa.UniqueConstraint("domain_name", "name"),
)

users: Final = sa.Table(
    "users",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("email", sa.Text, nullable=False, unique=True),
    sa.Column("username", sa.Text, nullable=False, unique=True),
    sa.Column("full_name", sa.Text, nullable=False, server_default=""),
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    sa.Column("password_hash", sa.Text),
    _flag("need_password_change", False),
    _time("password_changed_at"),
    _domain_name(),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("status_info", sa.Text, nullable=False, server_default=""),
    sa.Column("resource_policy", sa.Text, sa.ForeignKey("user_policies.name"), nullable=False),
    sa.Column("main_access_key", sa.Text),
    sa.Column("allowed_client_ip", ARRAY(sa.Text)),
    _flag("sudo_session_enabled", False),
    _created_at(),
    _time("modified_at"),
)

project_members: Final = sa.Table(
    "project_members",
    metadata,
    sa.Column("project_id", UUID(as_uuid=True), sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("user_id", UUID(as_uuid=True), sa.ForeignKey("users.id"), primary_key=True),
    sa.Index("ix_project_members_user", "user_id"),
)

keypairs: Final = sa.Table(
    "keypairs",
    metadata,
    sa.Column("access_key", sa.Text, primary_key=True),
    # AES-256-GCM: key id, nonce, ciphertext; the access key is the associated data.
    sa.Column("secret_key_encrypted", sa.LargeBinary, nullable=False),
    sa.Column("user_id", UUID(as_uuid=True), sa.ForeignKey("users.id"), nullable=False),
    _flag("is_active", True),
    _flag("is_admin", False),
    sa.Column("resource_policy", sa.Text, sa.ForeignKey("keypair_policies.name"), nullable=False),
    sa.Column("rate_limit", sa.Integer, nullable=False, server_default="10000"),
    sa.Column("bootstrap_script", sa.Text, nullable=False, server_default=""),
    # For SSH into sessions; the private half is sealed like the secret key.
    sa.Column("ssh_public_key", sa.Text),
    sa.Column("ssh_private_key_encrypted", sa.LargeBinary),
    _time("last_used"),
    _created_at(),
    _time("modified_at"),
    sa.Index("ix_keypairs_user", "user_id"),
)

# Files for the home of new sessions, of a keypair, a domain or a project.
dotfiles: Final = sa.Table(
    "dotfiles",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("access_key", sa.Text, sa.ForeignKey("keypairs.access_key", ondelete="CASCADE")),
    sa.Column("domain_name", sa.Text, sa.ForeignKey("domains.name", ondelete="CASCADE")),
    sa.Column("project_id", UUID(as_uuid=True), sa.ForeignKey("projects.id", ondelete="CASCADE")),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("permission", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    _created_at(),
    _time("modified_at"),
    sa.UniqueConstraint("access_key", "path"),
    sa.UniqueConstraint("domain_name", "path"),
    sa.UniqueConstraint("project_id", "path"),
    sa.CheckConstraint("num_nonnulls(access_key, domain_name, project_id) = 1", name="one_owner"),
)

# Policies and presets.

keypair_policies: Final = sa.Table(
    "keypair_policies",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("default_for_unspecified", sa.Text, nullable=False),
    _object("total_resource_slots"),
    sa.Column("max_session_lifetime", sa.Integer, nullable=False, server_default="0"),
    sa.Column("max_concurrent_sessions", sa.Integer, nullable=False),
    # Of the sessions that wait in the queue; null: no limit.
    sa.Column("max_pending_session_count", sa.Integer),
    sa.Column("max_pending_session_resource_slots", JSONB),
    sa.Column("max_concurrent_sftp_sessions", sa.Integer, nullable=False, server_default="1"),
    sa.Column("max_containers_per_session", sa.Integer, nullable=False, server_default="1"),
    sa.Column("idle_timeout", sa.BigInteger, nullable=False, server_default="0"),
    _object("allowed_vfolder_hosts"),
    _created_at(),
)

user_policies: Final = sa.Table(
    "user_policies",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("max_vfolder_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("max_quota_scope_size", sa.BigInteger, nullable=False, server_default="-1"),
    sa.Column(
        "max_session_count_per_model_session", sa.Integer, nullable=False, server_default="10"
    ),
    _created_at(),
)

project_policies: Final = sa.Table(
    "project_policies",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("max_vfolder_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("max_quota_scope_size", sa.BigInteger, nullable=False, server_default="-1"),
    _created_at(),
)

resource_presets: Final = sa.Table(
    "resource_presets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    _object("resource_slots"),
    sa.Column("shared_memory", sa.BigInteger),
)

# Nodes.

resource_groups: Final = sa.Table(
    "resource_groups",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    _flag("is_active", True),
    _flag("is_public", True),
    sa.Column("scheduler", sa.Text, nullable=False, server_default="fifo"),
    # placement: concentrated or dispersed; pending_timeout_seconds; allowed_session_types; …
    _object("scheduler_opts"),
    sa.Column("driver", sa.Text, nullable=False, server_default="static"),
    _object("driver_opts"),
    _flag("use_host_network", False),
    sa.Column("wsproxy_addr", sa.Text, nullable=False, server_default=""),
    sa.Column("wsproxy_api_token", sa.Text, nullable=False, server_default=""),
    _created_at(),
)

resource_group_domains: Final = sa.Table(
    "resource_group_domains",
    metadata,
    sa.Column("resource_group", sa.Text, sa.ForeignKey("resource_groups.name"), primary_key=True),
    _domain_name(primary_key=True),
)

resource_group_projects: Final = sa.Table(
    "resource_group_projects",
    metadata,
    sa.Column("resource_group", sa.Text, sa.ForeignKey("resource_groups.name"), primary_key=True),
    sa.Column("project_id", UUID(as_uuid=True), sa.ForeignKey("projects.id"), primary_key=True),
)

resource_group_keypairs: Final = sa.Table(
    "resource_group_keypairs",
    metadata,
    sa.Column("resource_group", sa.Text, sa.ForeignKey("resource_groups.name"), primary_key=True),
    sa.Column("access_key", sa.Text, sa.ForeignKey("keypairs.access_key"), primary_key=True),
)

agents: Final = sa.Table(
    "agents",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    _time("status_changed_at"),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("public_key", sa.Text, nullable=False),
    # The daemon's life that last reported: a second daemon under the same id is refused.
    sa.Column("instance", sa.Text, nullable=False, server_default=""),
    sa.Column("resource_group", sa.Text, sa.ForeignKey("resource_groups.name"), nullable=False),
    sa.Column("region", sa.Text, nullable=False, server_default=""),
    sa.Column("architecture", sa.Text, nullable=False, server_default="x86_64"),
    sa.Column("backend", sa.Text, nullable=False, server_default=""),
    sa.Column("version", sa.Text, nullable=False, server_default=""),
    _flag("schedulable", True),
    _flag("engine_reachable", True),
    sa.Column("engine_detail", sa.Text, nullable=False, server_default=""),
    # Why the agent holds back stopping many containers at once, where it does.
    sa.Column("halted", sa.Text, nullable=False, server_default=""),
    _object("plugins"),
    # How busy it was when it was heard last: cpu_percent of all cores together, memory_bytes.
    _object("last_use"),
    _time("first_contact"),
    _time("last_seen_at"),
    # Since when it has been heard without a gap: a flapping node has to prove itself.
    _time("steady_since"),
    _time("lost_at"),
    sa.Column("flaps", sa.Integer, nullable=False, server_default="0"),
)

agent_slots: Final = sa.Table(
    "agent_slots",
    metadata,
    sa.Column("agent_id", sa.Text, sa.ForeignKey("agents.id"), primary_key=True),
    sa.Column("slot", sa.Text, primary_key=True),
    sa.Column("capacity", AMOUNT, nullable=False),
    sa.CheckConstraint("capacity >= 0", name="capacity_not_negative"),
)

images: Final = sa.Table(
    "images",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    # The canonical name, `registry/project/name:tag`; local images have no registry part.
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("architecture", sa.Text, nullable=False),
    sa.Column("registry", sa.Text, nullable=False, server_default=""),
    sa.Column("tag", sa.Text, nullable=False, server_default="latest"),
    sa.Column("digest", sa.Text, nullable=False, server_default=""),
    sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default="0"),
    _object("labels"),
    # What an administrator set: {slot: {"min"?, "max"?}}; a minimum here beats the label's.
    _object("resource_limits"),
    _flag("is_local", False),
    _flag("is_active", True),
    _created_at(),
    sa.UniqueConstraint("name", "architecture"),
)

image_aliases: Final = sa.Table(
    "image_aliases",
    metadata,
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column(
        "image_id",
        UUID(as_uuid=True),
        sa.ForeignKey("images.id", ondelete="CASCADE"),
        nullable=False,
    ),
)

image_agents: Final = sa.Table(
    "image_agents",
    metadata,
    sa.Column(
        "image_id",
        UUID(as_uuid=True),
        sa.ForeignKey("images.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("agent_id", sa.Text, sa.ForeignKey("agents.id"), primary_key=True),
)

# Where images come from. The password is sealed for `registry:<hostname>`.
container_registries: Final = sa.Table(
    "container_registries",
    metadata,
    # The first part of the names of its images.
    sa.Column("hostname", sa.Text, primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    # The projects that are looked into; empty: all.
    _list("projects"),
    sa.Column("username", sa.Text),
    sa.Column("password_encrypted", sa.LargeBinary),
    _flag("ssl_verify", True),
    _created_at(),
    _time("modified_at"),
)

# Sessions.

sessions: Final = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("tag", sa.Text),
    sa.Column("priority", sa.Integer, nullable=False, server_default="10"),
    _domain_name(),
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
    _time("status_changed_at", nullable=False),
    # Why it waits: {"rule", "need", "have", "detail", "causes": {cause: node count}, "at"}.
    _object("waiting"),
    sa.Column("result", sa.Text, nullable=False, server_default="undefined"),
    sa.Column("exit_code", sa.Integer),
    sa.Column("startup_command", sa.Text),
    sa.Column("bootstrap_script", sa.Text),
    sa.Column("callback_url", sa.Text),
    _object("environ"),
    _object("resource_opts"),
    _object("requested_slots"),
    _list("designated_agents"),
    _list("preopen_ports"),
    _time("starts_at"),
    _time("started_at"),
    _time("ended_at"),
    sa.Column("query_count", sa.BigInteger, nullable=False, server_default="0"),
    _created_at(),
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
    _object("requested_slots"),
    sa.Column("shared_memory_bytes", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("status_info", sa.Text, nullable=False, server_default=""),
    _object("status_data"),
    _time("status_changed_at", nullable=False),
    # When the present status must have been left; null where the table sets no limit.
    _time("deadline_at"),
    # Grows with each attempt to run it; orders to agents carry it.
    sa.Column("generation", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    _list("failed_agents"),
    sa.Column("agent_id", sa.Text, sa.ForeignKey("agents.id")),
    sa.Column("container_id", sa.Text),
    _list("service_ports"),
    _object("devices"),
    _object("last_use"),
    sa.Column("exit_code", sa.Integer),
    _time("started_at"),
    _time("ended_at"),
    _created_at(),
    sa.UniqueConstraint("session_id", "cluster_role", "cluster_index"),
    sa.Index("ix_kernels_session", "session_id"),
)
sa.Index(
    "ix_kernels_live",
    kernels.c.agent_id,
    kernels.c.status,
    postgresql_where=sa.text("status not in ('TERMINATED', 'CANCELLED')"),
)

allocations: Final = sa.Table(
    "allocations",
    metadata,
    sa.Column("kernel_id", UUID(as_uuid=True), sa.ForeignKey("kernels.id"), primary_key=True),
    sa.Column("generation", sa.BigInteger, primary_key=True),
    sa.Column("slot", sa.Text, primary_key=True),
    sa.Column("agent_id", sa.Text, sa.ForeignKey("agents.id"), nullable=False),
    sa.Column("amount", AMOUNT, nullable=False),
    sa.Column("allocated_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
    _time("freed_at"),
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
    _object("detail"),
    sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
    sa.Index("ix_history_session", "session_id", "id"),
    sa.Index("ix_history_scheduled", "session_id", "at", postgresql_where=_IS_SCHEDULING),
)

# What sessions are started from again and again. `template` is checked and has canonical keys.
session_templates: Final = sa.Table(
    "session_templates",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    _object("template"),
    sa.Column("project_id", UUID(as_uuid=True), sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("user_id", UUID(as_uuid=True), sa.ForeignKey("users.id"), nullable=False),
    _created_at(),
    _time("modified_at"),
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
    _object("facts"),
    sa.Index("ix_usage_records_project", "project_id", "freed_at"),
    sa.Index("ix_usage_records_user", "user_id", "freed_at"),
)

# When a session was last used, and what checkers found of it. Without a reference: to note that
# one is used waits for nobody who moves it. Rows of ended sessions are deleted in time.
session_idleness: Final = sa.Table(
    "session_idleness",
    metadata,
    sa.Column("session_id", UUID(as_uuid=True), primary_key=True),
    _time("active_at"),
    sa.Column("active_by", sa.Text, nullable=False, server_default=""),
    _object("utilization"),
    _object("warned"),
    _object("checks"),
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

# The cluster itself.

# One row at most; none means that it runs. What is placed waits while it is frozen.
cluster_status: Final = sa.Table(
    "cluster_status",
    metadata,
    sa.Column("is_only", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Column("changed_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
    sa.CheckConstraint("is_only", name="one_row"),
    sa.CheckConstraint("status in ('running', 'frozen')", name="status_known"),
)

# Long work of managers. The holder, one life of a manager, keeps `beat_at` young while it works.
tasks: Final = sa.Table(
    "tasks",
    metadata,
    sa.Column(
        "id", UUID(as_uuid=True), primary_key=True, server_default=sa.text("gen_random_uuid()")
    ),
    sa.Column("name", sa.Text, nullable=False),
    _object("params"),
    sa.Column(
        "user_id", UUID(as_uuid=True), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False
    ),
    sa.Column("status", sa.Text, nullable=False, server_default="pending"),
    sa.Column("current", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("total", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("message", sa.Text, nullable=False, server_default=""),
    _flag("is_unwanted", False),
    sa.Column("holder", sa.Text),
    _time("beat_at"),
    _created_at(),
    _time("ended_at"),
    sa.CheckConstraint(
        "status in ('pending', 'running', 'done', 'failed', 'cancelled')", name="status_known"
    ),
    sa.Index("ix_tasks_user", "user_id", "created_at"),
)
sa.Index(
    "ix_tasks_live",
    tasks.c.created_at,
    postgresql_where=sa.text("status in ('pending', 'running')"),
)

# What went wrong in front of a user, as the GUI tells it.
error_logs: Final = sa.Table(
    "error_logs",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column(
        "user_id", UUID(as_uuid=True), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False
    ),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("context_lang", sa.Text, nullable=False),
    _object("context_env"),
    sa.Column("request_url", sa.Text),
    sa.Column("request_status", sa.Integer),
    sa.Column("traceback", sa.Text),
    _flag("is_read", False),
    _flag("is_cleared", False),
    _created_at(),
    sa.Index("ix_error_logs_user", "user_id", "created_at"),
)

# Plumbing.

outbox: Final = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("session_id", UUID(as_uuid=True)),
    sa.Column("name", sa.Text, nullable=False),
    _object("payload"),
    _created_at(),
    _time("relayed_at"),
    sa.Index("ix_outbox_session", "session_id", "id"),
)
sa.Index("ix_outbox_waiting", outbox.c.id, postgresql_where=sa.text("relayed_at is null"))

idempotency: Final = sa.Table(
    "idempotency",
    metadata,
    sa.Column("user_id", UUID(as_uuid=True), sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("token", sa.Text, primary_key=True),
    sa.Column("request_hash", sa.Text, nullable=False),
    sa.Column("session_id", UUID(as_uuid=True), nullable=False),
    _created_at(),
)

leases: Final = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.TIMESTAMP(timezone=True), nullable=False),
)

# Without references: it outlives everything that it tells of.
audit_log: Final = sa.Table(
    "audit_log",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("user_id", UUID(as_uuid=True), nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("access_key", sa.Text, nullable=False),
    # Who it was done as, where that was somebody else.
    sa.Column("as_email", sa.Text),
    sa.Column("as_access_key", sa.Text),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("target_kind", sa.Text, nullable=False),
    sa.Column("target_id", sa.Text, nullable=False),
    # Whose tenant the target is; null: nobody's.
    sa.Column("domain_name", sa.Text),
    _object("before"),
    _object("after"),
    sa.Index("ix_audit_log_domain", "domain_name", "id"),
    sa.Index("ix_audit_log_target", "target_kind", "target_id", "id"),
    sa.Index("ix_audit_log_email", "email", "id"),
)
