"""The token of a login on its way: a cookie, or a header for clients that keep it themselves."""

from aiohttp import web

from backendai.common.web_logins import COOKIE, TOKEN_HEADER

from ..visitor import VISITOR
from .model import is_token


def token_of(request: web.Request) -> str | None:
    """The token that a request bears. Two cookies of the name that differ are none: one of them
    was put there by somebody else."""
    given = request.headers.get(TOKEN_HEADER)
    if given is not None:
        return given if is_token(given) else None
    found = {
        value.strip()
        for header in request.headers.getall("Cookie", [])
        for name, _, value in (pair.partition("=") for pair in header.split(";"))
        if name.strip() == COOKIE
    }
    token = found.pop().strip('"') if len(found) == 1 else ""
    return token if is_token(token) else None


def give_token(
    request: web.Request, response: web.StreamResponse, token: str, seconds: int
) -> None:
    response.set_cookie(
        COOKIE,
        token,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=request[VISITOR].scheme == "https",
    )
    response.headers[TOKEN_HEADER] = token


def take_token(response: web.StreamResponse) -> None:
    response.del_cookie(COOKIE, path="/", httponly=True, samesite="Lax")
