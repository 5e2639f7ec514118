"""The second factor of the own account: one-time codes (TOTP) of a device or an app."""

from typing import Any

import msgspec

from backendai.client.channel import Call, Channel


class TotpStatus(msgspec.Struct, frozen=True):
    """Whether logins ask for a code, and since when (ISO 8601)."""

    is_active: bool = msgspec.field(name="totp_activated")
    activated_at: str | None = msgspec.field(default=None, name="totp_activated_at")


class TotpKey(msgspec.Struct, frozen=True):
    """What a device needs, told once: the key in base32, and the same as an `otpauth://` URI."""

    key: str = msgspec.field(name="totp_key")
    uri: str = msgspec.field(name="totp_uri")

    def __repr__(self) -> str:
        return "TotpKey()"


class Totp:
    """Wrong and used codes, and missing ones, raise AuthFailed; too many RateLimited."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def status(self) -> TotpStatus:
        call = Call(method="GET", path="/totp", repeatable=True)
        return await self._channel.ask_for(TotpStatus, call)

    async def enrol(self) -> TotpKey:
        """A new key. Nothing is asked of logins before `activate`. Raises BadUsage where there is
        a device already."""
        return await self._channel.ask_for(TotpKey, Call(method="POST", path="/totp", json={}))

    async def activate(self, otp: str) -> None:
        """By the first code of the device that was enrolled: logins ask for one from now on."""
        await self._ask("POST", "/totp/verify", {"otp": otp})

    async def remove(self, otp: str) -> None:
        """By a code of the device: a password is enough from now on."""
        await self._ask("DELETE", "/totp", {"otp": otp})

    async def remove_of(self, email: str) -> None:
        """That of somebody who lost the device, by an administrator. Raises UserNotFound and
        Forbidden."""
        await self._ask("DELETE", "/totp", {"email": email})

    async def _ask(self, method: str, path: str, body: dict[str, Any]) -> None:
        await self._channel.ask(Call(method=method, path=path, json=body))
