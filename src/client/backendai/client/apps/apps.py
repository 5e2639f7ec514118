"""Apps of running sessions: list, start and stop them, connect to them, close ways into them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

from backendai.client.channel import Call, Channel, convert, path_of
from backendai.client.transport import Pipe

from .rows import DEFAULTS, App, AppOptions, Circuit, Opening
from .terminal import Terminal
from .tunnel import OnFault, Tunnel


class Apps:
    """`session` is a name or an id everywhere. Every method raises the server's fault."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def list(self, session: str) -> tuple[App, ...]:
        path = path_of("stream", "session", session, "apps")
        call = Call(method="GET", path=path, repeatable=True)
        return await self._channel.ask_for(tuple[App, ...], call)

    async def start(
        self,
        session: str,
        app: str,
        options: AppOptions = DEFAULTS,
    ) -> Opening:
        """Have it run and let an app proxy know; gives what that asks a browser for.

        Faults: AppNotFound, Unavailable where the resource group has no app proxy.
        """
        body = {"app": app, "port": options.port, **options.texts()}
        return await self._channel.ask_for(Opening, _post(session, "start-service", json=body))

    async def stop(self, session: str, app: str) -> None:
        """End it, and every browser's way into it."""
        body = {"service_name": app}
        await self._channel.ask(_post(session, "shutdown-service", json=body))

    def pipe(
        self,
        session: str,
        app: str,
        options: AppOptions = DEFAULTS,
    ) -> AbstractAsyncContextManager[Pipe]:
        """One connection to an app, which is started where it does not run."""
        port = None if options.port is None else str(options.port)
        query = {"app": app, "port": port, **options.texts()}
        path = path_of("stream", "session", session, "tcpproxy")
        return self._channel.pipe(_stream(path, query))

    async def open_tunnel(
        self,
        session: str,
        app: str,
        options: AppOptions = DEFAULTS,
        *,
        host: str = "127.0.0.1",
        local_port: int = 0,
        on_fault: OnFault | None = None,
    ) -> Tunnel:
        """A local port each connection to which leads to the app; local port 0 takes a free one.

        Open until it is closed: `async with await client.apps.open_tunnel(…) as tunnel`. What goes
        wrong with one connection is told to `on_fault`. Raises BadUsage.
        """
        tunnel = Tunnel(partial(self.pipe, session, app, options), on_fault)
        await tunnel.listen(host, local_port)
        return tunnel

    @asynccontextmanager
    async def terminal(
        self, session: str, *, name: str = "main", rows: int = 24, cols: int = 80
    ) -> AsyncIterator[Terminal]:
        """A view of the shell called `name`, which runs as long as the session does."""
        query = {"terminal": name, "rows": str(rows), "cols": str(cols)}
        path = path_of("stream", "session", session, "pty")
        async with self._channel.socket(_stream(path, query)) as socket:
            yield Terminal(socket)

    async def circuits(self, session_id: str | None = None) -> tuple[Circuit, ...]:
        """The ways of browsers into apps that are open now, all or those into one session."""
        call = Call(
            method="GET", path="/circuits", query={"sessionId": session_id}, repeatable=True
        )
        answer = await self._channel.ask_for(dict[str, Any], call)
        return convert(tuple[Circuit, ...], answer.get("circuits", []))

    async def close_circuit(self, circuit_id: str) -> None:
        """Whoever is on it is cut off within seconds. Faults: CircuitNotFound."""
        await self._channel.ask(Call(method="DELETE", path=path_of("circuits", circuit_id)))

    async def close_circuits(self, session: str) -> int:
        """All into a session, whoever opened them. Gives how many."""
        call = Call(method="DELETE", path=path_of("session", session, "circuits"))
        answer = await self._channel.ask_for(dict[str, Any], call)
        return int(answer.get("closed", 0))


def _stream(path: str, query: Mapping[str, str | None]) -> Call:
    return Call(method="GET", path=path, query=query, content_type="", timeout_seconds=None)


def _post(session: str, operation: str, **options: Any) -> Call:
    return Call(method="POST", path=path_of("session", session, operation), **options)
