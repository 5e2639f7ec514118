"""Images that sessions may use."""

from typing import Final

from backendai.client.channel import Channel, convert
from backendai.client.results import ImageRow

LIST_QUERY: Final = "query { images { name registry tag architecture } }"
PREFERRED: Final = "python"


class Images:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def list(self) -> tuple[ImageRow, ...]:
        data = await self._channel.query(LIST_QUERY, {})
        return convert(tuple[ImageRow, ...], data.get("images") or ())

    async def find_default(self) -> ImageRow | None:
        """What runs when nobody names an image: the first with Python, else the first of all."""
        images = sorted(await self.list(), key=lambda image: image.reference)
        with_python = [image for image in images if PREFERRED in image.name]
        return next(iter(with_python or images), None)
