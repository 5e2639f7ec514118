"""One's own account."""

from typing import Any

import msgspec

from backendai.client.accounts.rows import Keypair, User
from backendai.client.channel import Call, Channel
from backendai.client.graph import fields_of, read_row


class Identity(msgspec.Struct, frozen=True):
    """Who asks, and the keypair that signs."""

    user: User
    keypair: Keypair


class SshKeypair(msgspec.Struct, frozen=True):
    """Texts in the forms of OpenSSH. The private half is told once, when it is made."""

    ssh_public_key: str
    ssh_private_key: str

    def __repr__(self) -> str:
        return f"SshKeypair(ssh_public_key={self.ssh_public_key!r})"


class _Public(msgspec.Struct, frozen=True):
    ssh_public_key: str


class Account:
    """What everybody may do with the own account. Wrong passwords raise AuthFailed."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def whoami(self) -> Identity:
        document = f"query {{ user {{ {fields_of(User)} }} keypair {{ {fields_of(Keypair)} }} }}"
        data = await self._channel.query(document, {}, repeatable=True)
        return Identity(
            user=read_row(User, data.get("user") or {}),
            keypair=read_row(Keypair, data.get("keypair") or {}),
        )

    async def change_password(self, old: str, new: str) -> None:
        body = {"old_password": old, "new_password": new, "new_password2": new}
        await self._ask("POST", "/auth/update-password", body)

    async def set_full_name(self, full_name: str) -> None:
        email = (await self.whoami()).user.email
        await self._ask("POST", "/auth/update-full-name", {"email": email, "full_name": full_name})

    async def ssh_public_key(self) -> str | None:
        """The public half of the SSH key pair that goes with the own keypair, where it has one."""
        call = Call(method="GET", path="/auth/ssh-keypair", repeatable=True)
        return (await self._channel.ask_for(_Public, call)).ssh_public_key or None

    async def renew_ssh_keypair(self) -> SshKeypair:
        """A fresh one in place of that before."""
        call = Call(method="PATCH", path="/auth/ssh-keypair")
        return await self._channel.ask_for(SshKeypair, call)

    async def set_ssh_keypair(self, public: str, private: str) -> None:
        """One's own; the private half without a passphrase. Raises InvalidParams."""
        await self._ask("POST", "/auth/ssh-keypair", {"pubkey": public, "privkey": private})

    async def sign_out(self, password: str) -> None:
        """Switch the own account and its keypairs off; an administrator can let it in again."""
        email = (await self.whoami()).user.email
        await self._ask("POST", "/auth/signout", {"email": email, "password": password})

    async def _ask(self, method: str, path: str, body: Any) -> None:
        await self._channel.ask(Call(method=method, path=path, json=body))
