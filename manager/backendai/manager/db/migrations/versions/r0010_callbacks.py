"""How far the addresses of sessions have been told of them."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(
        """
CREATE TABLE callbacks (
  session_id uuid NOT NULL,
  told bigint DEFAULT '0' NOT NULL,
  attempts integer DEFAULT '0' NOT NULL,
  next_at timestamptz NOT NULL,
  CONSTRAINT pk_callbacks PRIMARY KEY (session_id)
)
"""
    )


def downgrade() -> None:
    op.get_bind().exec_driver_sql("DROP TABLE callbacks")
