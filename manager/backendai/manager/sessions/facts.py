"""What a new session is made from, looked up at once: project, groups, limits, nodes, its name.

One statement instead of one for each, since a create waits for all of them. Whether a person may
use a project is said by `policies`; here it is asked with everything else.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import AgentStatus, DefaultForUnspecified
from backendai.common.faults import (
    InvalidParams,
    PolicyNotFound,
    ProjectNotFound,
    QuotaExceeded,
)
from backendai.common.ids import uuid_of
from backendai.common.lifecycle import SESSION_FINAL
from backendai.common.slots import ResourceSlots, SlotError, SlotName
from backendai.manager.gate.actor import Actor
from backendai.manager.policies.model import Limits, PendingLimit, SlotLimit, parse_limits
from backendai.manager.policies.store import choose_resource_group

from .model import SessionRequest

_FINAL: Final = ", ".join(f"'{status}'" for status in sorted(SESSION_FINAL))
_ABLE: Final = f"'{AgentStatus.ALIVE}', '{AgentStatus.SUSPECT}'"

# The interpolated words are statuses of the table, never input. Amounts of nodes are exact texts.
_LOOK_UP: Final = sa.text(f"""
WITH project AS (
  SELECT p.id, p.total_resource_slots AS slots, d.total_resource_slots AS domain_slots
  FROM projects AS p JOIN domains AS d ON d.name = p.domain_name
  WHERE (p.id = CAST(:project_id AS uuid) OR p.name = :project_name)
    AND p.domain_name = :domain AND p.is_active AND d.is_active
    AND (:may_all OR EXISTS (
      SELECT FROM project_members AS m WHERE m.project_id = p.id AND m.user_id = :user_id))
), allowed AS (
  SELECT g.name, o.types,
    (jsonb_typeof(o.types) = 'array' AND NOT o.types @> to_jsonb(CAST(:type AS text))) IS TRUE
      AS refuses
  FROM resource_groups AS g
  CROSS JOIN LATERAL (SELECT g.scheduler_opts -> 'allowed_session_types' AS types) AS o
  WHERE g.is_active AND (
    EXISTS (SELECT FROM resource_group_domains AS of_domain
      WHERE of_domain.resource_group = g.name AND of_domain.domain_name = :domain)
    OR EXISTS (SELECT FROM resource_group_projects AS of_project
      WHERE of_project.resource_group = g.name
        AND of_project.project_id IN (SELECT id FROM project))
    OR EXISTS (SELECT FROM resource_group_keypairs AS of_keypair
      WHERE of_keypair.resource_group = g.name AND of_keypair.access_key = :access_key))
), nodes AS (
  SELECT a.resource_group, jsonb_object_agg(s.slot, CAST(s.capacity AS text)) AS slots
  FROM agents AS a JOIN agent_slots AS s ON s.agent_id = a.id
  WHERE a.status IN ({_ABLE})
    AND a.resource_group = coalesce(CAST(:resource_group AS text), (
      SELECT name FROM allowed ORDER BY refuses, name <> 'default', name LIMIT 1))
  GROUP BY a.id, a.resource_group
)
SELECT project.id, project.slots, project.domain_slots,
  policy.name AS policy, policy.max_concurrent_sessions, policy.max_containers_per_session,
  policy.total_resource_slots AS policy_slots, policy.default_for_unspecified,
  policy.max_pending_session_count AS pending_max,
  policy.max_pending_session_resource_slots AS pending_slots,
  (SELECT jsonb_agg(name ORDER BY refuses, name <> 'default', name) FROM allowed) AS allowed,
  (SELECT jsonb_object_agg(name, types) FROM allowed WHERE refuses) AS refusing,
  (SELECT jsonb_agg(DISTINCT slot) FROM agent_slots) AS slot_names,
  (SELECT jsonb_agg(DISTINCT slots) FROM nodes) AS capacities,
  (
    SELECT id FROM sessions WHERE access_key = :access_key AND status NOT IN ({_FINAL})
      AND (name = :name OR id = CAST(:name_as_id AS uuid))
    ORDER BY id = CAST(:name_as_id AS uuid) DESC NULLS LAST LIMIT 1
  ) AS namesake,
  EXISTS (SELECT FROM vfolders WHERE user_id = :user_id AND starts_with(name, '.')
    AND status = 'ready') AS has_home_folders,
  claim.request_hash, claim.session_id AS claimed
FROM (SELECT) AS nothing
LEFT JOIN project ON true
LEFT JOIN keypair_policies AS policy ON policy.name = :policy
LEFT JOIN idempotency AS claim ON claim.user_id = :asker_id AND claim.token = :token
""").columns(  # noqa: S608
    slots=JSONB,
    domain_slots=JSONB,
    policy_slots=JSONB,
    pending_slots=JSONB,
    allowed=JSONB,
    refusing=JSONB,
    slot_names=JSONB,
    capacities=JSONB,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session may go, within which limits. `capacities` are of the group's whole nodes."""

    project_id: uuid.UUID
    resource_group: str
    limits: Limits
    slot_names: frozenset[str]
    capacities: tuple[ResourceSlots, ...]


class Found:
    """What was found; what is missing is told when it is asked for."""

    def __init__(self, row: Any, request: SessionRequest, owner: Actor) -> None:
        self._row = row
        self._request = request
        self._owner = owner

    @property
    def namesake(self) -> uuid.UUID | None:
        """The owner's live session of that name."""
        namesake: uuid.UUID | None = self._row.namesake
        return namesake

    @property
    def claimed(self) -> tuple[str, uuid.UUID] | None:
        """The hash of the request and the session that the client's token stands for."""
        row = self._row
        return None if row.claimed is None else (row.request_hash, row.claimed)

    @property
    def has_home_folders(self) -> bool:
        """Whether the owner has folders that are mounted without being named."""
        return bool(self._row.has_home_folders)

    def place(self) -> Place:
        """Raises ProjectNotFound, ResourceGroupNotFound, PolicyNotFound, and InvalidParams where
        the resource group takes no sessions of that type."""
        row, request = self._row, self._request
        if row.id is None:
            raise ProjectNotFound(
                f"{request.project!r} in domain {request.domain!r}; an administrator lets people "
                "in: `backendai admin user update EMAIL --project NAME`"
            )
        group = choose_resource_group(row.allowed or [], request.resource_group)
        _refuse_type(request, group, row.refusing or {})
        if row.policy is None:
            raise PolicyNotFound(self._owner.policy)
        return Place(
            project_id=row.id,
            resource_group=group,
            limits=_limits_of(row),
            slot_names=frozenset(row.slot_names or ()),
            capacities=tuple(map(_amounts_of, row.capacities or ())),
        )


async def look_up(
    connection: AsyncConnection, asker: Actor, owner: Actor, request: SessionRequest, token: str
) -> Found:
    """`token` is the client's word for the request, "" without one."""
    project_id = uuid_of(request.project)
    values = {
        "project_id": project_id,
        "project_name": None if project_id else request.project,
        "domain": request.domain,
        "may_all": owner.is_superadmin
        or (owner.is_domain_admin and owner.domain == request.domain),
        "user_id": owner.user_id,
        "access_key": owner.access_key,
        "resource_group": request.resource_group,
        "type": request.type.value,
        "name": request.name,
        "name_as_id": uuid_of(request.name),
        "policy": owner.policy,
        "asker_id": asker.user_id,
        "token": token,
    }
    return Found((await connection.execute(_LOOK_UP, values)).one(), request, owner)


def _refuse_type(request: SessionRequest, group: str, refusing: Mapping[str, list[str]]) -> None:
    """`refusing` are the groups that take other types, with these. Of a request that names none
    the chosen one is among them only where all are. Raises InvalidParams."""
    if group not in refusing:
        return
    told = [group] if request.resource_group else sorted(refusing)
    takes = "; ".join(f"{name}: {', '.join(refusing[name]) or 'none'}" for name in told)
    problem = f"no resource group here takes {request.type} sessions; taken are {takes}"
    raise InvalidParams(facts={"type": problem})


def _limits_of(row: Any) -> Limits:
    unspecified = DefaultForUnspecified(row.default_for_unspecified)
    with _mended_by_administrators("keypair"):
        keypair = SlotLimit(parse_limits(row.policy_slots), unspecified)
        pending = PendingLimit.parse(row.pending_max, row.pending_slots)
    with _mended_by_administrators("project"):
        project = SlotLimit(parse_limits(row.slots))
    with _mended_by_administrators("domain"):
        domain = SlotLimit(parse_limits(row.domain_slots))
    return Limits(
        sessions_max=row.max_concurrent_sessions,
        containers_max=row.max_containers_per_session,
        slots={"keypair": keypair, "project": project, "domain": domain},
        pending=pending,
    )


@contextmanager
def _mended_by_administrators(whose: str) -> Iterator[None]:
    """Limits that cannot be read allow nothing. Raises QuotaExceeded that says why."""
    try:
        yield
    except SlotError as error:
        raise QuotaExceeded(
            f"The limits of your {whose} cannot be read; an administrator has to mend them.",
            {whose: str(error)},
        ) from error


def _amounts_of(slots: Mapping[str, str]) -> ResourceSlots:
    return ResourceSlots({SlotName(name): Decimal(amount) for name, amount in slots.items()})
