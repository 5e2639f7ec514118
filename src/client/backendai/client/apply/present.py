"""What there is now of all that a file names or refers to."""

from collections.abc import Sequence
from typing import Any

import msgspec

from backendai.client.accounts.rows import User
from backendai.client.apply.document import Kind, Ref, Wanted, canonical, names_of
from backendai.client.apply.plan import Present, domain_of
from backendai.client.client import Client


async def load_present(client: Client, wanted: Sequence[Wanted]) -> Present:
    """One question for each object but the domains, which come together. Raises the API's faults;
    what is not there, or not for these eyes, is left out."""
    loader = _Loader(client)
    await loader.load_domains()
    for each in names_of(wanted, Kind.PROJECT):
        await loader.load_project(each.ref)
    for each in names_of(wanted, Kind.USER):
        await loader.load_user(each.ref)
        domain = domain_of(each, loader.present)
        for name in each.values.get("projects", ()):
            await loader.load_project(Ref(Kind.PROJECT, name, domain))
    for each in names_of(wanted, Kind.KEYPAIR):
        await loader.load_keypair(each.ref)
    return loader.present


class _Loader:
    """Asks for each object once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._properties: dict[Ref, dict[str, Any]] = {}
        self._ids: dict[Ref, str] = {}
        self._asked: set[Ref] = set()

    @property
    def present(self) -> Present:
        return Present(self._properties, self._ids)

    async def load_domains(self) -> None:
        for domain in await self._client.domains.list():
            self._keep(Ref(Kind.DOMAIN, domain.name), domain)

    async def load_project(self, ref: Ref) -> None:
        if not self._is_new(ref):
            return
        found = await self._client.projects.find(ref.name, domain=ref.scope)
        if found is not None:
            self._keep(ref, found)
            self._ids[ref] = found.id

    async def load_user(self, ref: Ref) -> None:
        if not self._is_new(ref):
            return
        found = await self._client.users.find(ref.name)
        if found is not None:
            self._keep(ref, found)
            if found.main_access_key:
                self._ids[Ref(Kind.KEYPAIR, ref.name, "user")] = found.main_access_key

    async def load_keypair(self, ref: Ref) -> None:
        if ref.scope:
            await self.load_user(Ref(Kind.USER, ref.name))
        access_key = self._ids.get(ref) if ref.scope else ref.name
        found = await self._client.keypairs.find(access_key) if access_key else None
        if found is not None:
            self._keep(ref, found)
            self._ids[ref] = found.access_key

    def _keep(self, ref: Ref, row: msgspec.Struct) -> None:
        facts = msgspec.structs.asdict(row)
        if isinstance(row, User):
            facts["projects"] = [each.name for each in row.projects]
        self._properties[ref] = canonical(ref.kind, facts)

    def _is_new(self, ref: Ref) -> bool:
        is_new = ref not in self._asked
        self._asked.add(ref)
        return is_new
