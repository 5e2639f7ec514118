"""Sessions in GraphQL: one query for a page, one more for each nested kind that is selected."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import CommitStatus, SessionResult, SessionType
from backendai.common.faults import Forbidden
from backendai.common.lifecycle import SessionStatus
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import EVERYTHING, Actor, Scope, widest_scope
from backendai.manager.idle.store import load_idle_checks
from backendai.manager.images.commits import find_committing
from backendai.manager.sessions import render
from backendai.manager.sessions.model import Kernel
from backendai.manager.sessions.mounting import MountedFolder, load_mounted
from backendai.manager.sessions.store import FINAL_WORDS, scope_conditions

from . import pages
from .kernels import KernelView, load_of_sessions
from .pages import Listing, Wanted
from .selection import Info, selected
from .session_columns import SESSIONS, SESSIONS_ANYWHERE, SHOWN, shown_for
from .texts import json_text as json_text
from .texts import read_id as read_id

# Of one keypair, below that keypair.
OF_KEYPAIR_MAX: Final = 1000
# Of all keypairs that one request shows, whatever each of them has.
OF_KEYPAIRS_MAX: Final = 10_000
_KERNEL_FIELDS: Final = frozenset(
    {
        "containers",
        "occupying_slots",
        "occupied_slots",
        "agent_ids",
        "agents",
        "status_data",
        "service_ports",
    }
)
_MOUNT_FIELDS: Final = frozenset({"mounts", "vfolder_mounts"})

_s = t.sessions


@dataclass(slots=True)
class SessionView:
    """A row of a session with what was loaded beside it."""

    row: Mapping[Any, Any]
    containers: Sequence[KernelView] = ()
    dependencies: Sequence[Mapping[Any, Any]] = ()
    history: Sequence[Mapping[Any, Any]] = ()
    idle_checks: Mapping[str, Any] = field(default_factory=dict)
    commit_status: CommitStatus = CommitStatus.READY
    mounts: Sequence[MountedFolder] = ()

    @property
    def kernels(self) -> list[Kernel]:
        return [view.kernel for view in self.containers]


@dataclass(frozen=True, slots=True)
class SessionList:
    """What is asked of a list of sessions; `fields` are those of its items."""

    args: Mapping[str, Any]
    wanted: Wanted
    fields: set[str]
    listing: Listing = SESSIONS


def read_list(info: Info, args: Mapping[str, Any], *, shows_agents: bool) -> SessionList:
    """Raises BadRequest."""
    listing = SESSIONS if shows_agents else SESSIONS_ANYWHERE
    return SessionList(args, Wanted.read(args, selected(info)), selected(info, "items"), listing)


async def load_page(
    connection: AsyncConnection, actor: Actor, asked: SessionList
) -> dict[str, Any]:
    """The items of one page, and how many there are in all."""
    where = conditions_of(actor, asked.args)
    shown = shown_for(asked.fields)
    page = await pages.load_page(connection, asked.listing, asked.wanted, where, shown)
    views = [SessionView(row) for row in page.rows]
    await _fill(connection, widest_scope(actor), views, asked.fields)
    return {"items": views, "total_count": page.total}


async def find_named(
    connection: AsyncConnection, actor: Actor, args: Mapping[str, Any]
) -> SessionView | None:
    """`legacy_compute_session`: a live one before those that ended, then the newest."""
    is_final = _s.c.status.in_(FINAL_WORDS)
    where = [_s.c.name == args["sess_id"], *scope_conditions(_scope_of(actor, args))]
    statement = sa.select(*SHOWN).select_from(SESSIONS.joined).where(*where)
    found = await connection.execute(statement.order_by(is_final, _s.c.created_at.desc()).limit(1))
    views = [SessionView(row) for row in found.mappings()]
    await _fill(connection, widest_scope(actor), views, {"containers", "mounts"})
    return next(iter(views), None)


async def load_one(
    connection: AsyncConnection, actor: Actor, info: Info, session_id: uuid.UUID
) -> SessionView | None:
    """`compute_session`: ended ones too; None for those of others."""
    where = [_s.c.id == session_id, *scope_conditions(widest_scope(actor))]
    statement = sa.select(*SHOWN).select_from(SESSIONS.joined).where(*where)
    row = (await connection.execute(statement)).mappings().first()
    if row is None:
        return None
    view = SessionView(row)
    await _fill(connection, widest_scope(actor), [view], selected(info))
    return view


async def load_of_keypairs(
    connection: AsyncConnection,
    access_keys: Sequence[str],
    statuses: Sequence[str | None],
    fields: set[str],
) -> dict[str, list[SessionView]]:
    """The newest sessions of each keypair that one of `statuses` (comma lists) takes."""
    place = sa.func.row_number().over(partition_by=_s.c.access_key, order_by=_s.c.created_at.desc())
    wanted = [sa.and_(sa.true(), *_status_conditions(text)) for text in statuses]
    newest = (
        sa.select(_s.c.id, place.label("place"))
        .where(_s.c.access_key.in_(access_keys), sa.or_(*wanted))
        .subquery()
    )
    statement = (
        sa.select(*SHOWN)
        .select_from(SESSIONS.joined.join(newest, newest.c.id == _s.c.id))
        .where(newest.c.place <= OF_KEYPAIR_MAX)
    )
    rows = await connection.execute(
        statement.order_by(_s.c.created_at.desc()).limit(OF_KEYPAIRS_MAX)
    )
    views = [SessionView(row) for row in rows.mappings()]
    # Whose keypair one may see, of those one may see what their sessions depend on.
    await _fill(connection, EVERYTHING, views, fields)
    grouped: dict[str, list[SessionView]] = {}
    for view in views:
        grouped.setdefault(view.row["access_key"], []).append(view)
    return grouped


def narrow(views: Sequence[SessionView], statuses: str | None) -> list[SessionView]:
    """Those that a comma list of statuses takes; all of them without one."""
    wanted = _words(statuses)
    return [view for view in views if not statuses or view.row["status"] in wanted]


async def _fill(
    connection: AsyncConnection, scope: Scope, views: Sequence[SessionView], fields: set[str]
) -> None:
    """Load what the selected fields need and is in `scope`, for all rows at once."""
    ids = [view.row["id"] for view in views]
    if not ids:
        return
    if fields & _KERNEL_FIELDS:
        kernels = await load_of_sessions(connection, ids)
        for view in views:
            view.containers = kernels.get(view.row["id"], ())
            for container in view.containers:
                container.session = view.row
    if "dependencies" in fields:
        dependencies = await _load_dependencies(connection, scope, ids)
        for view in views:
            view.dependencies = dependencies.get(view.row["id"], ())
    if "idle_checks" in fields:
        checks = await load_idle_checks(connection, ids)
        for view in views:
            view.idle_checks = checks.get(view.row["id"], {})
    if fields & _MOUNT_FIELDS:
        mounts = await load_mounted(connection, ids)
        for view in views:
            view.mounts = mounts.get(view.row["id"], ())
    if "commit_status" in fields:
        committing = await find_committing(connection, ids)
        for view in views:
            if view.row["id"] in committing:
                view.commit_status = CommitStatus.ONGOING
    if "status_history" in fields or "scheduled_at" in fields:
        histories = await _load_histories(connection, ids)
        for view in views:
            view.history = histories.get(view.row["id"], ())


async def _load_histories(
    connection: AsyncConnection, ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, list[Mapping[Any, Any]]]:
    """The moves of the sessions themselves, oldest first."""
    h = t.history.c
    statement = (
        sa.select(h.session_id, h.kernel_id, h.to_status, h.at)
        .where(h.session_id.in_(ids), h.kernel_id.is_(None))
        .order_by(h.id)
    )
    grouped: dict[uuid.UUID, list[Mapping[Any, Any]]] = {}
    for row in (await connection.execute(statement)).mappings():
        grouped.setdefault(row["session_id"], []).append(row)
    return grouped


async def _load_dependencies(
    connection: AsyncConnection, scope: Scope, ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, list[Mapping[Any, Any]]]:
    edges = t.session_dependencies
    statement = (
        sa.select(*SHOWN, edges.c.session_id.label("dependent"))
        .select_from(SESSIONS.joined.join(edges, edges.c.depends_on == _s.c.id))
        .where(edges.c.session_id.in_(ids), *scope_conditions(scope))
        .order_by(_s.c.created_at)
    )
    grouped: dict[uuid.UUID, list[Mapping[Any, Any]]] = {}
    for row in (await connection.execute(statement)).mappings():
        grouped.setdefault(row["dependent"], []).append(row)
    return grouped


def conditions_of(actor: Actor, args: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    """Which sessions `args` mean, of those that the actor may see. Raises Forbidden."""
    where = [*scope_conditions(_scope_of(actor, args)), *_status_conditions(args.get("status"))]
    if args.get("group_id"):
        where.append(_s.c.project_id == read_id(args["group_id"]))
    return where


def _scope_of(actor: Actor, args: Mapping[str, Any]) -> Scope:
    """What the actor may list, narrowed by the arguments. Raises Forbidden."""
    widest = widest_scope(actor)
    domain = args.get("domain_name")
    if domain is not None and domain != (widest.domain or domain):
        raise Forbidden("You may not list sessions of this domain.")
    access_key = args.get("access_key")
    sees_others = actor.is_domain_admin or actor.administers
    if access_key is not None and access_key != actor.access_key and not sees_others:
        raise Forbidden("You may not list sessions of this access key.")
    return replace(widest, access_key=access_key, domain=domain or widest.domain)


def _status_conditions(text: str | None) -> list[sa.ColumnElement[bool]]:
    """Of a comma list of statuses; names that no session can have match nothing."""
    if not text:
        return []
    # Written into the statement: a partial index is only used for values that are known then.
    words: sa.BindParameter[list[str]] = sa.bindparam(
        "statuses", sorted(_words(text)), expanding=True, literal_execute=True, unique=True
    )
    return [_s.c.status.in_(words)]


def _words(text: str | None) -> set[str]:
    wanted = {word.strip().upper() for word in (text or "").split(",")}
    return wanted & {status.value for status in SessionStatus}


Field = Callable[[SessionView], Any]
SESSION_FIELDS: Final[Mapping[str, Field]] = {
    "id": lambda v: str(v.row["id"]),
    "session_id": lambda v: str(v.row["id"]),
    "main_kernel_id": lambda v: str(v.row["main_kernel_id"]),
    "tag": lambda v: v.row["tag"],
    "name": lambda v: v.row["name"],
    "type": lambda v: SessionType(v.row["type"]).name,
    "main_kernel_role": lambda v: "INFERENCE" if v.row["type"] == "inference" else "COMPUTE",
    "image": lambda v: v.row["main_image"],
    "architecture": lambda v: v.row["main_architecture"],
    "registry": lambda v: render.registry_of(v.row["main_image"]),
    "cluster_template": lambda v: None,
    "cluster_mode": lambda v: v.row["cluster_mode"],
    "cluster_size": lambda v: v.row["cluster_size"],
    "priority": lambda v: v.row["priority"],
    "domain_name": lambda v: v.row["domain_name"],
    "group_name": lambda v: v.row["project_name"],
    "group_id": lambda v: str(v.row["project_id"]),
    "user_email": lambda v: v.row["user_email"],
    "full_name": lambda v: v.row["full_name"],
    "user_id": lambda v: str(v.row["user_id"]),
    "access_key": lambda v: v.row["access_key"],
    "created_user_email": lambda v: v.row["creator_email"],
    "created_user_id": lambda v: str(v.row["created_by"]),
    "status": lambda v: v.row["status"],
    "status_changed": lambda v: render.iso(v.row["status_changed_at"]),
    "status_info": lambda v: v.row["status_info"] or None,
    "status_data": lambda v: json_text(_status_data(v)),
    "status_history": lambda v: json_text(render.history_by_status(v.history)),
    "created_at": lambda v: render.iso(v.row["created_at"]),
    "terminated_at": lambda v: render.iso(v.row["ended_at"]),
    "starts_at": lambda v: render.iso(v.row["starts_at"]),
    "scheduled_at": lambda v: render.history_by_status(v.history).get("scheduled"),
    "startup_command": lambda v: v.row["startup_command"],
    "result": lambda v: SessionResult(v.row["result"]).name,
    "commit_status": lambda v: v.commit_status.value,
    "abusing_reports": lambda v: [],
    "idle_checks": lambda v: json_text(v.idle_checks),
    "agent_ids": lambda v: _unique(k.agent_id for k in v.kernels),
    "agents": lambda v: _unique(k.agent_id for k in v.kernels),
    "resource_opts": lambda v: json_text(v.row["resource_opts"]),
    "scaling_group": lambda v: v.row["resource_group"],
    "service_ports": lambda v: json_text(
        render.listed_service_ports(v.kernels[0]) if v.kernels else []
    ),
    "mounts": lambda v: [mount.name for mount in v.mounts],
    "vfolder_mounts": lambda v: [str(m.vfolder_id) for m in v.mounts if m.vfolder_id],
    "occupying_slots": lambda v: json_text(render.occupied_slots(v.kernels)),
    "occupied_slots": lambda v: json_text(render.occupied_slots(v.kernels)),
    "requested_slots": lambda v: json_text(v.row["requested_slots"]),
    "num_queries": lambda v: v.row["query_count"],
    "containers": lambda v: v.containers,
    "dependencies": lambda v: [SessionView(row) for row in v.dependencies],
    "inference_metrics": lambda v: "{}",
}


def _unique(agents: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(agent for agent in agents if agent))


def _status_data(view: SessionView) -> dict[str, Any]:
    is_waiting = view.row["status"] == SessionStatus.PENDING.value
    waiting = {k: v for k, v in view.row["waiting"].items() if is_waiting and k != "digest"}
    told = {str(k.id): dict(k.status_data) for k in view.kernels if k.status_data}
    return ({"scheduler": waiting} if waiting else {}) | ({"kernels": told} if told else {})
