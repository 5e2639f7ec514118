"""Which Docker Swarm the engine of each node is in."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql("ALTER TABLE agents ADD COLUMN swarm JSONB NOT NULL DEFAULT '{}'")


def downgrade() -> None:
    op.get_bind().exec_driver_sql("ALTER TABLE agents DROP COLUMN swarm")
