"""What all tables share: the metadata with its naming, and the kinds of columns that recur."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

AMOUNT: Final = sa.Numeric(24, 6)
NOW: Final = sa.text("now()")
_EMPTY_OBJECT: Final = sa.text("'{}'::jsonb")
_EMPTY_LIST: Final = sa.text("'[]'::jsonb")


def timestamp(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable)


def created_at() -> sa.Column[object]:
    return sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=NOW)


def domain_name(*, primary_key: bool = False) -> sa.Column[object]:
    """Follows when a domain is renamed."""
    reference = sa.ForeignKey("domains.name", onupdate="CASCADE")
    return sa.Column("domain_name", sa.Text, reference, nullable=False, primary_key=primary_key)


def json_object(name: str) -> sa.Column[object]:
    return sa.Column(name, JSONB, nullable=False, server_default=_EMPTY_OBJECT)


def json_list(name: str) -> sa.Column[object]:
    return sa.Column(name, JSONB, nullable=False, server_default=_EMPTY_LIST)


def flag(name: str, default: bool) -> sa.Column[object]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.text(str(default).lower()))
