"""A second factor of users: the sealed key of their device, since when, and the last code used."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_COLUMNS = {
    "totp_key_encrypted": "bytea",
    "totp_activated_at": "timestamptz",
    "totp_used_step": "bigint",
}


def upgrade() -> None:
    for name, kind in _COLUMNS.items():
        op.get_bind().exec_driver_sql(f"ALTER TABLE users ADD COLUMN {name} {kind}")


def downgrade() -> None:
    for name in _COLUMNS:
        op.get_bind().exec_driver_sql(f"ALTER TABLE users DROP COLUMN {name}")
