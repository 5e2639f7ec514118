"""One-time tokens by which nodes join the cluster."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_TABLE = """
CREATE TABLE join_tokens (
  id uuid NOT NULL,
  token_hash bytea NOT NULL,
  resource_group text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  used_by text,
  public_key text,
  CONSTRAINT pk_join_tokens PRIMARY KEY (id),
  CONSTRAINT uq_join_tokens_token_hash UNIQUE (token_hash),
  CONSTRAINT fk_join_tokens_resource_group FOREIGN KEY (resource_group)
    REFERENCES resource_groups (name) ON DELETE CASCADE
)
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_TABLE)


def downgrade() -> None:
    op.get_bind().exec_driver_sql("DROP TABLE join_tokens")
