"""Dotfiles of keypairs, domains and projects, and the bootstrap script of one's keypair."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from backendai.client.channel import Call, Channel
from backendai.client.faults import BadUsage

PERMISSION: Final = "644"
_PATHS: Final = {"keypair": "/user-config", "domain": "/domain-config", "project": "/group-config"}


class Dotfile(msgspec.Struct, frozen=True):
    """`path` is below the home of a session; `permission` three octal digits such as 600."""

    path: str
    data: str
    permission: str = PERMISSION


class _Single(msgspec.Struct, frozen=True):
    path: str
    data: str
    perm: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose dotfiles are meant: without any field those of the own keypair. A project is named by
    its id, or by its name with `domain`; only administrators write for a domain or a project."""

    access_key: str | None = None
    domain: str | None = None
    project: str | None = None

    def __post_init__(self) -> None:
        if self.access_key is not None and (self.domain or self.project) is not None:
            raise BadUsage("Name a keypair, or a domain or project, not both.")

    @property
    def path(self) -> str:
        kind = "project" if self.project else "domain" if self.domain else "keypair"
        return f"{_PATHS[kind]}/dotfiles"

    @property
    def params(self) -> dict[str, str]:
        named = {
            "owner_access_key": self.access_key,
            "domain": self.domain,
            "group": self.project,
        }
        return {name: text for name, text in named.items() if text is not None}


MINE: Final = Owner()


class Dotfiles:
    """They raise DotfileNotFound, DotfileExists, DotfileRefused and what the owner's name earns."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def list(self, owner: Owner = MINE) -> Sequence[Dotfile]:
        call = Call(method="GET", path=owner.path, query=owner.params, repeatable=True)
        return await self._channel.ask_for(tuple[Dotfile, ...], call)

    async def get(self, path: str, owner: Owner = MINE) -> Dotfile:
        query = {**owner.params, "path": path}
        call = Call(method="GET", path=owner.path, query=query, repeatable=True)
        found = await self._channel.ask_for(_Single, call)
        return Dotfile(found.path, found.data, found.perm)

    async def add(self, file: Dotfile, owner: Owner = MINE) -> None:
        """A new one. Raises DotfileExists."""
        await self._write("POST", file, owner)

    async def replace(self, file: Dotfile, owner: Owner = MINE) -> None:
        """One that is there. Raises DotfileNotFound."""
        await self._write("PATCH", file, owner)

    async def delete(self, path: str, owner: Owner = MINE) -> None:
        query = {**owner.params, "path": path}
        await self._channel.ask(Call(method="DELETE", path=owner.path, query=query))

    async def bootstrap_script(self) -> str:
        """What sessions of the own keypair run first; empty where nothing does."""
        call = Call(method="GET", path="/user-config/bootstrap-script", repeatable=True)
        return await self._channel.ask_for(str, call)

    async def set_bootstrap_script(self, script: str) -> None:
        call = Call(
            method="POST",
            path="/user-config/bootstrap-script",
            json={"script": script},
            repeatable=True,
        )
        await self._channel.ask(call)

    async def _write(self, method: str, file: Dotfile, owner: Owner) -> None:
        body = {
            **owner.params,
            "path": file.path,
            "data": file.data,
            "permission": file.permission,
        }
        await self._channel.ask(Call(method=method, path=owner.path, json=body))
