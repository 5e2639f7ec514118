"""The API itself."""

from backendai.client.channel import Call, Channel
from backendai.client.results import Hello


class System:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def hello(self) -> Hello:
        """Versions of the API and of the manager: the cheapest sign of life."""
        return await self._channel.ask_for(Hello, Call(method="GET", path="/", repeatable=True))
