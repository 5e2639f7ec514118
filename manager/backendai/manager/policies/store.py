"""Reads policies, limits and resource groups of an account."""

import uuid
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import AgentStatus, DefaultForUnspecified
from backendai.common.faults import PolicyNotFound, ProjectNotFound, ResourceGroupNotFound
from backendai.common.slots import ResourceSlots, SlotName
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Actor

from .model import Limits, SlotLimit


@dataclass(frozen=True, slots=True)
class Project:
    """A project (`group` on the wire) that the caller may use."""

    id: uuid.UUID
    name: str
    domain: str
    slots: ResourceSlots
    domain_slots: ResourceSlots


async def get_project(
    connection: AsyncConnection, actor: Actor, domain: str, reference: str
) -> Project:
    """The active project of that name or id that `actor` is a member of.

    Superadmins may use every project, domain admins those of their domain. Raises ProjectNotFound.
    """
    member = sa.exists().where(
        t.project_members.c.project_id == t.projects.c.id,
        t.project_members.c.user_id == actor.user_id,
    )
    may: sa.ColumnElement[bool] = sa.true() if actor.is_superadmin else member
    if actor.is_domain_admin and not actor.is_superadmin:
        may = sa.or_(member, t.projects.c.domain_name == actor.domain)
    row = (
        await connection.execute(
            sa.select(
                t.projects.c.id,
                t.projects.c.name,
                t.projects.c.domain_name,
                t.projects.c.total_resource_slots,
                t.domains.c.total_resource_slots.label("domain_slots"),
            )
            .join(t.domains, t.domains.c.name == t.projects.c.domain_name)
            .where(
                _is_named(reference),
                t.projects.c.domain_name == domain,
                t.projects.c.is_active,
                t.domains.c.is_active,
                may,
            )
        )
    ).first()
    if row is None:
        raise ProjectNotFound(f"{reference!r} in domain {domain!r}")
    return Project(
        row.id,
        row.name,
        row.domain_name,
        ResourceSlots.parse(row.total_resource_slots),
        ResourceSlots.parse(row.domain_slots),
    )


async def load_limits(connection: AsyncConnection, owner: Actor, project: Project) -> Limits:
    policy = t.keypair_policies
    row = (await connection.execute(sa.select(policy).where(policy.c.name == owner.policy))).first()
    if row is None:
        raise PolicyNotFound(owner.policy)
    keypair = SlotLimit(
        ResourceSlots.parse(row.total_resource_slots),
        DefaultForUnspecified(row.default_for_unspecified),
    )
    return Limits(
        sessions_max=row.max_concurrent_sessions,
        containers_max=row.max_containers_per_session,
        slots={
            "keypair": keypair,
            "project": SlotLimit(project.slots),
            "domain": SlotLimit(project.domain_slots),
        },
    )


async def list_resource_groups(
    connection: AsyncConnection, owner: Actor, project: Project
) -> list[str]:
    """The active resource groups that the owner may use in the project, `default` first."""
    allowed = sa.union(
        sa.select(t.resource_group_domains.c.resource_group).where(
            t.resource_group_domains.c.domain_name == project.domain
        ),
        sa.select(t.resource_group_projects.c.resource_group).where(
            t.resource_group_projects.c.project_id == project.id
        ),
        sa.select(t.resource_group_keypairs.c.resource_group).where(
            t.resource_group_keypairs.c.access_key == owner.access_key
        ),
    )
    groups = t.resource_groups
    found = await connection.scalars(
        sa.select(groups.c.name)
        .where(groups.c.name.in_(allowed), groups.c.is_active)
        .order_by(groups.c.name != "default", groups.c.name)
    )
    return list(found)


def choose_resource_group(allowed: list[str], wanted: str | None) -> str:
    """The wanted group, or the first allowed one. Raises ResourceGroupNotFound. Pure."""
    if wanted is None:
        if not allowed:
            raise ResourceGroupNotFound("You may use none; an administrator can allow one.")
        return allowed[0]
    if wanted not in allowed:
        raise ResourceGroupNotFound(
            f"{wanted!r} is none that you may use", {"allowed": allowed, "given": wanted}
        )
    return wanted


async def load_capacities(connection: AsyncConnection, resource_group: str) -> list[ResourceSlots]:
    """What each node of the group could give if it were empty."""
    rows = await connection.execute(
        sa.select(t.agent_slots.c.agent_id, t.agent_slots.c.slot, t.agent_slots.c.capacity)
        .join(t.agents, t.agents.c.id == t.agent_slots.c.agent_id)
        .where(
            t.agents.c.resource_group == resource_group,
            t.agents.c.status.in_([AgentStatus.ALIVE.value, AgentStatus.SUSPECT.value]),
        )
    )
    by_agent: dict[str, dict[SlotName, Any]] = {}
    for agent_id, slot, capacity in rows:
        by_agent.setdefault(agent_id, {})[SlotName(slot)] = capacity
    return [ResourceSlots(amounts) for amounts in by_agent.values()]


async def list_slot_names(connection: AsyncConnection) -> set[str]:
    """Every slot that some node has ever offered."""
    return set(await connection.scalars(sa.select(t.agent_slots.c.slot).distinct()))


def _is_named(reference: str) -> sa.ColumnElement[bool]:
    try:
        return t.projects.c.id == uuid.UUID(reference)
    except ValueError:
        return t.projects.c.name == reference
