"""Background tasks, image registries, and limits of images that administrators set."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_STATEMENTS = (
    "ALTER TABLE images ADD COLUMN resource_limits jsonb DEFAULT '{}'::jsonb NOT NULL",
    """
CREATE TABLE container_registries (
  hostname text NOT NULL,
  url text NOT NULL,
  type text NOT NULL,
  projects jsonb DEFAULT '[]'::jsonb NOT NULL,
  username text,
  password_encrypted bytea,
  ssl_verify boolean DEFAULT true NOT NULL,
  created_at timestamptz DEFAULT now() NOT NULL,
  modified_at timestamptz,
  CONSTRAINT pk_container_registries PRIMARY KEY (hostname)
)
""",
    """
CREATE TABLE tasks (
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  name text NOT NULL,
  params jsonb DEFAULT '{}'::jsonb NOT NULL,
  user_id uuid NOT NULL,
  status text DEFAULT 'pending' NOT NULL,
  current bigint DEFAULT 0 NOT NULL,
  total bigint DEFAULT 0 NOT NULL,
  message text DEFAULT '' NOT NULL,
  is_unwanted boolean DEFAULT false NOT NULL,
  holder text,
  beat_at timestamptz,
  created_at timestamptz DEFAULT now() NOT NULL,
  ended_at timestamptz,
  CONSTRAINT pk_tasks PRIMARY KEY (id),
  CONSTRAINT fk_tasks_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
  CONSTRAINT ck_tasks_status_known
    CHECK (status IN ('pending', 'running', 'done', 'failed', 'cancelled'))
)
""",
    "CREATE INDEX ix_tasks_user ON tasks (user_id, created_at)",
    "CREATE INDEX ix_tasks_live ON tasks (created_at) WHERE status IN ('pending', 'running')",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
