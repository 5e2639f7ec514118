"""Mutations: each is a function, and a row that says what it does and who may.

What a use case refuses is an answer too: `ok: false` with the reason. Outages leave as faults.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import GraphQLError, GraphQLObjectType, get_named_type

from backendai.common.faults import Fault, InvalidParams, ServerFrozen
from backendai.manager.accounts.service import Accounts
from backendai.manager.audit.change import Change, Changes
from backendai.manager.gate.actor import Action, limit, may

from .execute import Resolver
from .selection import Info

DONE: Final = "success"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a mutation has beside its arguments: its transaction, the use cases, the selection."""

    change: Change
    accounts: Accounts
    info: Info


# Takes `Asked` and the arguments of the field; gives what the answer has beside `ok` and `msg`.
Work = Callable[..., Awaitable[Mapping[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Mutation:
    action: Action
    work: Work


def make_resolvers(
    table: Mapping[str, Mutation],
    changes: Changes,
    accounts: Accounts,
    refuse_frozen: Callable[[], None],
) -> dict[str, Resolver]:
    """`refuse_frozen` raises while the cluster is frozen: then nothing changes, whoever asks."""
    return {
        name: _resolver(name, row, changes, accounts, refuse_frozen) for name, row in table.items()
    }


def _resolver(
    name: str,
    row: Mutation,
    changes: Changes,
    accounts: Accounts,
    refuse_frozen: Callable[[], None],
) -> Resolver:
    async def resolve(_: Any, info: Info, **args: Any) -> Any:
        actor = info.context.actor
        if not may(actor, row.action):
            return _refused(info, f"no permission to execute {name}")
        try:
            refuse_frozen()
        except ServerFrozen as fault:
            # Clients expect an error of the query here, not of the request.
            raise GraphQLError(str(fault)) from fault

        async def work(change: Change) -> Mapping[str, Any] | None:
            return await row.work(Asked(change, accounts, info), **args)

        try:
            answer = await changes.run(limit(actor, row.action), row.action, work)
        except Fault as fault:
            if fault.http_status >= 500:
                raise
            return _refused(info, _tell(fault))
        return {"ok": True, "msg": DONE, **(answer or {})}

    return resolve


def _refused(info: Info, why: str) -> dict[str, Any]:
    """Raises GraphQLError where the answer has no `ok`: nobody would see that nothing was done."""
    answer = get_named_type(info.return_type)
    if isinstance(answer, GraphQLObjectType) and "ok" not in answer.fields:
        raise GraphQLError(why)
    return {"ok": False, "msg": why}


def _tell(fault: Fault) -> str:
    if isinstance(fault, InvalidParams) and fault.facts:
        return "; ".join(f"{field}: {problem}" for field, problem in fault.facts.items())
    return str(fault)
