"""Who asks, behind proxies that are trusted."""

from aiohttp import web

from ..traffic.house import House


class ClientAddresses:
    def __init__(self, house: House) -> None:
        self._house = house

    def find(self, request: web.Request) -> str:
        """The last address of `X-Forwarded-For` that no trusted proxy has."""
        named = ",".join(request.headers.getall("X-Forwarded-For", ()))
        return self._house.client_of(request.remote or "", named)
