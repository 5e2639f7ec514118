"""What users do with apps: list them, start and stop them, connect to them, open them in a browser.

The bytes of an app go through the relay of its node, which a ticket opens; no app has a port that
anybody else could reach.
"""

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.contracts.wsproxy import AppFacts, ProxyConf, SessionFacts
from backendai.common.faults import Unavailable
from backendai.common.relay import open_relay
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor, Scope
from backendai.manager.resource_groups.proxy import AppProxy
from backendai.manager.sessions.work import SessionWork

from . import store
from .model import AppRequest, Opening, Site, Started
from .tickets import Tickets

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
CloseCircuits = Callable[[Site, str], Awaitable[int]]


class Apps:
    """Use cases on apps. `close_circuits` ends the ways of browsers into one of them."""

    def __init__(
        self,
        database: Database,
        work: SessionWork,
        tickets: Tickets,
        proxy: AppProxy,
        close_circuits: CloseCircuits,
        clock: Clock,
    ) -> None:
        self._database = database
        self._work = work
        self._tickets = tickets
        self._proxy = proxy
        self._close_circuits = close_circuits
        self._clock = clock

    async def find_site(self, scope: Scope, reference: str) -> Site:
        """Raises SessionNotFound, the same for sessions of others."""

        async def work(conn: AsyncConnection) -> Site:
            return await store.find_site(conn, scope, reference)

        return await self._database.read(work)

    async def start(self, site: Site, wanted: AppRequest) -> Started:
        """Have it run; one that runs is left as it is.

        Raises AppNotFound, InvalidParams, Conflict, and the agent's fault when it does not start.
        """
        app, place = site.check(wanted), site.place
        done = await self._work.start_app(
            place, wanted.app, wanted.port, wanted.arguments, wanted.envs
        )
        port = wanted.port or (done.ports[0] if done.ports else 0)
        return Started(app.name, app.protocol, port)

    async def stop(self, site: Site, wanted: AppRequest) -> None:
        """Ends the app and every browser's way into it; one that does not run is as wanted."""
        site.check(wanted)
        await self._close_circuits(site, wanted.app)
        await self._work.stop_app(site.place, wanted.app)

    async def connect(self, site: Site, wanted: AppRequest) -> Connection:
        """Start it where it does not run, and open a connection. Raises as `start` and
        `open_relay` do, and NotOffered where this installation has no relays."""
        # First, so that nothing is started which cannot be reached.
        self._tickets.secret  # noqa: B018
        started = await self.start(site, wanted)
        if not site.relay_address:
            raise Unavailable("The node of this session has no relay for its apps.")
        ticket = self._tickets.issue(site.place, started.app, started.port)
        return await open_relay(site.relay_address, ticket)

    async def open_in_browser(
        self, actor: Actor, site: Site, wanted: AppRequest, login_session: str | None
    ) -> Opening:
        """A token for the app proxy of the session's resource group.

        Raises Unavailable where there is none or it does not answer, and as `start` does.
        """
        if not site.proxy_address:
            raise Unavailable("No coordinator configured for this resource group.")
        secret = self._tickets.secret
        started = await self.start(site, wanted)
        status = await self._proxy.ask_status(site.proxy_address)
        conf = _conf_of(actor, site, started, login_session)
        token = await self._proxy.tell(site.proxy_address, secret, conf, self._clock.now())
        return Opening(token, status.advertise_address or site.proxy_address)


def _conf_of(actor: Actor, site: Site, started: Started, login_session: str | None) -> ProxyConf:
    host, _, port = site.relay_address.rpartition(":")
    return ProxyConf(
        login_session_token=login_session,
        kernel_host=host,
        kernel_port=int(port or 0),
        session=SessionFacts(
            id=site.session_id,
            # Who opens it, so that the way ends together with that person's access.
            user_uuid=actor.user_id,
            group_id=site.project_id,
            access_key=actor.access_key,
            domain_name=site.domain,
        ),
        circuit=AppFacts(
            agent_id=site.place.agent_id,
            kernel_id=site.kernel_id,
            generation=site.generation,
            app=started.app,
            port=started.port,
            protocol=started.protocol,
        ),
    )
