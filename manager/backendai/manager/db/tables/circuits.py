"""Tables of routes through app proxies: where each leads, and which browsers may take it."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from .columns import created_at, flag, metadata, timestamp

_IS_OPEN: Final = sa.text("closed_at is null")

# Written by the app proxies. Whether one leads anywhere is told by the view `live_circuits`, not
# by a foreign key: sessions are forgotten at another time than the routes into them.
circuits: Final = sa.Table(
    "circuits",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("session_id", UUID(as_uuid=True), nullable=False),
    sa.Column("kernel_id", UUID(as_uuid=True), nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("agent_id", sa.Text, nullable=False),
    sa.Column("app", sa.Text, nullable=False),
    # The port of the app in its kernel; 0 for one that is built in.
    sa.Column("port", sa.Integer, nullable=False),
    sa.Column("protocol", sa.Text, nullable=False),
    sa.Column(
        "owner", UUID(as_uuid=True), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False
    ),
    sa.Column("access_key", sa.Text, nullable=False),
    flag("is_public", False),
    # Networks that may come; null for all.
    sa.Column("allowed_ips", ARRAY(sa.Text)),
    # Where the proxy named so offers it: one of the two.
    sa.Column("proxy", sa.Text, nullable=False),
    sa.Column("subdomain", sa.Text),
    sa.Column("public_port", sa.Integer),
    created_at(),
    timestamp("expires_at", nullable=False),
    # The proxy moves both on, not more often than once a minute.
    timestamp("used_at"),
    timestamp("closed_at"),
    sa.Column("close_reason", sa.Text, nullable=False, server_default=""),
    sa.Index("ix_circuits_kernel", "kernel_id", "generation"),
    sa.Index("ix_circuits_session", "session_id"),
    sa.Index("ix_circuits_used", "used_at"),
    sa.Index("ix_circuits_proxy", "proxy", "closed_at"),
    sa.Index("ix_circuits_owner", "owner", "created_at"),
)
sa.Index(
    "uq_circuits_port",
    circuits.c.proxy,
    circuits.c.public_port,
    unique=True,
    postgresql_where=_IS_OPEN,
)
sa.Index("uq_circuits_subdomain", circuits.c.subdomain, unique=True, postgresql_where=_IS_OPEN)

permits: Final = sa.Table(
    "permits",
    metadata,
    # SHA-256 of the cookie.
    sa.Column("hash", sa.LargeBinary, primary_key=True),
    sa.Column(
        "circuit_id",
        UUID(as_uuid=True),
        sa.ForeignKey("circuits.id", ondelete="CASCADE"),
        nullable=False,
    ),
    # Where it was given to: apps without cookies know by this who may connect.
    sa.Column("address", sa.Text, nullable=False, server_default=""),
    created_at(),
    timestamp("expires_at", nullable=False),
    sa.Index("ix_permits_circuit", "circuit_id"),
)
