"""The roots that list: each declares who may ask, and loads what is selected in one connection."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Access, Action, Actor
from backendai.manager.sessions.actions import READ as READ_SESSIONS

from . import account_lists, agents, flat_sessions, kernels, resource_groups, sessions
from .execute import GraphContext, Resolver, sync_fields
from .queries import Root
from .selection import Info
from .texts import read_id

_READ_AGENTS: Final = Action("agent.read", Access.SUPERADMIN)
_READ_GROUPS: Final = Action("resource_group.read", Access.SUPERADMIN)
_SUMMARIZE: Final = Action("agent.summarize")


class ListRoots:
    """`hides_agents`: only superadmins learn of nodes, and of where sessions run."""

    def __init__(self, database: Database, *, hides_agents: bool) -> None:
        self._database = database
        self._hides_agents = hides_agents

    def roots(self) -> dict[str, Root]:
        """Each lists within the scope of who asks, where not only superadmins may ask at all."""
        return {
            "agent": Root(_READ_AGENTS, self._agent),
            "agents": Root(_READ_AGENTS, self._agents),
            "agent_list": Root(_READ_AGENTS, self._agent_list),
            "agent_summary": Root(_SUMMARIZE, self._agent_summary),
            "agent_summary_list": Root(_SUMMARIZE, self._agent_summary_list),
            "scaling_group": Root(_READ_GROUPS, self._group),
            "scaling_groups": Root(_READ_GROUPS, self._groups),
            "scaling_groups_for_domain": Root(_READ_GROUPS, self._groups),
            "scaling_groups_for_user_group": Root(_READ_GROUPS, self._groups),
            "scaling_groups_for_keypair": Root(_READ_GROUPS, self._groups),
            "user_list": Root(Action("user.read"), self._user_list),
            "keypair_list": Root(Action("keypair.read"), self._keypair_list),
            "compute_session_list": Root(READ_SESSIONS, self._session_list),
            "compute_container": Root(READ_SESSIONS, self._container),
            "compute_container_list": Root(READ_SESSIONS, self._container_list),
            "legacy_compute_session": Root(READ_SESSIONS, self._flat_session),
            "legacy_compute_session_list": Root(READ_SESSIONS, self._flat_session_list),
        }

    def fields(self) -> dict[str, dict[str, Resolver]]:
        hidden = self._where_shown
        return {
            "Agent": {
                **sync_fields(agents.AGENT_FIELDS),
                "compute_containers": lambda row, info, status=None: kernels.narrow(
                    row["containers"], status
                ),
            },
            "AgentSummary": sync_fields(agents.SUMMARY_FIELDS),
            "ScalingGroup": sync_fields(resource_groups.GROUP_FIELDS),
            "ComputeSession": {
                **sync_fields(sessions.SESSION_FIELDS),
                **hidden(sessions.SESSION_FIELDS, "agents", "agent_ids"),
            },
            "ComputeContainer": {
                **sync_fields(kernels.CONTAINER_FIELDS),
                **hidden(kernels.CONTAINER_FIELDS, "agent", "agent_addr"),
            },
            "LegacyComputeSession": {
                **sync_fields(flat_sessions.LEGACY_FIELDS),
                **hidden(flat_sessions.LEGACY_FIELDS, "agent"),
            },
        }

    def _where_shown(self, fields: Mapping[str, Any], *names: str) -> dict[str, Resolver]:
        """Fields that are null for those to whom nodes are not shown."""

        def shown(render: Callable[[Any], Any]) -> Resolver:
            return lambda source, info: render(source) if self._shows_agents(info) else None

        return {name: shown(fields[name]) for name in names}

    def _shows_agents(self, info: Info) -> bool:
        return not self._hides_agents or _actor(info).is_superadmin

    async def _agent(self, _: Any, info: Info, agent_id: str) -> Any:
        found = await self._database.read(
            lambda db: agents.load_agents(db, info, agents.named(agent_id))
        )
        return next(iter(found), None)

    async def _agents(self, _: Any, info: Info, **args: Any) -> Any:
        return await self._database.read(
            lambda db: agents.load_agents(db, info, agents.narrowed(args))
        )

    async def _agent_list(self, _: Any, info: Info, **args: Any) -> Any:
        return await self._database.read(lambda db: agents.load_page(db, info, args))

    async def _agent_summary(self, _: Any, info: Info, agent_id: str) -> Any:
        if not self._shows_agents(info):
            return None
        return await self._database.read(
            lambda db: agents.find_summary(db, _actor(info), info, agent_id)
        )

    async def _agent_summary_list(self, _: Any, info: Info, **args: Any) -> Any:
        if not self._shows_agents(info):
            return {"items": [], "total_count": 0}
        return await self._database.read(
            lambda db: agents.load_summaries(db, _actor(info), info, args)
        )

    async def _group(self, _: Any, info: Info, name: str | None = None) -> Any:
        if name is None:
            return None
        return next(iter(await self._groups(_, info, name=name)), None)

    async def _groups(self, _: Any, info: Info, **args: Any) -> Any:
        """Of all, or of those that are open to a domain, a project or a keypair."""
        where = []
        if "domain" in args:
            where.append(resource_groups.open_to_domain(args["domain"]))
        if "user_group" in args:
            where.append(resource_groups.open_to_project(args["user_group"]))
        if "access_key" in args:
            where.append(resource_groups.open_to_keypair(args["access_key"]))
        return await self._database.read(lambda db: resource_groups.load_groups(db, args, *where))

    async def _user_list(self, _: Any, info: Info, **args: Any) -> Any:
        return await self._database.read(
            lambda db: account_lists.load_users(db, _actor(info), info, args)
        )

    async def _keypair_list(self, _: Any, info: Info, **args: Any) -> Any:
        return await self._database.read(
            lambda db: account_lists.load_keypairs(db, _actor(info), info, args)
        )

    async def _session_list(self, _: Any, info: Info, **args: Any) -> Any:
        wanted = sessions.read_list(info, args, shows_agents=self._shows_agents(info))
        return await self._database.read(lambda db: sessions.load_page(db, _actor(info), wanted))

    async def _container(self, _: Any, info: Info, **args: Any) -> Any:
        kernel_id = read_id(args["id"])
        return await self._database.read(lambda db: kernels.load_one(db, _actor(info), kernel_id))

    async def _container_list(self, _: Any, info: Info, **args: Any) -> Any:
        shows = self._shows_agents(info)
        return await self._database.read(
            lambda db: kernels.load_page(db, _actor(info), info, args, shows_agents=shows)
        )

    async def _flat_session(self, _: Any, info: Info, **args: Any) -> Any:
        return await self._database.read(lambda db: sessions.find_named(db, _actor(info), args))

    async def _flat_session_list(self, _: Any, info: Info, **args: Any) -> Any:
        ordered = {**args, "order": flat_sessions.order_of(args)}
        wanted = sessions.read_list(info, ordered, shows_agents=self._shows_agents(info))
        wanted.fields.add("containers")
        return await self._database.read(lambda db: sessions.load_page(db, _actor(info), wanted))


def _actor(info: Info) -> Actor:
    context: GraphContext = info.context
    return context.actor
