"""Fields of Query: each is a function, and a row that says what it reads and who may."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backendai.common.faults import Forbidden
from backendai.manager.gate.actor import Access, Action, may

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
    """The resolver behind what its action needs; what everybody may is not asked again."""
    if root.action.access <= Access.USER and not root.action.writes:
        return root.resolve

    async def resolve(source: Any, info: Info, **args: Any) -> Any:
        if not may(info.context.actor, root.action):
            raise Forbidden(f"no permission to read {name}")
        return await root.resolve(source, info, **args)

    return resolve
