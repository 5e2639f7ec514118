"""Which projects and resource groups a person reaches; what is beyond is not there for them."""

import uuid
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import ProjectNotFound
from backendai.common.ids import uuid_of
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Actor

_p: Final = t.projects.c

# As a session may use them: by its domain, its project or its keypair.
_ALLOWED: Final = sa.text("""
SELECT g.name, g.is_public, g.scheduler_opts, g.wsproxy_addr FROM resource_groups AS g
WHERE g.is_active AND (
  EXISTS (SELECT FROM resource_group_domains AS of_domain
    WHERE of_domain.resource_group = g.name AND of_domain.domain_name = :domain)
  OR EXISTS (SELECT FROM resource_group_projects AS of_project
    WHERE of_project.resource_group = g.name AND of_project.project_id = :project_id)
  OR EXISTS (SELECT FROM resource_group_keypairs AS of_keypair
    WHERE of_keypair.resource_group = g.name AND of_keypair.access_key = :access_key))
ORDER BY g.name <> 'default', g.name
""").columns(scheduler_opts=JSONB)


@dataclass(frozen=True, slots=True)
class Project:
    id: uuid.UUID
    name: str
    domain: str


@dataclass(frozen=True, slots=True)
class ResourceGroup:
    """`options` are the scheduler's; `proxy_address` is of the group's app proxy, or empty."""

    name: str
    is_public: bool
    options: dict[str, object]
    proxy_address: str


async def get_project(
    conn: AsyncConnection, actor: Actor, reference: str, domain: str | None = None
) -> Project:
    """The active project that `reference` means: an id, or a name in `domain` (the actor's own).

    Raises ProjectNotFound, the same for projects that the actor is no member of and does not
    administer.
    """
    project_id = uuid_of(reference)
    where: list[sa.ColumnElement[bool]] = [_p.is_active, t.domains.c.is_active]
    if project_id is not None:
        where.append(_p.id == project_id)
    else:
        where += [_p.name == reference, _p.domain_name == (domain or actor.domain)]
    found = await conn.execute(
        sa.select(_p.id, _p.name, _p.domain_name)
        .join(t.domains, t.domains.c.name == _p.domain_name)
        .where(*where, _reached_by(actor))
    )
    row = found.first()
    if row is None:
        raise ProjectNotFound(f"{reference!r} is none of yours")
    return Project(row.id, row.name, row.domain_name)


async def list_resource_groups(
    conn: AsyncConnection, access_key: str, project: Project
) -> list[ResourceGroup]:
    """The active groups that sessions of `access_key` in `project` may use; `default` first."""
    values = {"domain": project.domain, "project_id": project.id, "access_key": access_key}
    found = await conn.execute(_ALLOWED, values)
    return [ResourceGroup(*row) for row in found]


def _reached_by(actor: Actor) -> sa.ColumnElement[bool]:
    if actor.is_superadmin:
        return sa.true()
    member = t.project_members.c
    is_member = sa.exists().where(member.project_id == _p.id, member.user_id == actor.user_id)
    if actor.is_domain_admin:
        return sa.or_(is_member, _p.domain_name == actor.domain)
    return is_member
