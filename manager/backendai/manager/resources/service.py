"""What a person could start now, told by the planner's own values and its own look at the room."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.faults import Conflict
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor
from backendai.manager.lifecycle.store import DriftRow
from backendai.manager.policies.reach import get_project, list_resource_groups
from backendai.manager.policies.store import choose_resource_group
from backendai.manager.sched.load import load_nodes, load_quotas, scopes_of
from backendai.manager.sched.reasons import WaitReason
from backendai.manager.sched.view import Quota

from .model import (
    WANTED,
    Account,
    Facts,
    GroupRoom,
    Offer,
    Preset,
    Texts,
    Verdict,
    Wanted,
    account_of,
    asks_of,
    judge,
    offer_of,
    room_of_all,
    rooms_of,
    view_of,
)
from .store import load_own_use, load_presets

DRIFT_ROWS_MAX: Final = 100


class Cluster(Protocol):
    async def slot_types(self, group: str | None = None) -> dict[str, str]: ...

    def is_project_use_told(self) -> bool:
        """Whether members see what their project may use and uses."""
        ...


@dataclass(frozen=True, slots=True)
class Check:
    keypair: Account
    project: Account
    groups: Mapping[str, GroupRoom]
    all_groups: Texts
    offers: Sequence[Offer]
    verdict: Verdict | None = None


class Resources:
    """`load_drift` reads the view that compares allocations with kernels."""

    def __init__(
        self,
        database: Database,
        cluster: Cluster,
        clock: Clock,
        load_drift: Callable[[], Awaitable[list[DriftRow]]],
    ) -> None:
        self._database = database
        self._cluster = cluster
        self._clock = clock
        self._load_drift = load_drift

    async def list_presets(self) -> list[Preset]:
        return await self._database.read(load_presets)

    async def check(
        self,
        actor: Actor,
        project: str,
        resource_group: str | None,
        wanted: Wanted | None = None,
    ) -> Check:
        """Limits, use, and what is left, in one resource group or all that may be used; of what is
        wanted, whether it could be placed there now.

        Raises ProjectNotFound and ResourceGroupNotFound.
        """
        slots = list(await self._cluster.slot_types())
        facts = await self._database.read(
            lambda conn: _load(conn, actor, project, resource_group, slots)
        )
        facts = replace(facts, wanted=wanted)
        reasons = self._explain(facts)
        is_told = self._cluster.is_project_use_told() or actor.is_domain_admin
        return Check(
            keypair=account_of(facts.quotas, slots),
            project=account_of(facts.quotas[1:], slots, is_told=is_told),
            groups=rooms_of(facts),
            all_groups=room_of_all(facts),
            offers=[offer_of(preset, reasons.get(preset.name)) for preset in facts.presets],
            verdict=None if wanted is None else judge(facts, reasons[WANTED]),
        )

    async def check_use(self) -> None:
        """Raises Conflict that lists where allocations are not what kernels should hold.

        There are no counters that could be wrong, so nothing is written.
        """
        drift = await self._load_drift()
        if drift:
            told = [_told(row) for row in drift[:DRIFT_ROWS_MAX]]
            raise Conflict(
                f"{len(drift)} allocations differ from what their kernels should hold.",
                {"count": len(drift), "drift": told},
            )

    def _explain(self, facts: Facts) -> dict[str, list[WaitReason | None]]:
        # With it comes numpy, which a manager that is starting can do without.
        from backendai.manager.sched.plan import explain_each

        now = self._clock.now()
        asks = asks_of(facts, now)
        every = [ask for of_one in asks.values() for ask in of_one]
        reasons = iter(explain_each(view_of(facts, every), now))
        return {name: [next(reasons) for _ in of_one] for name, of_one in asks.items()}


async def _load(
    conn: AsyncConnection,
    actor: Actor,
    reference: str,
    resource_group: str | None,
    slots: Sequence[str],
) -> Facts:
    project = await get_project(conn, actor, reference)
    allowed = [one.name for one in await list_resource_groups(conn, actor.access_key, project)]
    if resource_group is not None:
        allowed = [choose_resource_group(allowed, resource_group)]
    scopes = scopes_of(actor.access_key, project.id, project.domain)
    quotas = await load_quotas(conn, scopes, is_whole=True)
    nodes, groups, _ = await load_nodes(conn)
    return Facts(
        quotas=tuple(quotas.get(scope) or Quota(scope=scope[0], name=scope[1]) for scope in scopes),
        scopes=scopes,
        slots=slots,
        groups=[group for group in groups if group.name in allowed],
        nodes=nodes,
        own_use=await load_own_use(conn, actor.user_id, allowed),
        presets=await load_presets(conn),
    )


def _told(row: DriftRow) -> dict[str, str | None]:
    return {
        "kernel": str(row.kernel_id),
        "agent": row.agent_id,
        "slot": row.slot,
        "due": row.due,
        "held": row.held,
    }
