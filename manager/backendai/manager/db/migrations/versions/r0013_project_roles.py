"""What members of a project are in it, and which managers live."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # The release before writes members without a role.
    "ALTER TABLE project_members ADD COLUMN role text DEFAULT 'member' NOT NULL",
    """
CREATE TABLE managers (
  holder text NOT NULL,
  facts jsonb DEFAULT '{}'::jsonb NOT NULL,
  beat_at timestamptz NOT NULL,
  CONSTRAINT pk_managers PRIMARY KEY (holder)
)
""",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.get_bind().exec_driver_sql("DROP TABLE managers")
    op.get_bind().exec_driver_sql("ALTER TABLE project_members DROP COLUMN role")
