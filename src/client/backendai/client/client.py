"""The async SDK: one user's view of one API."""

from types import TracebackType
from typing import Self

from backendai.client.channel import Channel
from backendai.client.cluster import Cluster
from backendai.client.config import Config
from backendai.client.images import Images
from backendai.client.registries import Registries
from backendai.client.sessions import Sessions
from backendai.client.system import System
from backendai.client.tasks import Tasks
from backendai.client.templates import Templates
from backendai.client.transport import Transport
from backendai.client.usage import Usage


class Client:
    """Open it with `async with`; `config` None reads the environment.

    >>> async with Client() as client:
    ...     new = NewSession(image="python:3.11", name="demo")
    ...     await client.sessions.create(new)
    ...     print((await client.sessions.run_code("demo", "print(6 * 7)")).stdout)

    Requests raise faults of `backendai.common.faults` as the server raised them, and those of
    `backendai.client.faults` when there is no answer.
    """

    def __init__(self, config: Config | None = None, transport: Transport | None = None) -> None:
        self._channel = Channel(config or Config.from_environment(), transport)
        self.sessions = Sessions(self._channel)
        self.images = Images(self._channel)
        self.system = System(self._channel)
        self.cluster = Cluster(self._channel)
        self.templates = Templates(self._channel)
        self.usage = Usage(self._channel)
        self.registries = Registries(self._channel)
        self.tasks = Tasks(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections. A closed client must not be used again."""
        await self._channel.close()
