"""Tables of the cluster itself: its status, long tasks, what went wrong, the plumbing."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from .columns import NOW, created_at, flag, json_object, metadata, timestamp

# One row at most; none means that it runs. What is placed waits while it is frozen.
cluster_status: Final = sa.Table(
    "cluster_status",
    metadata,
    sa.Column("is_only", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Column("changed_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=NOW),
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
    json_object("params"),
    sa.Column(
        "user_id", UUID(as_uuid=True), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False
    ),
    sa.Column("status", sa.Text, nullable=False, server_default="pending"),
    sa.Column("current", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("total", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("message", sa.Text, nullable=False, server_default=""),
    flag("is_unwanted", False),
    sa.Column("holder", sa.Text),
    timestamp("beat_at"),
    created_at(),
    timestamp("ended_at"),
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
    json_object("context_env"),
    sa.Column("request_url", sa.Text),
    sa.Column("request_status", sa.Integer),
    sa.Column("traceback", sa.Text),
    flag("is_read", False),
    flag("is_cleared", False),
    created_at(),
    sa.Index("ix_error_logs_user", "user_id", "created_at"),
)


outbox: Final = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("session_id", UUID(as_uuid=True)),
    sa.Column("name", sa.Text, nullable=False),
    json_object("payload"),
    created_at(),
    timestamp("relayed_at"),
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
    created_at(),
)

leases: Final = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.TIMESTAMP(timezone=True), nullable=False),
)

# One row for each life of a manager that beats.
managers: Final = sa.Table(
    "managers",
    metadata,
    sa.Column("holder", sa.Text, primary_key=True),
    json_object("facts"),
    sa.Column("beat_at", sa.TIMESTAMP(timezone=True), nullable=False),
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
    json_object("before"),
    json_object("after"),
    sa.Index("ix_audit_log_domain", "domain_name", "id"),
    sa.Index("ix_audit_log_target", "target_kind", "target_id", "id"),
    sa.Index("ix_audit_log_email", "email", "id"),
)

# Something wrong since `seen_at`; an alert since `began_at`. At most one of a kind and subject is
# open, whoever of several managers sees it first.
alerts: Final = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    timestamp("seen_at", nullable=False),
    timestamp("began_at"),
    timestamp("ended_at"),
)
sa.Index(
    "uq_alerts_open",
    alerts.c.kind,
    alerts.c.subject,
    unique=True,
    postgresql_where=alerts.c.ended_at.is_(None),
)
sa.Index("ix_alerts_began_at", alerts.c.began_at)

# Who has yet to hear of the beginning or the end of an alert. Rows go when they have.
alert_messages: Final = sa.Table(
    "alert_messages",
    metadata,
    sa.Column(
        "alert_id", sa.BigInteger, sa.ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("change", sa.Text, primary_key=True),
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    timestamp("next_at", nullable=False),
    sa.Index("ix_alert_messages_next_at", "next_at"),
)
