"""The routes and GraphQL fields as they are declared, without anything that would serve them."""

from typing import Any, cast

from backendai.common.clock import SystemClock
from backendai.common.loops import LoopHealth

from .api import list_routes
from .assembly import Services, Stores
from .db.engine import Database
from .gate.actor import Action
from .gate.routes import Route
from .graph.lists import ListRoots
from .graph.roots import MUTATIONS, list_queries
from .graph.storage import StorageRoots
from .settings import ServiceSettings
from .vfolders.assembly import VFolders


class _Unused:
    """Stands for services, which nobody asks for anything while routes are listed."""

    def __getattr__(self, name: str) -> "_Unused":
        return _Unused()


def declared_routes() -> list[Route]:
    services, stores = cast(Services, _Unused()), cast(Stores, _Unused())
    return list_routes(services, LoopHealth(SystemClock()), stores, ServiceSettings())


def declared_roots() -> dict[str, dict[str, Action]]:
    """Fields of Query and of Mutation, each with its action."""
    database: Any = cast(Database, _Unused())
    stored = StorageRoots(database, cast(VFolders, _Unused()))
    queries = list_queries(database, ListRoots(database, hides_agents=False), stored)
    return {
        "Query": {name: root.action for name, root in queries.items()},
        "Mutation": {name: row.action for name, row in MUTATIONS.items()},
    }


def inventory_rows() -> list[dict[str, object]]:
    """One row for each route and field: what it is called, what it does and who may."""
    routes = [_row(route.method, route.path, route.action) for route in declared_routes()]
    fields = declared_roots().items()
    return routes + [_row(kind, name, act) for kind, acts in fields for name, act in acts.items()]


def _row(kind: str, name: str, action: Action) -> dict[str, object]:
    return {
        "kind": kind,
        "name": name,
        "action": action.name,
        "access": action.access.name.lower(),
        "writes": action.writes,
        "begins": action.begins,
        "in_projects": action.in_projects,
    }
