"""The two addresses of GraphQL: the present one, and the one of old clients with its own shape.

The library and the schema are loaded at the first query: a manager that was killed answers the
rest of the API sooner without them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Self

import trafaret as t
from aiohttp import web

from backendai.common.faults import Fault, GraphQLFault
from backendai.common.http import json_response
from backendai.common.params import read_given_params
from backendai.manager.gate.actor import Action
from backendai.manager.gate.routes import ACTOR, Route

if TYPE_CHECKING:
    from backendai.manager.db.engine import Database

    from .execute import Graph, Outcome
    from .use_cases import UseCases

QUERY: Final = Action("graph.query", in_projects=True)

_BODY: Final = t.Dict(
    t.Key("query", trafaret=t.String()),
    t.Key("variables", optional=True, default=dict, trafaret=t.Mapping(t.String(), t.Any)),
    t.Key("operation_name", optional=True, trafaret=t.String()),
    t.Key("operationName", optional=True, to_name="operation_name", trafaret=t.String()),
)


class _LegacyFault(GraphQLFault):
    """Old clients read the list of errors from `data`."""

    code = "graphql.legacy_error"

    def data(self) -> Any:
        return self.facts["errors"] if "errors" in self.facts else super().data()

    @classmethod
    def from_wire(cls, detail: str, data: Any) -> Self:
        return super().from_wire(detail, {"errors": data} if isinstance(data, list) else data)


def routes(database: Database, use_cases: UseCases, *, hides_agents: bool = False) -> list[Route]:
    def make() -> Graph:
        from .roots import make_graph

        return make_graph(database, use_cases, hides_agents=hides_agents)

    handlers = _Handlers(make)
    return [
        Route("POST", "/admin/gql", handlers.present, QUERY, _BODY),
        Route("POST", "/admin/graphql", handlers.legacy, QUERY, _BODY),
    ]


class _Handlers:
    def __init__(self, make: Callable[[], Graph]) -> None:
        self._make = make
        self._graph: Graph | None = None

    async def present(self, request: web.Request) -> web.Response:
        outcome = await self._run(request)
        body: dict[str, Any] = {"data": outcome.data}
        if outcome.errors:
            body["errors"] = outcome.errors
        return json_response(body)

    async def legacy(self, request: web.Request) -> web.Response:
        outcome = await self._run(request)
        if outcome.errors:
            raise _LegacyFault(facts={"errors": outcome.errors})
        return json_response(outcome.data)

    async def _run(self, request: web.Request) -> Outcome:
        body = await read_given_params(request, _BODY)
        from .execute import GraphContext, Outcome

        context = GraphContext(request[ACTOR])
        try:
            return await self._load().run(
                body["query"], body["variables"], context, body.get("operation_name")
            )
        except Fault as fault:
            if fault.http_status >= 500:
                raise
            return Outcome(None, [{"message": str(fault)}])

    def _load(self) -> Graph:
        if self._graph is None:
            self._graph = self._make()
        return self._graph
