"""The root fields, and which function renders which field of which type."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from backendai.common.enums import HostPermission
from backendai.common.faults import DomainNotFound, ImageNotFound
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Access, Action, user_scope
from backendai.manager.images.registries import list_rows as list_registries
from backendai.manager.images.store import get_image, is_custom_row, load_images, visible_to
from backendai.manager.sessions.actions import READ as READ_SESSIONS

from . import (
    accounts,
    images,
    mutations_accounts,
    mutations_images,
    mutations_policies,
    mutations_resources,
    mutations_sessions,
    policies,
    sessions,
    storage,
    vfolders,
)
from .execute import Graph, GraphContext, sync_fields
from .lists import ListRoots
from .mutations import Errand, Mutation, make_resolvers
from .nodes import NodeRoots
from .queries import Root, make_roots
from .selection import Info, arguments, selected
from .storage import StorageRoots
from .use_cases import UseCases

READ_PROJECTS: Final = Action("project.read", in_projects=True)


def make_graph(database: Database, use_cases: UseCases, *, hides_agents: bool = False) -> Graph:
    lists = ListRoots(database, hides_agents=hides_agents)
    stored = StorageRoots(database, use_cases.vfolders)
    return Graph(
        {
            "Query": make_roots(list_queries(database, lists, stored)),
            "Mutation": make_resolvers(MUTATIONS, use_cases),
        },
        {
            **{name: sync_fields(fields) for name, fields in _FIELDS.items()},
            "KeyPair": {
                **sync_fields(accounts.KEYPAIR_FIELDS),
                "compute_sessions": lambda row, info, status=None: sessions.narrow(
                    row["sessions"], status
                ),
                "vfolders": lambda row, info: row["vfolders"],
            },
            "Image": {
                **sync_fields(images.IMAGE_FIELDS),
                "installed_agents": lambda row, info: images.agents_shown_to(_actor(info))(row),
            },
            **lists.fields(),
            **NodeRoots(database).fields(),
            **storage.FIELDS,
        },
    )


def list_queries(database: Database, lists: ListRoots, stored: StorageRoots) -> dict[str, Root]:
    """Every field of Query with its action. What each caller sees of it is said by scopes."""
    roots = _Roots(database)
    return {
        "keypair": Root(Action("keypair.read"), roots.keypair),
        "keypairs": Root(Action("keypair.read"), roots.keypairs),
        "keypair_resource_policy": Root(Action("policy.read"), roots.policy),
        "keypair_resource_policies": Root(Action("policy.read"), roots.policies),
        "user_resource_policy": Root(Action("policy.read"), roots.user_policy),
        "user_resource_policies": Root(Action("policy.read"), roots.user_policies),
        "project_resource_policy": Root(Action("policy.read"), roots.project_policy),
        "project_resource_policies": Root(Action("policy.read"), roots.project_policies),
        "domain": Root(Action("domain.read"), roots.domain),
        "domains": Root(Action("domain.read"), roots.domains),
        "group": Root(READ_PROJECTS, roots.project),
        "groups_by_name": Root(READ_PROJECTS, roots.projects),
        "groups": Root(READ_PROJECTS, roots.projects),
        "user": Root(Action("user.read"), roots.user),
        "users": Root(Action("user.read"), roots.users),
        "user_from_uuid": Root(Action("user.read"), roots.user_from_uuid),
        "resource_preset": Root(Action("preset.read"), roots.preset),
        "resource_presets": Root(Action("preset.read"), roots.presets),
        "vfolder_host_permissions": Root(Action("config.permissions"), roots.host_permissions),
        "image": Root(Action("image.read"), roots.image),
        "images": Root(Action("image.read"), roots.images),
        "customized_images": Root(Action("image.read"), roots.customized_images),
        "container_registry": Root(
            Action("registry.read", Access.SUPERADMIN), roots.container_registry
        ),
        "container_registries": Root(
            Action("registry.read", Access.SUPERADMIN), roots.container_registries
        ),
        "compute_session": Root(READ_SESSIONS, roots.session),
        **lists.roots(),
        **NodeRoots(database).roots(),
        **stored.roots(),
    }


MUTATIONS: Final[Mapping[str, Mutation | Errand]] = {
    **mutations_accounts.MUTATIONS,
    **mutations_images.MUTATIONS,
    **mutations_policies.MUTATIONS,
    **mutations_resources.MUTATIONS,
    **mutations_sessions.MUTATIONS,
    **storage.MUTATIONS,
}


_FIELDS: Final[Mapping[str, Mapping[str, Callable[[Any], Any]]]] = {
    "KeyPairResourcePolicy": accounts.POLICY_FIELDS,
    "UserResourcePolicy": policies.USER_POLICY_FIELDS,
    "ProjectResourcePolicy": policies.PROJECT_POLICY_FIELDS,
    "Domain": accounts.DOMAIN_FIELDS,
    "Group": {**accounts.PROJECT_FIELDS, "members": lambda row: row.get("members")},
    "User": accounts.USER_FIELDS,
    "ResourcePreset": accounts.PRESET_FIELDS,
}


class _Roots:
    """Each root loads all that is selected below it, in one connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keypair(self, _: Any, info: Info, **args: Any) -> Any:
        actor = _actor(info)
        args["access_key"] = args.get("access_key") or actor.access_key
        return next(iter(await self.keypairs(_, info, **args)), None)

    async def keypairs(self, _: Any, info: Info, **args: Any) -> Any:
        asked = arguments(info, "KeyPair", "compute_sessions")
        async with self._database.begin() as connection:
            rows = await accounts.load_keypairs(connection, _actor(info), args, selected(info))
            if "vfolders" in selected(info):
                rows = await vfolders.add_folders(connection, _actor(info), rows)
            if not asked or not rows:
                return rows
            found = await sessions.load_of_keypairs(
                connection,
                [row["access_key"] for row in rows],
                [each.get("status") for each in asked],
                selected(info, "compute_sessions"),
            )
        return [{**row, "sessions": found.get(row["access_key"], [])} for row in rows]

    async def policy(self, _: Any, info: Info, name: str | None = None) -> Any:
        actor = _actor(info)
        async with self._database.begin() as connection:
            found = await accounts.load_policies(connection, actor, name or actor.policy)
        return next(iter(found), None)

    async def policies(self, _: Any, info: Info) -> Any:
        async with self._database.begin() as connection:
            return await accounts.load_policies(connection, _actor(info), None)

    async def user_policy(self, _: Any, info: Info, name: str | None = None) -> Any:
        async with self._database.begin() as connection:
            found = await policies.load_user_policies(
                connection, _actor(info), name, only_own=name is None
            )
        return next(iter(found), None)

    async def user_policies(self, _: Any, info: Info) -> Any:
        async with self._database.begin() as connection:
            return await policies.load_user_policies(connection, _actor(info), None)

    async def project_policy(self, _: Any, info: Info, name: str) -> Any:
        async with self._database.begin() as connection:
            found = await policies.load_project_policies(connection, _actor(info), name)
        return next(iter(found), None)

    async def project_policies(self, _: Any, info: Info) -> Any:
        async with self._database.begin() as connection:
            return await policies.load_project_policies(connection, _actor(info), None)

    async def domain(self, _: Any, info: Info, name: str | None = None) -> Any:
        found = await self.domains(_, info, name=name or _actor(info).domain)
        if not found:
            raise DomainNotFound
        return found[0]

    async def domains(self, _: Any, info: Info, **args: Any) -> Any:
        async with self._database.begin() as connection:
            return await accounts.load_domains(connection, _actor(info), args)

    async def project(self, _: Any, info: Info, **args: Any) -> Any:
        args["id"] = sessions.read_id(args["id"])
        return next(iter(await self.projects(_, info, **args)), None)

    async def projects(self, _: Any, info: Info, **args: Any) -> Any:
        async with self._database.begin() as connection:
            return await accounts.load_projects(connection, _actor(info), args, selected(info))

    async def user(self, _: Any, info: Info, **args: Any) -> Any:
        async with self._database.begin() as connection:
            return await accounts.find_user(connection, _actor(info), args)

    async def user_from_uuid(self, _: Any, info: Info, **args: Any) -> Any:
        user_id = args.pop("user_id", None)
        if user_id is not None:
            args["id"] = sessions.read_id(user_id)
        return await self.user(_, info, **args)

    async def users(self, _: Any, info: Info, **args: Any) -> Any:
        if args.get("group_id") is not None:
            args["group_id"] = sessions.read_id(args["group_id"])
        async with self._database.begin() as connection:
            return await accounts.load_users(connection, _actor(info), args)

    async def host_permissions(self, _: Any, info: Info) -> Any:
        return {"vfolder_host_permission_list": [*HostPermission]}

    async def preset(self, _: Any, info: Info, name: str | None = None) -> Any:
        async with self._database.begin() as connection:
            return next(iter(await accounts.load_presets(connection, name or "")), None)

    async def presets(self, _: Any, info: Info) -> Any:
        async with self._database.begin() as connection:
            return await accounts.load_presets(connection, None)

    async def image(
        self,
        _: Any,
        info: Info,
        id: str | None = None,  # noqa: A002 - the name of the argument
        reference: str | None = None,
        architecture: str = "x86_64",
    ) -> Any:
        scope = user_scope(_actor(info))
        async with self._database.begin() as connection:
            try:
                found = await get_image(connection, scope, id or reference or "", architecture)
            except ImageNotFound:
                return None
            return next(iter(await load_images(connection, t.images.c.id == found.id)), None)

    async def images(self, _: Any, info: Info, **args: Any) -> Any:
        async with self._database.begin() as connection:
            found = await load_images(connection, *visible_to(user_scope(_actor(info))))
        wanted = args.get("is_installed")
        return [row for row in found if wanted is None or bool(row["agents"]) is wanted]

    async def customized_images(self, _: Any, info: Info) -> Any:
        seen = visible_to(user_scope(_actor(info)))
        return await self._database.read(lambda conn: load_images(conn, is_custom_row(), *seen))

    async def container_registry(self, _: Any, info: Info, hostname: str) -> Any:
        found = await self._database.read(lambda conn: list_registries(conn, hostname))
        return next((images.shown_registry(row) for row in found), None)

    async def container_registries(self, _: Any, info: Info) -> Any:
        found = await self._database.read(list_registries)
        return [images.shown_registry(row) for row in found]

    async def session(self, _: Any, info: Info, **args: Any) -> Any:
        session_id = sessions.read_id(args["id"])
        async with self._database.begin() as connection:
            return await sessions.load_one(connection, _actor(info), info, session_id)


def _actor(info: Info) -> Any:
    context: GraphContext = info.context
    return context.actor
