"""Fields of Query: each is a function, and a row that says what it reads and who may."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from backendai.common.faults import Forbidden
from backendai.manager.gate.actor import Action, limit, may

from .execute import Resolver
from .selection import Info


@dataclass(frozen=True, slots=True)
class Root:
    """A field of Query: what it reads, who may, and how it is answered."""

    action: Action
    resolve: Resolver


def make_roots(table: Mapping[str, Root]) -> dict[str, Resolver]:
    return {name: _guarded(name, root) for name, root in table.items()}


def _guarded(name: str, root: Root) -> Resolver:
    """The resolver behind what its action needs, with no more power than that gives."""

    async def resolve(source: Any, info: Info, **args: Any) -> Any:
        actor = info.context.actor
        if not may(actor, root.action):
            raise Forbidden(f"no permission to read {name}")
        limited = limit(actor, root.action)
        if limited is not actor:
            info = info._replace(context=replace(info.context, actor=limited))
        return await root.resolve(source, info, **args)

    return resolve
