"""Where the apps of sessions are, and who may still be in them."""

import uuid
from collections.abc import Iterable
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import ClusterRole, UserStatus
from backendai.common.faults import SessionNotFound
from backendai.common.lifecycle import KernelStatus
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Scope
from backendai.manager.sessions.store import select_meant

from .model import App, Site

_s, _k, _a, _g = t.sessions.c, t.kernels.c, t.agents.c, t.resource_groups.c
_SITE: Final = (
    sa.select(
        _s.id.label("session_id"),
        _s.status,
        _s.project_id,
        _s.domain_name.label("domain"),
        _k.id.label("kernel_id"),
        _k.status.label("kernel_status"),
        _k.generation,
        _k.agent_id,
        _k.service_ports,
        sa.func.coalesce(_a.relay_addr, "").label("relay_address"),
        sa.func.coalesce(_g.wsproxy_addr, "").label("proxy_address"),
    )
    .join(t.kernels, _k.session_id == _s.id)
    .outerjoin(t.agents, _a.id == _k.agent_id)
    .outerjoin(t.resource_groups, _g.name == _s.resource_group)
    .where(_k.cluster_role == ClusterRole.MAIN.value)
)
_RUNNING: Final = sa.text(
    "select id, generation from kernels where id = any(:ids) and status = :running"
).bindparams(sa.bindparam("ids", type_=ARRAY(UUID(as_uuid=True))))
_WELCOME: Final = sa.text(
    "select k.access_key from keypairs k join users u on u.id = k.user_id"
    " join domains d on d.name = u.domain_name"
    " where k.access_key = any(:keys) and k.is_active and d.is_active and u.status = :active"
).bindparams(sa.bindparam("keys", type_=ARRAY(sa.Text)))


async def find_site(conn: AsyncConnection, scope: Scope, reference: str) -> Site:
    """Of the live session that `reference` means. Raises SessionNotFound."""
    meant = _s.id == select_meant(scope, reference)
    row = (await conn.execute(_SITE.where(meant))).mappings().first()
    if row is None:
        raise SessionNotFound
    values: dict[str, Any] = {str(key): value for key, value in row.items()}
    apps = tuple(
        App(port["name"], port["protocol"], tuple(port["ports"]))
        for port in values.pop("service_ports")
    )
    return Site(apps=apps, **values)


async def list_running(
    conn: AsyncConnection, kernel_ids: Iterable[uuid.UUID]
) -> set[tuple[uuid.UUID, int]]:
    """Those of the kernels that run, each with its generation."""
    values = {"ids": list(kernel_ids), "running": KernelStatus.RUNNING.value}
    return {(row.id, row.generation) for row in await conn.execute(_RUNNING, values)}


async def list_welcome(conn: AsyncConnection, access_keys: Iterable[str]) -> set[str]:
    """Those of the keys that their users may still come with."""
    values = {"keys": list(access_keys), "active": UserStatus.ACTIVE.value}
    return set(await conn.scalars(_WELCOME, values))
