"""Every route declares what it does, and the matrix of who may follows from the declarations."""

import inspect
import re
from typing import Any, cast

import pytest
from aiohttp import web

from backendai.common.clock import FakeClock
from backendai.common.loops import LoopHealth
from backendai.manager.api import make_manager_app
from backendai.manager.assembly import Services, Stores
from backendai.manager.gate.actor import Access
from backendai.manager.gate.routes import Route
from backendai.manager.inventory import declared_roots, declared_routes
from backendai.manager.settings import ManagerSettings
from tests.contract.test_graph import OURS

OPEN = {
    "/agents/join",
    "/",
    "/health",
    "/health/live",
    "/health/ready",
    "/config/resource-slots",
    "/config/resource-slots/details",
    "/config/vfolder-types",
    "/manager/status",
    "/manager/announcement",
    "/auth/authorize",
    "/auth/signup",
    "/auth/update-password-no-auth",
}
# Of the caller's own account, which monitors have too.
OWN = {
    "/auth/signout",
    "/auth/update-password",
    "/auth/update-full-name",
    "/auth/ssh-keypair",
    "/totp",
    "/totp/verify",
}


class Anything:
    """Stands for services, which nobody asks for anything while an application is made."""

    def __getattr__(self, name: str) -> "Anything":
        return Anything()


def declared_app() -> web.Application:
    """The application as it would serve the declared routes."""
    services, stores = cast(Services, Anything()), cast(Stores, Anything())
    settings = cast(ManagerSettings, Anything())
    return make_manager_app(services, LoopHealth(FakeClock()), stores, settings)


@pytest.fixture(scope="module")
def routes() -> list[Route]:
    return declared_routes()


def test_every_route_names_its_action(routes: list[Route]) -> None:
    assert len(routes) > 30
    assert all(
        (route.action.name and "." in route.action.name) or route.path in OPEN for route in routes
    )


def test_only_these_are_open(routes: list[Route]) -> None:
    assert {route.path for route in routes if route.action.access is Access.OPEN} == OPEN


def test_no_route_is_declared_twice(routes: list[Route]) -> None:
    declared = [(route.method, route.path) for route in routes]
    assert len(set(declared)) == len(declared)


def test_what_changes_something_says_so(routes: list[Route]) -> None:
    reads = {
        "/auth",
        "/auth/test",
        "/auth/authorize",
        "/admin/gql",
        "/admin/graphql",
        "/config/get",
        "/resource/check-presets",
        "/resource/recalculate-usage",
        *OWN,
    }
    for route in routes:
        is_read = route.method == "GET" or route.path in reads or "download" in route.path
        if not is_read:
            assert route.action.writes, route


def test_only_what_begins_something_is_refused_while_the_cluster_is_frozen(
    routes: list[Route],
) -> None:
    begins = {(route.method, route.path) for route in routes if route.action.begins}
    assert begins == {
        ("POST", "/session"),
        ("POST", "/session/_/create"),
        ("POST", "/session/_/create-from-template"),
        ("POST", "/session/_/create-cluster"),
        ("POST", "/folders"),
        ("POST", "/folders/{folder}/clone"),
    }


def test_literal_paths_come_before_names(routes: list[Route]) -> None:
    paths: list[Any] = [route.path for route in routes]
    assert paths.index("/session/_/match") < paths.index("/session/{session}")


def test_the_application_serves_what_is_declared_and_nothing_else(routes: list[Route]) -> None:
    served = {
        (route.method, route.resource.canonical if route.resource else "")
        for route in declared_app().router.routes()
    }
    assert served == {(route.method, route.path) for route in routes}


def test_every_root_of_the_schema_is_declared() -> None:
    roots = declared_roots()
    assert OURS.query_type is not None
    assert OURS.mutation_type is not None
    assert set(OURS.query_type.fields) == set(roots["Query"])
    assert set(OURS.mutation_type.fields) == set(roots["Mutation"])


def test_a_handler_that_reads_parameters_declares_them(routes: list[Route]) -> None:
    """So that the OpenAPI document tells of them."""
    readers = re.compile(r"\b(read_params|check_params|read_scope|read_raw_params|_read)\(")
    silent = [
        f"{route.method} {route.path}"
        for route in routes
        if route.params is None
        and inspect.ismethod(route.handler)
        and readers.search(inspect.getsource(route.handler))
    ]
    assert not silent, f"name what these check as Route(…, params=…): {silent}"
