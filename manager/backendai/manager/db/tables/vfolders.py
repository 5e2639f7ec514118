"""Tables of folders: whose they are, whom they are shared with, and what sessions mount of them."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from .columns import created_at, domain_name, flag, metadata, timestamp

_IS_LISTED: Final = sa.text("status in ('performing', 'ready', 'cloning')")
_IS_UNSETTLED: Final = sa.text("status in ('performing', 'cloning', 'deleting')")
_IS_PENDING: Final = sa.text("state = 'pending'")


def _user(name: str, ondelete: str, *, nullable: bool = False) -> sa.Column[object]:
    reference = sa.ForeignKey("users.id", ondelete=ondelete)
    return sa.Column(name, UUID(as_uuid=True), reference, nullable=nullable)


def _folder() -> sa.Column[object]:
    reference = sa.ForeignKey("vfolders.id", ondelete="CASCADE")
    return sa.Column("vfolder_id", UUID(as_uuid=True), reference, nullable=False)


# How much is in a folder is asked of its storage proxy.
vfolders: Final = sa.Table(
    "vfolders",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("name", sa.Text, nullable=False),
    domain_name(),
    # `<proxy>:<volume>`; empty where `unmanaged_path` says where it is.
    sa.Column("host", sa.Text, nullable=False),
    # Where it lies on the volume, `user:<uuid>` or `project:<uuid>`: of whoever it was made for.
    sa.Column("quota_scope_id", sa.Text, nullable=False),
    sa.Column("usage_mode", sa.Text, nullable=False),
    # What the members of its project may.
    sa.Column("permission", sa.Text, nullable=False),
    sa.Column("ownership_type", sa.Text, nullable=False),
    # Exactly one owner; none is left to those that are deleted together with it.
    _user("user_id", "SET NULL", nullable=True),
    sa.Column("project_id", UUID(as_uuid=True), sa.ForeignKey("projects.id", ondelete="SET NULL")),
    # The email of whoever made it.
    sa.Column("creator", sa.Text, nullable=False),
    flag("cloneable", False),
    sa.Column("status", sa.Text, nullable=False),
    timestamp("status_changed_at", nullable=False),
    # Of a directory that administrators keep on nodes, and no proxy knows of.
    sa.Column("unmanaged_path", sa.Text),
    timestamp("last_used_at"),
    created_at(),
    sa.CheckConstraint(
        "status in ('performing', 'ready', 'cloning', 'delete-pending', 'deleting')",
        name="status_known",
    ),
    sa.CheckConstraint("permission in ('ro', 'rw', 'wd')", name="permission_known"),
    sa.CheckConstraint("usage_mode in ('general', 'model', 'data')", name="usage_mode_known"),
    sa.CheckConstraint("ownership_type in ('user', 'group')", name="ownership_type_known"),
    sa.CheckConstraint(
        "num_nonnulls(user_id, project_id) = 1 or "
        "(status = 'deleting' and num_nonnulls(user_id, project_id) = 0)",
        name="one_owner",
    ),
    sa.Index("ix_vfolders_domain_name", "domain_name"),
)
# A name is free again as soon as its folder is in the bin.
sa.Index(
    "uq_vfolders_user_name",
    vfolders.c.user_id,
    vfolders.c.name,
    unique=True,
    postgresql_where=_IS_LISTED,
)
sa.Index(
    "uq_vfolders_project_name",
    vfolders.c.project_id,
    vfolders.c.name,
    unique=True,
    postgresql_where=_IS_LISTED,
)
sa.Index("ix_vfolders_user", vfolders.c.user_id)
sa.Index("ix_vfolders_project", vfolders.c.project_id)
sa.Index("ix_vfolders_unsettled", vfolders.c.status_changed_at, postgresql_where=_IS_UNSETTLED)

# The limit of a policy that a quota scope was given last, in bytes; null is none. An administrator
# may have set another one since, which stays until the policy says something else.
quota_scopes: Final = sa.Table(
    "quota_scopes",
    metadata,
    sa.Column("host", sa.Text, primary_key=True),
    sa.Column("quota_scope_id", sa.Text, primary_key=True),
    sa.Column("policy_bytes", sa.BigInteger),
)

# What one user may with a folder: of somebody else's it is a share, of a project's it stands
# instead of what all members may.
vfolder_permissions: Final = sa.Table(
    "vfolder_permissions",
    metadata,
    _folder(),
    _user("user_id", "CASCADE"),
    sa.Column("permission", sa.Text, nullable=False),
    created_at(),
    sa.PrimaryKeyConstraint("vfolder_id", "user_id"),
    sa.CheckConstraint("permission in ('ro', 'rw', 'wd')", name="permission_known"),
    sa.Index("ix_vfolder_permissions_user", "user_id"),
)

vfolder_invitations: Final = sa.Table(
    "vfolder_invitations",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    _folder(),
    _user("inviter_id", "CASCADE"),
    # An email, as whoever invites knows people; it is for whoever has it.
    sa.Column("invitee", sa.Text, nullable=False),
    sa.Column("permission", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="pending"),
    created_at(),
    timestamp("modified_at"),
    sa.CheckConstraint("permission in ('ro', 'rw', 'wd')", name="permission_known"),
    sa.CheckConstraint(
        "state in ('pending', 'canceled', 'accepted', 'rejected')", name="state_known"
    ),
    sa.Index("ix_vfolder_invitations_inviter", "inviter_id"),
    sa.Index("ix_vfolder_invitations_invitee", "invitee"),
)
sa.Index(
    "uq_vfolder_invitations_pending",
    vfolder_invitations.c.vfolder_id,
    vfolder_invitations.c.invitee,
    unique=True,
    postgresql_where=_IS_PENDING,
)

# What a session mounts, in order; it outlives the folder, which is then null.
session_mounts: Final = sa.Table(
    "session_mounts",
    metadata,
    sa.Column("session_id", UUID(as_uuid=True), sa.ForeignKey("sessions.id", ondelete="CASCADE")),
    sa.Column("position", sa.Integer),
    sa.Column("vfolder_id", UUID(as_uuid=True), sa.ForeignKey("vfolders.id", ondelete="SET NULL")),
    # The folder's, as they were then.
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    # Where nodes have the volume, and what proves it there; all empty for an unmanaged folder.
    sa.Column("volume_path", sa.Text, nullable=False),
    sa.Column("volume_id", sa.Text, nullable=False),
    sa.Column("host_path", sa.Text, nullable=False),
    sa.Column("kernel_path", sa.Text, nullable=False),
    sa.Column("permission", sa.Text, nullable=False),
    sa.Column("subpath", sa.Text, nullable=False, server_default="."),
    sa.PrimaryKeyConstraint("session_id", "position"),
    sa.CheckConstraint("permission in ('ro', 'rw', 'wd')", name="permission_known"),
    sa.Index("ix_session_mounts_vfolder", "vfolder_id"),
)
