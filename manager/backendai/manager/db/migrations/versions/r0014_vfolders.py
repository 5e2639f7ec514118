"""Folders, with whom they are shared, and what sessions mount of them."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
CREATE TABLE vfolders (
  id uuid NOT NULL,
  revision bigint DEFAULT '0' NOT NULL,
  name text NOT NULL,
  domain_name text NOT NULL,
  host text NOT NULL,
  quota_scope_id text NOT NULL,
  usage_mode text NOT NULL,
  permission text NOT NULL,
  ownership_type text NOT NULL,
  user_id uuid,
  project_id uuid,
  creator text NOT NULL,
  cloneable boolean DEFAULT false NOT NULL,
  status text NOT NULL,
  status_changed_at timestamptz NOT NULL,
  unmanaged_path text,
  last_used_at timestamptz,
  created_at timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT pk_vfolders PRIMARY KEY (id),
  CONSTRAINT ck_vfolders_status_known CHECK (
    status in ('performing', 'ready', 'cloning', 'delete-pending', 'deleting')),
  CONSTRAINT ck_vfolders_permission_known CHECK (permission in ('ro', 'rw', 'wd')),
  CONSTRAINT ck_vfolders_usage_mode_known CHECK (usage_mode in ('general', 'model', 'data')),
  CONSTRAINT ck_vfolders_ownership_type_known CHECK (ownership_type in ('user', 'group')),
  CONSTRAINT ck_vfolders_one_owner CHECK (num_nonnulls(user_id, project_id) = 1
    or (status = 'deleting' and num_nonnulls(user_id, project_id) = 0)),
  CONSTRAINT fk_vfolders_domain_name FOREIGN KEY (domain_name) REFERENCES domains (name)
    ON UPDATE CASCADE,
  CONSTRAINT fk_vfolders_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL,
  CONSTRAINT fk_vfolders_project_id FOREIGN KEY (project_id) REFERENCES projects (id)
    ON DELETE SET NULL
)
""",
    "CREATE INDEX ix_vfolders_domain_name ON vfolders (domain_name)",
    "CREATE UNIQUE INDEX uq_vfolders_user_name ON vfolders (user_id, name)"
    " WHERE status in ('performing', 'ready', 'cloning')",
    "CREATE UNIQUE INDEX uq_vfolders_project_name ON vfolders (project_id, name)"
    " WHERE status in ('performing', 'ready', 'cloning')",
    "CREATE INDEX ix_vfolders_user ON vfolders (user_id)",
    "CREATE INDEX ix_vfolders_project ON vfolders (project_id)",
    "CREATE INDEX ix_vfolders_unsettled ON vfolders (status_changed_at)"
    " WHERE status in ('performing', 'cloning', 'deleting')",
    """
CREATE TABLE vfolder_permissions (
  vfolder_id uuid NOT NULL,
  user_id uuid NOT NULL,
  permission text NOT NULL,
  created_at timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT pk_vfolder_permissions PRIMARY KEY (vfolder_id, user_id),
  CONSTRAINT ck_vfolder_permissions_permission_known CHECK (permission in ('ro', 'rw', 'wd')),
  CONSTRAINT fk_vfolder_permissions_vfolder_id FOREIGN KEY (vfolder_id) REFERENCES vfolders (id)
    ON DELETE CASCADE,
  CONSTRAINT fk_vfolder_permissions_user_id FOREIGN KEY (user_id) REFERENCES users (id)
    ON DELETE CASCADE
)
""",
    "CREATE INDEX ix_vfolder_permissions_user ON vfolder_permissions (user_id)",
    """
CREATE TABLE vfolder_invitations (
  id uuid NOT NULL,
  vfolder_id uuid NOT NULL,
  inviter_id uuid NOT NULL,
  invitee text NOT NULL,
  permission text NOT NULL,
  state text DEFAULT 'pending' NOT NULL,
  created_at timestamptz DEFAULT now() NOT NULL,
  modified_at timestamptz,
  CONSTRAINT pk_vfolder_invitations PRIMARY KEY (id),
  CONSTRAINT ck_vfolder_invitations_permission_known CHECK (permission in ('ro', 'rw', 'wd')),
  CONSTRAINT ck_vfolder_invitations_state_known CHECK (
    state in ('pending', 'canceled', 'accepted', 'rejected')),
  CONSTRAINT fk_vfolder_invitations_vfolder_id FOREIGN KEY (vfolder_id) REFERENCES vfolders (id)
    ON DELETE CASCADE,
  CONSTRAINT fk_vfolder_invitations_inviter_id FOREIGN KEY (inviter_id) REFERENCES users (id)
    ON DELETE CASCADE
)
""",
    "CREATE INDEX ix_vfolder_invitations_inviter ON vfolder_invitations (inviter_id)",
    "CREATE INDEX ix_vfolder_invitations_invitee ON vfolder_invitations (invitee)",
    "CREATE UNIQUE INDEX uq_vfolder_invitations_pending"
    " ON vfolder_invitations (vfolder_id, invitee) WHERE state = 'pending'",
    """
CREATE TABLE session_mounts (
  session_id uuid NOT NULL,
  position integer NOT NULL,
  vfolder_id uuid,
  name text NOT NULL,
  host text NOT NULL,
  volume_path text NOT NULL,
  volume_id text NOT NULL,
  host_path text NOT NULL,
  kernel_path text NOT NULL,
  permission text NOT NULL,
  subpath text DEFAULT '.' NOT NULL,
  CONSTRAINT pk_session_mounts PRIMARY KEY (session_id, position),
  CONSTRAINT ck_session_mounts_permission_known CHECK (permission in ('ro', 'rw', 'wd')),
  CONSTRAINT fk_session_mounts_session_id FOREIGN KEY (session_id) REFERENCES sessions (id)
    ON DELETE CASCADE,
  CONSTRAINT fk_session_mounts_vfolder_id FOREIGN KEY (vfolder_id) REFERENCES vfolders (id)
    ON DELETE SET NULL
)
""",
    "CREATE INDEX ix_session_mounts_vfolder ON session_mounts (vfolder_id)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    for table in ("session_mounts", "vfolder_invitations", "vfolder_permissions", "vfolders"):
        op.get_bind().exec_driver_sql(f"DROP TABLE {table}")
