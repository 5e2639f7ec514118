"""Logins at webservers, in place of keys: to log in and out, and where tokens are kept.

A token is as good as a password while it lasts: its file is the owner's alone to read.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from backendai.client.faults import LocalFileFailed, UnexpectedAnswer
from backendai.common.faults import AuthFailed
from backendai.common.web_logins import COOKIE, TOKEN_HEADER

if TYPE_CHECKING:
    from backendai.client.config import Config
    from backendai.client.transport import Transport

# The webserver's words for: ask for the code of a second factor.
_OTP_WANTED: Final = "OTP not provided"


class OtpWanted(AuthFailed):
    """The password is right; a one-time code of the user's device belongs to it."""

    code = "client.otp_wanted"
    title = "A one-time code is needed."


@dataclass(frozen=True, slots=True)
class LoginFile:
    """Tokens by the address of their webserver, in one file of mode 0600."""

    path: Path

    @classmethod
    def find(cls, environ: Mapping[str, str] = os.environ) -> "LoginFile":
        state = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME", "~")) / ".local/state"
        return cls(Path(state).expanduser() / "backendai" / "logins.json")

    def find_token(self, endpoints: tuple[str, ...]) -> str:
        """That of the first address that has one, else empty. Raises LocalFileFailed."""
        known = self._read()
        return next((known[one] for one in endpoints if one in known), "")

    def keep(self, endpoints: tuple[str, ...], token: str) -> None:
        self._write({**self._read(), **dict.fromkeys(endpoints, token)})

    def drop(self, endpoints: tuple[str, ...]) -> None:
        self._write({one: text for one, text in self._read().items() if one not in endpoints})

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise LocalFileFailed.of(error, self.path) from error
        except ValueError:
            # Written by something else: whoever is in it logs in again.
            return {}
        return {str(key): str(text) for key, text in found.items()} if type(found) is dict else {}

    def _write(self, tokens: Mapping[str, str]) -> None:
        new = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(tokens, file, indent=1)
            new.replace(self.path)
        except OSError as error:
            with suppress(OSError):
                new.unlink()
            raise LocalFileFailed.of(error, self.path) from error


async def log_in(
    config: "Config", user: str, password: str, *, otp: str = "", transport: "Transport"
) -> "Config":
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


async def log_out(config: "Config", *, transport: "Transport") -> None:
    """End the login of `config` at its server; one that is over is no fault."""
    with suppress(AuthFailed):
        await _ask(config, "/server/logout", None, transport)


async def _ask(
    config: "Config", path: str, body: Mapping[str, Any] | None, transport: "Transport"
) -> tuple[Mapping[str, str], dict[str, Any]]:
    from backendai.client.channel import Call, Channel, decode

    call = Call(method="POST", path=path, json=body)
    answer = await Channel(config, transport).ask(call)
    return answer.headers, decode(dict[str, Any], answer.body) if answer.body else {}


def _cookie_of(header: str) -> str:
    name, _, value = header.partition(";")[0].partition("=")
    return value.strip() if name.strip() == COOKIE else ""
