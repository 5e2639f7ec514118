"""Mutations: each is a function, and a row that says what it does and who may.

What a use case refuses is an answer too: `ok: false` with the reason. Outages leave as faults.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import GraphQLError, GraphQLObjectType, get_named_type

from backendai.common.faults import Fault, InvalidParams, ServerFrozen
from backendai.manager.accounts.service import Accounts
from backendai.manager.audit.change import Change
from backendai.manager.gate.actor import Action, Actor, limit, may

from .execute import Resolver
from .selection import Info
from .use_cases import UseCases

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


@dataclass(frozen=True, slots=True)
class Errand:
    """A mutation that asks other daemons too, and so has transactions of its own. `run` takes the
    use cases of folders, who asks, and the arguments of the field; it gives what `Work` does."""

    action: Action
    run: Callable[..., Awaitable[Mapping[str, Any] | None]]


def make_resolvers(
    table: Mapping[str, Mutation | Errand], use_cases: UseCases
) -> dict[str, Resolver]:
    return {name: _resolver(name, row, use_cases) for name, row in table.items()}


def _resolver(name: str, row: Mutation | Errand, use_cases: UseCases) -> Resolver:
    async def resolve(_: Any, info: Info, **args: Any) -> Any:
        if not may(info.context.actor, row.action):
            return _refused(info, f"no permission to execute {name}")
        try:
            use_cases.refuse_frozen()
        except ServerFrozen as fault:
            # Clients expect an error of the query here, not of the request.
            raise GraphQLError(str(fault)) from fault
        actor = limit(info.context.actor, row.action)
        try:
            answer = await _perform(row, use_cases, actor, info, args)
        except Fault as fault:
            if fault.http_status >= 500:
                raise
            return _refused(info, _tell(fault))
        return {"ok": True, "msg": DONE, **(answer or {})}

    return resolve


async def _perform(
    row: Mutation | Errand, use_cases: UseCases, actor: Actor, info: Info, args: dict[str, Any]
) -> Mapping[str, Any] | None:
    if isinstance(row, Errand):
        return await row.run(use_cases.vfolders, actor, **args)
    work = row.work

    async def run(change: Change) -> Mapping[str, Any] | None:
        return await work(Asked(change, use_cases.accounts, info), **args)

    return await use_cases.changes.run(actor, row.action, run)


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
