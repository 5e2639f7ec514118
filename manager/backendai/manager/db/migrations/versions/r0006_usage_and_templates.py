"""Templates of sessions, and a record of usage that outlives what it tells of."""

from alembic import op

from backendai.manager.db.ddl import KEEP_USAGE

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
    *KEEP_USAGE,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
