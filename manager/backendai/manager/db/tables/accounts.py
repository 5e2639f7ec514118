"""Tables of who there is: domains, projects, users, keypairs and their dotfiles."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from .columns import created_at, domain_name, flag, json_list, json_object, metadata, timestamp

domains: Final = sa.Table(
    "domains",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    flag("is_active", True),
    json_object("total_resource_slots"),
    json_object("allowed_vfolder_hosts"),
    json_list("allowed_docker_registries"),
    sa.Column("integration_id", sa.Text),
    created_at(),
    timestamp("modified_at"),
)

projects: Final = sa.Table(
    "projects",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    domain_name(),
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    flag("is_active", True),
    sa.Column("resource_policy", sa.Text, sa.ForeignKey("project_policies.name"), nullable=False),
    json_object("total_resource_slots"),
    json_object("allowed_vfolder_hosts"),
    sa.Column("integration_id", sa.Text),
    created_at(),
    timestamp("modified_at"),
    sa.UniqueConstraint("domain_name", "name"),
    sa.Index("ix_projects_name", "name"),
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
    flag("need_password_change", False),
    timestamp("password_changed_at"),
    # The key of the user's device, sealed like secret keys; and the last code that was used.
    sa.Column("totp_key_encrypted", sa.LargeBinary),
    timestamp("totp_activated_at"),
    sa.Column("totp_used_step", sa.BigInteger),
    domain_name(),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("status_info", sa.Text, nullable=False, server_default=""),
    sa.Column("resource_policy", sa.Text, sa.ForeignKey("user_policies.name"), nullable=False),
    sa.Column("main_access_key", sa.Text),
    sa.Column("allowed_client_ip", ARRAY(sa.Text)),
    flag("sudo_session_enabled", False),
    created_at(),
    timestamp("modified_at"),
    sa.Index("ix_users_full_name", "full_name"),
)

project_members: Final = sa.Table(
    "project_members",
    metadata,
    sa.Column("project_id", UUID(as_uuid=True), sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("user_id", UUID(as_uuid=True), sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("role", sa.Text, nullable=False, server_default="member"),
    sa.Index("ix_project_members_user", "user_id"),
)

keypairs: Final = sa.Table(
    "keypairs",
    metadata,
    sa.Column("access_key", sa.Text, primary_key=True),
    # AES-256-GCM: key id, nonce, ciphertext; the access key is the associated data.
    sa.Column("secret_key_encrypted", sa.LargeBinary, nullable=False),
    sa.Column("user_id", UUID(as_uuid=True), sa.ForeignKey("users.id"), nullable=False),
    flag("is_active", True),
    flag("is_admin", False),
    sa.Column("resource_policy", sa.Text, sa.ForeignKey("keypair_policies.name"), nullable=False),
    sa.Column("rate_limit", sa.Integer, nullable=False, server_default="10000"),
    sa.Column("bootstrap_script", sa.Text, nullable=False, server_default=""),
    # For SSH into sessions; the private half is sealed like the secret key.
    sa.Column("ssh_public_key", sa.Text),
    sa.Column("ssh_private_key_encrypted", sa.LargeBinary),
    timestamp("last_used"),
    created_at(),
    timestamp("modified_at"),
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
    created_at(),
    timestamp("modified_at"),
    sa.UniqueConstraint("access_key", "path"),
    sa.UniqueConstraint("domain_name", "path"),
    sa.UniqueConstraint("project_id", "path"),
    sa.CheckConstraint("num_nonnulls(access_key, domain_name, project_id) = 1", name="one_owner"),
)
