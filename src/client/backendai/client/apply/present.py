"""What there is now of all that a file names or refers to."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from backendai.client.accounts.rows import Domain, Project, User
from backendai.client.apply.document import Ref, Wanted, names_of, policy_ref, project_ref
from backendai.client.apply.fields import POLICIES, Kind, canonical
from backendai.client.apply.plan import Present, domain_of, projects_of
from backendai.client.client import Client
from backendai.common.enums import ProjectRole

# Nouns of the client whose objects are called by a name alone.
_NOUNS: Final[Mapping[Kind, str]] = {
    Kind.KEYPAIR_POLICY: "keypair_policies",
    Kind.USER_POLICY: "user_policies",
    Kind.PROJECT_POLICY: "project_policies",
    Kind.PRESET: "presets",
    Kind.DOMAIN: "domains",
    Kind.RESOURCE_GROUP: "resource_groups",
}
_ADMIN: Final = ProjectRole.ADMIN.value


def noun_of(client: Client, kind: Kind) -> Any:
    return getattr(client, _NOUNS[kind])


async def load_present(client: Client, wanted: Sequence[Wanted]) -> Present:
    """One question for each object but the domains, which come together, and the projects that
    resource groups are open to. Raises the API's faults; what is not there, or not for these eyes,
    is left out."""
    loader = _Loader(client)
    await loader.load_domains()
    for ref in _named_refs(wanted):
        await loader.load_named(ref)
    for each in names_of(wanted, Kind.PROJECT):
        await loader.load_project(each.ref)
    for each in names_of(wanted, Kind.RESOURCE_GROUP):
        await loader.load_resource_group(each)
    for each in names_of(wanted, Kind.USER):
        await loader.load_user(each.ref)
        domain = domain_of(each, loader.present)
        for name in projects_of(each, loader.present):
            await loader.load_project(Ref(Kind.PROJECT, name, domain))
    for each in names_of(wanted, Kind.KEYPAIR):
        await loader.load_keypair(each.ref)
    return loader.present


def _named_refs(wanted: Sequence[Wanted]) -> Iterator[Ref]:
    """Policies and presets that the file names, and policies that it refers to."""
    for each in wanted:
        if each.ref.kind in (*POLICIES.values(), Kind.PRESET):
            yield each.ref
        if (policy := policy_ref(each)) is not None:
            yield policy


class _Loader:
    """Asks for each object once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._properties: dict[Ref, dict[str, Any]] = {}
        self._ids: dict[Ref, str] = {}
        self._asked: set[Ref] = set()
        # Resource group -> domains, or projects by domain/name, that it is open to.
        self._domains_of: dict[str, set[str]] = {}
        self._projects_of: dict[str, set[str]] = {}
        self._has_all_projects = False

    @property
    def present(self) -> Present:
        return Present(self._properties, self._ids)

    async def load_domains(self) -> None:
        for domain in await self._client.domains.list():
            self._keep(Ref(Kind.DOMAIN, domain.name), domain)
            self._note(self._domains_of, domain, domain.name)

    async def load_named(self, ref: Ref) -> None:
        if not self._is_new(ref):
            return
        found = await noun_of(self._client, ref.kind).find(ref.name)
        if found is not None:
            self._keep(ref, found)

    async def load_project(self, ref: Ref) -> None:
        if not self._is_new(ref):
            return
        found = await self._client.projects.find(ref.name, domain=ref.scope)
        if found is not None:
            self._keep_project(found)

    async def load_resource_group(self, each: Wanted) -> None:
        for place in each.values.get("projects", ()):
            await self.load_project(project_ref(place))
        found = await self._client.resource_groups.find(each.ref.name)
        if found is None:
            return
        if "projects" in each.values:
            await self._load_all_projects()
        name = each.ref.name
        domains, projects = self._domains_of.get(name, ()), self._projects_of.get(name, ())
        self._keep(each.ref, found, domains=[*domains], projects=[*projects])

    async def _load_all_projects(self) -> None:
        """Which project a resource group is open to can be asked of projects alone."""
        if self._has_all_projects:
            return
        self._has_all_projects = True
        for ref in [ref for ref in self._properties if ref.kind is Kind.DOMAIN]:
            for project in await self._client.projects.list(domain=ref.name):
                self._keep_project(project)

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

    def _keep_project(self, project: Project) -> None:
        ref = Ref(Kind.PROJECT, project.name, project.domain)
        self._keep(ref, project)
        self._ids[ref] = project.id
        self._note(self._projects_of, project, f"{project.domain}/{project.name}")

    def _keep(self, ref: Ref, row: msgspec.Struct, **more: Any) -> None:
        facts = {**msgspec.structs.asdict(row), **more}
        if isinstance(row, User):
            facts["projects"] = [each.name for each in row.projects]
            facts["administers"] = [each.name for each in row.projects if each.role == _ADMIN]
        self._properties[ref] = canonical(ref.kind, facts)

    def _note(self, opened: dict[str, set[str]], row: Domain | Project, name: str) -> None:
        for group in row.resource_groups or ():
            opened.setdefault(group, set()).add(name)

    def _is_new(self, ref: Ref) -> bool:
        is_new = ref not in self._asked
        self._asked.add(ref)
        return is_new
