"""When sessions were last used, and what idle checkers found of them."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
CREATE TABLE session_idleness (
  session_id uuid NOT NULL,
  active_at timestamptz,
  active_by text DEFAULT '' NOT NULL,
  utilization jsonb DEFAULT '{}'::jsonb NOT NULL,
  warned jsonb DEFAULT '{}'::jsonb NOT NULL,
  checks jsonb DEFAULT '{}'::jsonb NOT NULL,
  CONSTRAINT pk_session_idleness PRIMARY KEY (session_id)
)
""",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
