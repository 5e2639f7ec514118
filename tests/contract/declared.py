"""The routes and GraphQL roots as they are declared, without anything that would serve them."""

from typing import Any, cast

from aiohttp import web

from backendai.common.clock import FakeClock
from backendai.common.loops import LoopHealth
from backendai.manager.app import Services, Stores, list_routes, make_manager_app
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Action
from backendai.manager.gate.routes import Route
from backendai.manager.graph.lists import ListRoots
from backendai.manager.graph.roots import MUTATIONS, list_queries
from backendai.manager.settings import ManagerSettings, ServiceSettings


class _Anything:
    """Stands for services that are not used while routes are listed."""

    def __getattr__(self, name: str) -> "_Anything":
        return _Anything()


def declared_routes() -> list[Route]:
    services, stores = cast(Services, _Anything()), cast(Stores, _Anything())
    return list_routes(services, LoopHealth(FakeClock()), stores, ServiceSettings())


def declared_app() -> web.Application:
    """The application as it would serve these routes."""
    services, stores = cast(Services, _Anything()), cast(Stores, _Anything())
    settings = cast(ManagerSettings, _Anything())
    return make_manager_app(services, LoopHealth(FakeClock()), stores, settings)


def declared_roots() -> dict[str, dict[str, Action]]:
    """Fields of Query and of Mutation, each with its action."""
    database: Any = cast(Database, _Anything())
    queries = list_queries(database, ListRoots(database, hides_agents=False))
    return {
        "Query": {name: root.action for name, root in queries.items()},
        "Mutation": {name: row.action for name, row in MUTATIONS.items()},
    }
