"""Routes into apps through app proxies, and where the relays of agents are."""

from alembic import op

from backendai.manager.db.ddl import LIVE_CIRCUITS

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_STATEMENTS = (
    "ALTER TABLE agents ADD COLUMN relay_addr text DEFAULT '' NOT NULL",
    """
CREATE TABLE circuits (
  id uuid NOT NULL,
  session_id uuid NOT NULL,
  kernel_id uuid NOT NULL,
  generation bigint NOT NULL,
  agent_id text NOT NULL,
  app text NOT NULL,
  port integer NOT NULL,
  protocol text NOT NULL,
  owner uuid NOT NULL,
  access_key text NOT NULL,
  is_public boolean DEFAULT false NOT NULL,
  allowed_ips text[],
  proxy text NOT NULL,
  subdomain text,
  public_port integer,
  created_at timestamptz DEFAULT now() NOT NULL,
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  closed_at timestamptz,
  close_reason text DEFAULT '' NOT NULL,
  CONSTRAINT pk_circuits PRIMARY KEY (id),
  CONSTRAINT fk_circuits_owner FOREIGN KEY (owner) REFERENCES users (id) ON DELETE CASCADE
)
""",
    "CREATE INDEX ix_circuits_kernel ON circuits (kernel_id, generation)",
    "CREATE INDEX ix_circuits_session ON circuits (session_id)",
    "CREATE INDEX ix_circuits_used ON circuits (used_at)",
    "CREATE INDEX ix_circuits_proxy ON circuits (proxy, closed_at)",
    "CREATE INDEX ix_circuits_owner ON circuits (owner, created_at)",
    "CREATE UNIQUE INDEX uq_circuits_port ON circuits (proxy, public_port) WHERE closed_at is null",
    "CREATE UNIQUE INDEX uq_circuits_subdomain ON circuits (subdomain) WHERE closed_at is null",
    """
CREATE TABLE permits (
  hash bytea NOT NULL,
  circuit_id uuid NOT NULL,
  address text DEFAULT '' NOT NULL,
  created_at timestamptz DEFAULT now() NOT NULL,
  expires_at timestamptz NOT NULL,
  CONSTRAINT pk_permits PRIMARY KEY (hash),
  CONSTRAINT fk_permits_circuit_id FOREIGN KEY (circuit_id) REFERENCES circuits (id)
    ON DELETE CASCADE
)
""",
    "CREATE INDEX ix_permits_circuit ON permits (circuit_id)",
    LIVE_CIRCUITS,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.get_bind().exec_driver_sql("DROP VIEW live_circuits")
    for table in ("permits", "circuits"):
        op.get_bind().exec_driver_sql(f"DROP TABLE {table}")
    op.get_bind().exec_driver_sql("ALTER TABLE agents DROP COLUMN relay_addr")
