"""The tables of the foundation, with their triggers and views."""

from pathlib import Path

from alembic import op

from backendai.manager.db.ddl import CREATE

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Frozen text, so that later changes of the tables never change what this revision does.
    tables = Path(__file__).with_suffix(".sql").read_text("utf-8")
    for statement in (*tables.split(";\n"), *CREATE):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
