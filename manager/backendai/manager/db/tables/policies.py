"""Tables of what people may have: resource policies and presets."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from .columns import created_at, json_object, metadata

keypair_policies: Final = sa.Table(
    "keypair_policies",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("default_for_unspecified", sa.Text, nullable=False),
    json_object("total_resource_slots"),
    sa.Column("max_session_lifetime", sa.Integer, nullable=False, server_default="0"),
    sa.Column("max_concurrent_sessions", sa.Integer, nullable=False),
    # Of the sessions that wait in the queue; null: no limit.
    sa.Column("max_pending_session_count", sa.Integer),
    sa.Column("max_pending_session_resource_slots", JSONB),
    sa.Column("max_concurrent_sftp_sessions", sa.Integer, nullable=False, server_default="1"),
    sa.Column("max_containers_per_session", sa.Integer, nullable=False, server_default="1"),
    sa.Column("idle_timeout", sa.BigInteger, nullable=False, server_default="0"),
    json_object("allowed_vfolder_hosts"),
    created_at(),
)

user_policies: Final = sa.Table(
    "user_policies",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("max_vfolder_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("max_quota_scope_size", sa.BigInteger, nullable=False, server_default="-1"),
    sa.Column(
        "max_session_count_per_model_session", sa.Integer, nullable=False, server_default="10"
    ),
    created_at(),
)

project_policies: Final = sa.Table(
    "project_policies",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("max_vfolder_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("max_quota_scope_size", sa.BigInteger, nullable=False, server_default="-1"),
    created_at(),
)

resource_presets: Final = sa.Table(
    "resource_presets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    json_object("resource_slots"),
    sa.Column("shared_memory", sa.BigInteger),
)
