"""Who asks, behind proxies that are trusted."""

from aiohttp import web

from ..traffic.house import House


class ClientAddresses:
    def __init__(self, house: House) -> None:
        self._house = house

    def find(self, request: web.Request) -> str:
        """The last address of `X-Forwarded-For` that no trusted proxy has."""
        client = request.remote or ""
        named = ",".join(request.headers.getall("X-Forwarded-For", ()))
        if not named or not self._house.is_trusted(client):
            return client
        for part in reversed(named.split(",")):
            client = part.strip()
            if not self._house.is_trusted(client):
                break
        return client
