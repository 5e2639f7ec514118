"""The services of apps and of the routes into them, made once from what they share."""

from dataclasses import dataclass

from backendai.common.clock import Clock
from backendai.common.relay_secrets import Secrets
from backendai.manager.circuits import rest as circuits_rest
from backendai.manager.circuits.service import Circuits
from backendai.manager.db.engine import Database
from backendai.manager.gate.routes import Route
from backendai.manager.resource_groups.proxy import AppProxy
from backendai.manager.sessions.service import Sessions
from backendai.manager.sessions.work import SessionWork, Uses

from . import rest
from .service import Apps
from .streams import Streams
from .tickets import Tickets


@dataclass(frozen=True, slots=True)
class AppServices:
    apps: Apps
    streams: Streams
    circuits: Circuits
    uses: Uses


def make_apps(
    database: Database,
    work: SessionWork,
    proxy: AppProxy,
    secrets: Secrets | None,
    uses: Uses,
    clock: Clock,
) -> AppServices:
    """Without the `secrets` of the relays nothing can be opened."""
    circuits = Circuits(database, clock)
    apps = Apps(database, work, Tickets(secrets, clock), proxy, circuits.close_of_app, clock)
    return AppServices(apps, Streams(database), circuits, uses)


def routes(sessions: Sessions, services: AppServices) -> list[Route]:
    return [
        *rest.routes(sessions, services.apps, services.streams, services.uses),
        *circuits_rest.routes(sessions, services.circuits),
    ]
