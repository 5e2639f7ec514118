"""Logins at webservers, in place of keys: to log in and to log out."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from backendai.client.channel import Call, Channel, decode
from backendai.client.config import Config
from backendai.client.faults import UnexpectedAnswer
from backendai.client.transport import Transport
from backendai.common.faults import AuthFailed
from backendai.common.web_logins import COOKIE, TOKEN_HEADER

# The webserver's words for: ask for the code of a second factor.
_OTP_WANTED: Final = "OTP not provided"


class OtpWanted(AuthFailed):
    """The password is right; a one-time code of the user's device belongs to it."""

    code = "client.otp_wanted"
    title = "A one-time code is needed."


async def log_in(
    config: Config, user: str, password: str, *, otp: str = "", transport: Transport
) -> Config:
    """`config` with the token of a new login. Raises AuthFailed, OtpWanted, RateLimited."""
    body = {"username": user, "password": password, **({"otp": otp} if otp else {})}
    answer, told = await _ask(replace(config, token=""), "/server/login", body, transport)
    if told.get("authenticated") is not True:
        details = str((told.get("data") or {}).get("details") or "Refused.")
        raise OtpWanted(details) if details == _OTP_WANTED else AuthFailed(details)
    token = answer.get(TOKEN_HEADER.lower()) or _cookie_of(answer.get("set-cookie", ""))
    if not token:
        raise UnexpectedAnswer("The server logged in without saying by which token.")
    return replace(config, token=token)


async def log_out(config: Config, *, transport: Transport) -> None:
    """End the login of `config` at its server; one that is over is no fault."""
    with suppress(AuthFailed):
        await _ask(config, "/server/logout", None, transport)


async def _ask(
    config: Config, path: str, body: Mapping[str, Any] | None, transport: Transport
) -> tuple[Mapping[str, str], dict[str, Any]]:
    call = Call(method="POST", path=path, json=body)
    answer = await Channel(config, transport).ask(call)
    return answer.headers, decode(dict[str, Any], answer.body) if answer.body else {}


def _cookie_of(header: str) -> str:
    name, _, value = header.partition(";")[0].partition("=")
    return value.strip() if name.strip() == COOKIE else ""
