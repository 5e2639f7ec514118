"""The API of a manager: every route with the service that answers it."""

from typing import Any

import sqlalchemy as sa
from aiohttp import web
from redis.exceptions import RedisError

from backendai.common.access_log import AccessLog
from backendai.common.clock import SystemClock
from backendai.common.faults import StoreUnavailable
from backendai.common.health import Check, health_handlers
from backendai.common.http import make_app
from backendai.common.loops import LoopHealth

from .accounts import rest as accounts_rest
from .accounts import rest_second_factor
from .agents import rest as agents_rest
from .alerts import rest as alerts_rest
from .apps import assembly as apps_assembly
from .assembly import Services, Stores
from .audit import rest as audit_rest
from .config import rest as config_rest
from .db.engine import Database
from .dotfiles import rest as dotfiles_rest
from .error_logs import rest as error_logs_rest
from .events import rest as events_rest
from .gate.actor import Access, Action
from .gate.routes import Route, add_routes
from .graph import rest as graph_rest
from .graph.use_cases import UseCases
from .idle import rest as idle_rest
from .images import rest as images_rest
from .images import rest_registries
from .maintenance import rest as maintenance_rest
from .resource_groups import rest as resource_groups_rest
from .resources import rest as resources_rest
from .sessions import rest, rest_files, rest_work, stream
from .settings import ManagerSettings, ServiceSettings
from .tasks import rest as tasks_rest
from .templates import rest as templates_rest
from .usage import rest as usage_rest
from .vfolders import assembly as vfolders_assembly


def make_manager_app(
    services: Services,
    health: LoopHealth,
    stores: Stores,
    settings: ManagerSettings,
    access_log: AccessLog | None = None,
) -> web.Application:
    """The API with all of its routes."""
    app = make_app(
        unavailable=(RedisError,),
        body_bytes_max=settings.manager.body_bytes_max,
        access_log=access_log,
    )
    # A restart is waited for by everybody: what lasts as long as its client ends before.
    app.on_shutdown.append(services.apps.streams.end_all)
    app.on_shutdown.append(services.sessions.watch.end_all)
    routes = list_routes(services, health, stores, settings.manager)
    add_routes(app, routes, services.gatekeeper, services.status.refuse_frozen)
    return app


def list_routes(
    services: Services, health: LoopHealth, stores: Stores, own: ServiceSettings
) -> list[Route]:
    """Every route with its action; literal paths come before those with parameters."""
    clock = SystemClock()
    return [
        *(
            Route("GET", path, handler, Action("health", Access.OPEN))
            for path, handler in health_handlers(health, checks_of(stores)).items()
        ),
        *graph_rest.routes(
            stores.database,
            UseCases(
                services.changes,
                services.accounts,
                services.vfolders,
                services.status.refuse_frozen,
            ),
            hides_agents=own.hide_agents,
        ),
        *accounts_rest.routes(
            stores.database,
            services.changes,
            services.logins,
            services.accounts,
            services.gatekeeper.address_of,
        ),
        *rest_second_factor.routes(services.second_factor),
        *audit_rest.routes(stores.database),
        *alerts_rest.routes(services.alerts.alerts),
        *config_rest.routes(services.cluster, services.pairs),
        *maintenance_rest.routes(services.maintenance, health, services.recent_logs, own.id),
        *resources_rest.routes(services.resources),
        *agents_rest.routes(services.watchers),
        *agents_rest.joining_routes(services.joining, services.gatekeeper.address_of),
        *usage_rest.routes(services.usage),
        *resource_groups_rest.routes(services.resource_groups),
        *error_logs_rest.routes(services.error_logs),
        *dotfiles_rest.routes(services.dotfiles),
        *templates_rest.routes(services.templates),
        *rest.routes(services.creation, services.sessions, services.templates, clock),
        *rest_work.routes(services.sessions, services.work),
        *rest_files.routes(services.sessions, services.work),
        *images_rest.routes(services.sessions, services.commits),
        *rest_registries.routes(services.changes, services.accounts.registries),
        *idle_rest.routes(services.sessions, services.idleness),
        *stream.routes(services.sessions, services.work, services.apps.streams),
        *apps_assembly.routes(services.sessions, services.apps),
        *events_rest.routes(services.sessions, services.feed),
        *tasks_rest.routes(services.tasks, clock),
        *vfolders_assembly.routes(services.vfolders),
    ]


def checks_of(stores: Stores) -> dict[str, Check]:
    """What it needs to be of use."""
    return {"database": lambda: _ping_database(stores.database), "redis": _redis_check(stores)}


async def _ping_database(database: Database) -> None:
    async with database.begin() as connection:
        await connection.execute(sa.text("select 1"))


def _redis_check(stores: Stores) -> Any:
    async def check() -> None:
        try:
            await stores.redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreUnavailable("Redis does not answer.") from error

    return check
