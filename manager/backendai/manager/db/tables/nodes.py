"""Tables of what sessions run on and from: resource groups, agents, images, registries."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from .columns import (
    AMOUNT,
    created_at,
    domain_name,
    flag,
    json_list,
    json_object,
    metadata,
    timestamp,
)

resource_groups: Final = sa.Table(
    "resource_groups",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    flag("is_active", True),
    flag("is_public", True),
    sa.Column("scheduler", sa.Text, nullable=False, server_default="fifo"),
    # placement: concentrated or dispersed; pending_timeout_seconds; allowed_session_types; …
    json_object("scheduler_opts"),
    sa.Column("driver", sa.Text, nullable=False, server_default="static"),
    json_object("driver_opts"),
    flag("use_host_network", False),
    sa.Column("wsproxy_addr", sa.Text, nullable=False, server_default=""),
    sa.Column("wsproxy_api_token", sa.Text, nullable=False, server_default=""),
    created_at(),
)

resource_group_domains: Final = sa.Table(
    "resource_group_domains",
    metadata,
    sa.Column("resource_group", sa.Text, sa.ForeignKey("resource_groups.name"), primary_key=True),
    domain_name(primary_key=True),
)

resource_group_projects: Final = sa.Table(
    "resource_group_projects",
    metadata,
    sa.Column("resource_group", sa.Text, sa.ForeignKey("resource_groups.name"), primary_key=True),
    sa.Column("project_id", UUID(as_uuid=True), sa.ForeignKey("projects.id"), primary_key=True),
)

resource_group_keypairs: Final = sa.Table(
    "resource_group_keypairs",
    metadata,
    sa.Column("resource_group", sa.Text, sa.ForeignKey("resource_groups.name"), primary_key=True),
    sa.Column("access_key", sa.Text, sa.ForeignKey("keypairs.access_key"), primary_key=True),
)

agents: Final = sa.Table(
    "agents",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    timestamp("status_changed_at"),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("public_key", sa.Text, nullable=False),
    # Where its relay lets into the apps of its kernels; empty where it has none.
    sa.Column("relay_addr", sa.Text, nullable=False, server_default=""),
    # The daemon's life that last reported: a second daemon under the same id is refused.
    sa.Column("instance", sa.Text, nullable=False, server_default=""),
    sa.Column("resource_group", sa.Text, sa.ForeignKey("resource_groups.name"), nullable=False),
    sa.Column("region", sa.Text, nullable=False, server_default=""),
    sa.Column("architecture", sa.Text, nullable=False, server_default="x86_64"),
    sa.Column("backend", sa.Text, nullable=False, server_default=""),
    sa.Column("version", sa.Text, nullable=False, server_default=""),
    flag("schedulable", True),
    flag("engine_reachable", True),
    sa.Column("engine_detail", sa.Text, nullable=False, server_default=""),
    # Why the agent holds back stopping many containers at once, where it does.
    sa.Column("halted", sa.Text, nullable=False, server_default=""),
    json_object("plugins"),
    # The Docker Swarm of its engine: node_id, swarm_id where it manages it, managers; or empty.
    json_object("swarm"),
    # How it was when it was heard last: cpu_percent of all cores together, memory_bytes, disks, and
    # by how much its clock was ahead of the manager's.
    json_object("last_use"),
    timestamp("first_contact"),
    timestamp("last_seen_at"),
    # Since when it has been heard without a gap: a flapping node has to prove itself.
    timestamp("steady_since"),
    timestamp("lost_at"),
    sa.Column("flaps", sa.Integer, nullable=False, server_default="0"),
)

# By which nodes join. What is shown to a superadmin once is kept as its digest alone.
join_tokens: Final = sa.Table(
    "join_tokens",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
    sa.Column(
        "resource_group",
        sa.Text,
        sa.ForeignKey("resource_groups.name", ondelete="CASCADE"),
        nullable=False,
    ),
    created_at(),
    timestamp("expires_at", nullable=False),
    timestamp("used_at"),
    # No reference: a node that has just joined is not known before it is heard.
    sa.Column("used_by", sa.Text),
    sa.Column("public_key", sa.Text),
)

agent_slots: Final = sa.Table(
    "agent_slots",
    metadata,
    sa.Column("agent_id", sa.Text, sa.ForeignKey("agents.id"), primary_key=True),
    sa.Column("slot", sa.Text, primary_key=True),
    sa.Column("capacity", AMOUNT, nullable=False),
    sa.CheckConstraint("capacity >= 0", name="capacity_not_negative"),
)

images: Final = sa.Table(
    "images",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    # The canonical name, `registry/project/name:tag`; local images have no registry part.
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("architecture", sa.Text, nullable=False),
    sa.Column("registry", sa.Text, nullable=False, server_default=""),
    sa.Column("tag", sa.Text, nullable=False, server_default="latest"),
    sa.Column("digest", sa.Text, nullable=False, server_default=""),
    sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default="0"),
    json_object("labels"),
    # What an administrator set: {slot: {"min"?, "max"?}}; a minimum here beats the label's.
    json_object("resource_limits"),
    flag("is_local", False),
    flag("is_active", True),
    created_at(),
    sa.UniqueConstraint("name", "architecture"),
)

image_aliases: Final = sa.Table(
    "image_aliases",
    metadata,
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column(
        "image_id",
        UUID(as_uuid=True),
        sa.ForeignKey("images.id", ondelete="CASCADE"),
        nullable=False,
    ),
)

image_agents: Final = sa.Table(
    "image_agents",
    metadata,
    sa.Column(
        "image_id",
        UUID(as_uuid=True),
        sa.ForeignKey("images.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("agent_id", sa.Text, sa.ForeignKey("agents.id"), primary_key=True),
)

# Where images come from. The password is sealed for `registry:<hostname>`.
container_registries: Final = sa.Table(
    "container_registries",
    metadata,
    # The first part of the names of its images.
    sa.Column("hostname", sa.Text, primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    # The projects that are looked into; empty: all.
    json_list("projects"),
    sa.Column("username", sa.Text),
    sa.Column("password_encrypted", sa.LargeBinary),
    flag("ssl_verify", True),
    created_at(),
    timestamp("modified_at"),
)
