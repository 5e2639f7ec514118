"""Keeping templates of sessions, and making requests for sessions out of them."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import (
    Conflict,
    Forbidden,
    InsufficientPrivilege,
    InvalidParams,
    TemplateNotFound,
)
from backendai.common.ids import IdSource
from backendai.manager.audit.change import Change, Changes
from backendai.manager.audit.rows import delete_row, insert_row, update_row
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Action, Actor, may_manage, widest_scope
from backendai.manager.policies.reach import get_project
from backendai.manager.sessions.model import RoleRequest

from . import store
from .compose import bootstrap_of, cluster_body, creation_body, roles_of
from .model import NewTemplate, Template, TemplateKind
from .schema import read_templates

TEMPLATES_PER_USER_MAX: Final = 500


class Owners(Protocol):
    async def owner_of(self, actor: Actor, access_key: str | None) -> Actor: ...


class Templates:
    """`owner` is the access key that is acted for, None for the own one.

    A template is seen by its owner, the members of its project and the administrators of its
    domain; everybody else gets TemplateNotFound. It is changed by its owner and administrators.
    """

    def __init__(self, database: Database, changes: Changes, owners: Owners, ids: IdSource) -> None:
        self._database = database
        self._changes = changes
        self._owners = owners
        self._ids = ids

    async def list_templates(
        self, actor: Actor, kind: TemplateKind, *, is_all: bool
    ) -> list[Template]:
        """Own ones and those of own projects; `is_all` gives administrators all of theirs."""
        if is_all and not actor.is_domain_admin:
            raise InsufficientPrivilege("Only administrators list the templates of others.")
        everything = widest_scope(actor) if is_all else None
        return await self._database.read(
            lambda conn: store.list_templates(conn, kind, actor, everything)
        )

    async def get(
        self, actor: Actor, kind: TemplateKind, template_id: str, owner: str | None
    ) -> Template:
        viewer = await self._owners.owner_of(actor, owner)
        wanted = _id_of(template_id)
        return await self._database.read(
            lambda conn: store.get_template(conn, kind, wanted, viewer)
        )

    async def create(
        self,
        actor: Actor,
        action: Action,
        kind: TemplateKind,
        payload: str,
        *,
        project: str,
        domain: str | None,
        owner: str | None,
    ) -> list[Template]:
        """Store every template of a payload, or none.

        Raises InvalidParams with the path of each fault, ProjectNotFound, TemplateNotFound for a
        cluster of unknown ones, and Conflict when there are too many.
        """
        keeper = await self._owners.owner_of(actor, owner)
        news = await asyncio.to_thread(_read, payload, kind)

        async def work(change: Change) -> list[Template]:
            await _refuse_crowd(change, keeper, len(news))
            return [await self._insert(change, kind, new, keeper, project, domain) for new in news]

        return await self._changes.run(actor, action, work, owner=keeper)

    async def replace(
        self,
        actor: Actor,
        action: Action,
        kind: TemplateKind,
        template_id: str,
        payload: str,
        owner: str | None,
    ) -> None:
        """Let a template say what the one of `payload` says."""
        keeper = await self._owners.owner_of(actor, owner)
        wanted = _id_of(template_id)
        news = await asyncio.to_thread(_read, payload, kind)
        if len(news) != 1:
            raise InvalidParams(facts={"payload": f"holds {len(news)} templates; write one"})

        async def work(change: Change) -> None:
            old = await _get_own(change.connection, kind, wanted, keeper)
            await _check_nodes(change.connection, news[0], keeper)
            values: dict[str, Any] = {"name": news[0].name, "template": dict(news[0].content)}
            if news[0].project_id is not None:
                found = await get_project(change.connection, keeper, str(news[0].project_id))
                values["project_id"] = found.id
            key = {"id": wanted}
            await update_row(change, t.session_templates, key, values, domain=old.domain)

        await self._changes.run(actor, action, work, owner=keeper)

    async def delete(
        self,
        actor: Actor,
        action: Action,
        kind: TemplateKind,
        template_id: str,
        owner: str | None,
    ) -> None:
        keeper = await self._owners.owner_of(actor, owner)
        wanted = _id_of(template_id)

        async def work(change: Change) -> None:
            old = await _get_own(change.connection, kind, wanted, keeper)
            await delete_row(change, t.session_templates, {"id": wanted}, domain=old.domain)

        await self._changes.run(actor, action, work, owner=keeper)

    async def expand(self, actor: Actor, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body of a create that `body`, with a `template_id`, stands for."""
        key = body.get("owner_access_key")
        owner = key if isinstance(key, str) and key else None
        template = await self.get(actor, TemplateKind.TASK, body["template_id"], owner)
        return creation_body(template, body)

    async def expand_cluster(
        self, actor: Actor, body: Mapping[str, Any]
    ) -> tuple[dict[str, Any], tuple[RoleRequest, ...]]:
        """The same of a template of a cluster, and what each of its kernels is. Raises
        TemplateNotFound also for one of a node that is not there any more."""
        key = body.get("owner_access_key")
        owner = key if isinstance(key, str) and key else None
        cluster = await self.get(actor, TemplateKind.CLUSTER, body["template_id"], owner)
        nodes = cluster.content["spec"]["nodes"]
        ids = dict.fromkeys(node["session_template"] for node in nodes)
        tasks = {one: await self.get(actor, TemplateKind.TASK, one, owner) for one in ids}
        return cluster_body(cluster, tasks, body), roles_of(cluster, tasks)

    async def _insert(
        self,
        change: Change,
        kind: TemplateKind,
        new: NewTemplate,
        keeper: Actor,
        project: str,
        domain: str | None,
    ) -> Template:
        conn = change.connection
        if new.user_id not in (None, keeper.user_id):
            raise InvalidParams(facts={"user_uuid": "name the owner by owner_access_key"})
        found = await get_project(conn, keeper, str(new.project_id or project), domain)
        await _check_nodes(conn, new, keeper)
        values = {
            "id": self._ids.uuid(),
            "type": kind.value,
            "name": new.name,
            "template": dict(new.content),
            "project_id": found.id,
            "user_id": keeper.user_id,
        }
        row = await insert_row(change, t.session_templates, values, domain=found.domain)
        return await store.get_template(conn, kind, row["id"], keeper)


def _read(payload: str, kind: TemplateKind) -> list[NewTemplate]:
    # YAML comes into a manager only with the first template.
    from .texts import read_documents

    news = read_templates(read_documents(payload), kind)
    if kind is TemplateKind.TASK:
        for new in news:
            bootstrap_of(new.content["spec"]["kernel"])
    return news


def _id_of(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise TemplateNotFound(text) from None


async def _refuse_crowd(change: Change, keeper: Actor, count: int) -> None:
    kept = await store.count_templates(change.connection, keeper.user_id)
    if kept + count > TEMPLATES_PER_USER_MAX:
        raise Conflict(f"At most {TEMPLATES_PER_USER_MAX} templates are kept; delete some first.")


async def _check_nodes(conn: AsyncConnection, new: NewTemplate, keeper: Actor) -> None:
    """What a cluster is made of has to be there."""
    nodes: Sequence[Mapping[str, Any]] = new.content["spec"].get("nodes", ())
    for node in nodes:
        wanted = uuid.UUID(node["session_template"])
        await store.get_template(conn, TemplateKind.TASK, wanted, keeper)


async def _get_own(
    conn: AsyncConnection, kind: TemplateKind, template_id: uuid.UUID, keeper: Actor
) -> Template:
    """A template that `keeper` may change. Raises TemplateNotFound, and Forbidden for one that is
    merely shared, or that a superadmin starts sessions from."""
    found = await store.get_template(conn, kind, template_id, keeper)
    is_administered = may_manage(keeper, found.domain) and (
        keeper.is_superadmin or not found.is_guarded
    )
    if found.user_id != keeper.user_id and not is_administered:
        raise Forbidden(f"Template {found.name} belongs to {found.email}.")
    return found
