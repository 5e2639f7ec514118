"""Templates in Postgres, always as somebody may see them."""

import uuid
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import UserRole
from backendai.common.faults import TemplateNotFound
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Actor, Scope

from .model import Template, TemplateKind

LISTED_MAX: Final = 1000
_c: Final = t.session_templates.c
_FROM: Final = t.session_templates.join(t.users, t.users.c.id == _c.user_id).join(
    t.projects, t.projects.c.id == _c.project_id
)
_SELECT: Final = sa.select(
    _c.id,
    _c.type,
    _c.name,
    _c.template,
    t.projects.c.domain_name,
    _c.project_id,
    t.projects.c.name.label("project"),
    _c.user_id,
    t.users.c.email,
    t.users.c.role,
    _c.created_at,
).select_from(_FROM)


async def list_templates(
    conn: AsyncConnection, kind: TemplateKind, viewer: Actor, everything: Scope | None
) -> list[Template]:
    """Own ones and those of own projects, or with `everything` all in that scope; by name."""
    where = [_c.type == kind.value]
    if everything is None:
        where.append(_shared_with(viewer))
    elif everything.domain is not None:
        where.append(t.projects.c.domain_name == everything.domain)
    found = await conn.execute(_SELECT.where(*where).order_by(_c.name, _c.id).limit(LISTED_MAX))
    return [_template(row) for row in found]


async def get_template(
    conn: AsyncConnection, kind: TemplateKind, template_id: uuid.UUID, viewer: Actor
) -> Template:
    """Raises TemplateNotFound, the same for what `viewer` may not see."""
    where = [_c.id == template_id, _c.type == kind.value]
    if not viewer.is_superadmin:
        administered = (
            t.projects.c.domain_name == viewer.domain if viewer.is_domain_admin else sa.false()
        )
        where.append(sa.or_(_shared_with(viewer), administered))
    row = (await conn.execute(_SELECT.where(*where))).first()
    if row is None:
        raise TemplateNotFound(str(template_id))
    return _template(row)


async def count_templates(conn: AsyncConnection, user_id: uuid.UUID) -> int:
    counted = sa.select(sa.func.count()).where(_c.user_id == user_id)
    return int(await conn.scalar(counted) or 0)


def _shared_with(viewer: Actor) -> sa.ColumnElement[bool]:
    members = t.project_members.c
    own = sa.select(members.project_id).where(members.user_id == viewer.user_id)
    return sa.or_(_c.user_id == viewer.user_id, _c.project_id.in_(own))


def _template(row: Any) -> Template:
    return Template(
        id=row.id,
        kind=TemplateKind(row.type),
        name=row.name,
        content=row.template,
        domain=row.domain_name,
        project_id=row.project_id,
        project=row.project,
        user_id=row.user_id,
        email=row.email,
        is_guarded=row.role == UserRole.SUPERADMIN.value,
        created_at=row.created_at,
    )
