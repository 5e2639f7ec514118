"""Keeping dotfiles of a keypair, a domain or a project, and the bootstrap script of a keypair."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import DotfileExists, DotfileNotFound, ProjectNotFound
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Actor
from backendai.manager.policies.reach import get_project

from . import store
from .model import Dotfile, Owner, check_room


class Owners(Protocol):
    async def owner_of(self, actor: Actor, access_key: str | None) -> Actor: ...


@dataclass(frozen=True, slots=True)
class Whose:
    """As a request names the owner: a domain, a project (in a domain, where it is a name), or with
    neither a keypair, by default the own one."""

    access_key: str | None = None
    domain: str | None = None
    project: str | None = None


class Dotfiles:
    """Every method raises DomainNotFound, ProjectNotFound or Forbidden for what is not the actor's.

    Only administrators write for a domain or a project, as the routes' actions say, and only within
    their own domain.
    """

    def __init__(self, database: Database, owners: Owners) -> None:
        self._database = database
        self._owners = owners

    async def list_files(self, actor: Actor, whose: Whose) -> list[Dotfile]:
        find = await self._finder(actor, whose, is_writing=False)

        async def work(conn: AsyncConnection) -> list[Dotfile]:
            return await store.list_files(conn, await find(conn))

        return await self._database.read(work)

    async def get(self, actor: Actor, whose: Whose, path: str) -> Dotfile:
        """Raises DotfileNotFound."""
        for file in await self.list_files(actor, whose):
            if file.path == path:
                return file
        raise DotfileNotFound(path)

    async def add(self, actor: Actor, whose: Whose, file: Dotfile) -> None:
        """Raises DotfileExists, and DotfileRefused where there is no room for it."""
        await self._write(actor, whose, file, is_new=True)

    async def replace(self, actor: Actor, whose: Whose, file: Dotfile) -> None:
        """Raises DotfileNotFound, and DotfileRefused where there is no room for it."""
        await self._write(actor, whose, file, is_new=False)

    async def delete(self, actor: Actor, whose: Whose, path: str) -> None:
        """Raises DotfileNotFound."""
        find = await self._finder(actor, whose, is_writing=True)

        async def work(conn: AsyncConnection) -> None:
            if not await store.delete_file(conn, await find(conn), path):
                raise DotfileNotFound(path)

        await self._database.transact(work)

    async def script(self, actor: Actor) -> str:
        """What the own keypair's sessions run first where they name nothing else."""
        return await self._database.read(lambda conn: store.load_script(conn, actor.access_key))

    async def set_script(self, actor: Actor, script: str) -> None:
        await self._database.transact(
            lambda conn: store.write_script(conn, actor.access_key, script)
        )

    async def _write(self, actor: Actor, whose: Whose, file: Dotfile, *, is_new: bool) -> None:
        find = await self._finder(actor, whose, is_writing=True)

        async def work(conn: AsyncConnection) -> None:
            owner = await find(conn)
            await store.lock_owner(conn, owner)
            known = await store.list_files(conn, owner)
            others = [each for each in known if each.path != file.path]
            is_known = len(others) < len(known)
            if is_new and is_known:
                raise DotfileExists(file.path)
            if not is_new and not is_known:
                raise DotfileNotFound(file.path)
            check_room(others, file)
            write = store.insert_file if is_new else store.update_file
            await write(conn, owner, file)

        await self._database.transact(work)

    async def _finder(
        self, actor: Actor, whose: Whose, *, is_writing: bool
    ) -> Callable[[AsyncConnection], Awaitable[Owner]]:
        """How the owner is found in a transaction; keypairs are known without one."""
        access_key = None
        if whose.domain is None and whose.project is None:
            access_key = (await self._owners.owner_of(actor, whose.access_key)).access_key

        async def find(conn: AsyncConnection) -> Owner:
            if access_key is not None:
                return Owner(access_key=access_key)
            if whose.project is not None:
                project = await get_project(conn, actor, whose.project, whose.domain)
                if is_writing and not (actor.is_superadmin or project.domain == actor.domain):
                    raise ProjectNotFound(f"{whose.project!r} is none of yours")
                return Owner(project_id=project.id)
            await store.check_domain(conn, actor, whose.domain or "")
            return Owner(domain=whose.domain)

        return find
