"""Templates of sessions, and a record of usage that outlives what it tells of."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
CREATE TABLE session_templates (
  id uuid NOT NULL,
  type text NOT NULL,
  name text NOT NULL,
  template jsonb DEFAULT '{}'::jsonb NOT NULL,
  project_id uuid NOT NULL,
  user_id uuid NOT NULL,
  created_at timestamptz DEFAULT now() NOT NULL,
  modified_at timestamptz,
  CONSTRAINT pk_session_templates PRIMARY KEY (id),
  CONSTRAINT ck_session_templates_type_known CHECK (type IN ('task', 'cluster')),
  CONSTRAINT fk_session_templates_project_id FOREIGN KEY (project_id) REFERENCES projects (id),
  CONSTRAINT fk_session_templates_user_id FOREIGN KEY (user_id) REFERENCES users (id)
)
""",
    "CREATE INDEX ix_session_templates_user ON session_templates (user_id)",
    "CREATE INDEX ix_session_templates_project ON session_templates (project_id)",
    """
CREATE TABLE usage_records (
  kernel_id uuid NOT NULL,
  generation bigint NOT NULL,
  slot text NOT NULL,
  amount numeric(24, 6) NOT NULL,
  allocated_at timestamptz NOT NULL,
  freed_at timestamptz NOT NULL,
  session_id uuid NOT NULL,
  project_id uuid NOT NULL,
  user_id uuid NOT NULL,
  facts jsonb DEFAULT '{}'::jsonb NOT NULL,
  CONSTRAINT pk_usage_records PRIMARY KEY (kernel_id, generation, slot)
)
""",
    "CREATE INDEX ix_usage_records_project ON usage_records (project_id, freed_at)",
    "CREATE INDEX ix_usage_records_user ON usage_records (user_id, freed_at)",
    """
CREATE VIEW usage_facts AS
SELECT kernels.id AS kernel_id, sessions.id AS session_id, sessions.project_id, sessions.user_id,
  jsonb_build_object(
    'domain_name', sessions.domain_name, 'project_name', projects.name,
    'session_name', sessions.name, 'access_key', sessions.access_key,
    'email', users.email, 'full_name', users.full_name,
    'agent', kernels.agent_id, 'container_id', kernels.container_id, 'image', kernels.image,
    'shared_memory', kernels.shared_memory_bytes, 'cluster_mode', sessions.cluster_mode,
    'status', kernels.status, 'status_info', kernels.status_info,
    'status_changed_at', kernels.status_changed_at,
    'created_at', kernels.created_at, 'ended_at', kernels.ended_at,
    'last_use', kernels.last_use) AS facts
FROM kernels
JOIN sessions ON sessions.id = kernels.session_id
JOIN users ON users.id = sessions.user_id
JOIN projects ON projects.id = sessions.project_id
""",
    """
CREATE FUNCTION keep_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_records (kernel_id, generation, slot, amount, allocated_at, freed_at,
    session_id, project_id, user_id, facts)
  SELECT gone.kernel_id, gone.generation, gone.slot, gone.amount, gone.allocated_at,
    coalesce(gone.freed_at, greatest(now(), gone.allocated_at)),
    told.session_id, told.project_id, told.user_id, told.facts
  FROM gone JOIN usage_facts AS told ON told.kernel_id = gone.kernel_id
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$
""",
    "CREATE TRIGGER keep_usage AFTER DELETE ON allocations REFERENCING OLD TABLE AS gone"
    " FOR EACH STATEMENT EXECUTE FUNCTION keep_usage()",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
