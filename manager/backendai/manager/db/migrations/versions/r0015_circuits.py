"""Routes into apps through app proxies, and where the relays of agents are."""

from alembic import op

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
    """
CREATE VIEW live_circuits AS
SELECT circuits.id, circuits.session_id, circuits.kernel_id, circuits.generation,
  circuits.agent_id, circuits.app, circuits.port, circuits.protocol, circuits.owner,
  circuits.access_key, circuits.is_public, circuits.allowed_ips, circuits.proxy,
  circuits.subdomain, circuits.public_port, circuits.created_at, circuits.expires_at,
  circuits.used_at, agents.relay_addr
FROM circuits
JOIN kernels ON kernels.id = circuits.kernel_id AND kernels.generation = circuits.generation
  AND kernels.agent_id = circuits.agent_id AND kernels.status = 'RUNNING'
JOIN agents ON agents.id = circuits.agent_id
JOIN keypairs ON keypairs.access_key = circuits.access_key AND keypairs.is_active
JOIN users ON users.id = circuits.owner AND users.status = 'active'
JOIN domains ON domains.name = users.domain_name AND domains.is_active
JOIN sessions ON sessions.id = circuits.session_id AND (
  sessions.user_id = circuits.owner OR users.role = 'superadmin'
  OR users.role = 'admin' AND users.domain_name = sessions.domain_name)
WHERE circuits.closed_at IS NULL AND circuits.expires_at > now()
""",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.get_bind().exec_driver_sql("DROP VIEW live_circuits")
    for table in ("permits", "circuits"):
        op.get_bind().exec_driver_sql(f"DROP TABLE {table}")
    op.get_bind().exec_driver_sql("ALTER TABLE agents DROP COLUMN relay_addr")
