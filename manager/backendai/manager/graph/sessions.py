"""Sessions in GraphQL: one query for a page, one more for each nested kind that is selected."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import ClusterMode, ClusterRole, SessionResult, SessionType
from backendai.common.faults import BadRequest, Forbidden, GraphQLFault
from backendai.common.lifecycle import KernelStatus, SessionStatus
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Actor, Scope, widest_scope
from backendai.manager.sessions import render
from backendai.manager.sessions.model import Kernel
from backendai.manager.sessions.store import load_kernels, scope_conditions

from .minilang import Column, MinilangError, compile_filter, compile_order
from .selection import Info, selected

LIMIT_MAX: Final = 1000
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

_s, _u, _p = t.sessions, t.users, t.projects
_main = t.kernels.alias("main")
_creator = t.users.alias("creator")
_joined: Final = (
    _s.join(_u, _u.c.id == _s.c.user_id)
    .join(_creator, _creator.c.id == _s.c.created_by)
    .join(_p, _p.c.id == _s.c.project_id)
    .join(
        _main,
        sa.and_(_main.c.session_id == _s.c.id, _main.c.cluster_role == ClusterRole.MAIN.value),
    )
)
_SCHEDULED_AT: Final = (
    sa.select(sa.func.max(t.history.c.at))
    .where(
        t.history.c.session_id == _s.c.id,
        t.history.c.kernel_id.is_(None),
        t.history.c.to_status == SessionStatus.SCHEDULED.value,
    )
    .correlate(_s)
    .scalar_subquery()
)
_COLUMNS: Final = [
    *_s.c,
    _u.c.email.label("user_email"),
    _u.c.full_name.label("full_name"),
    _creator.c.email.label("creator_email"),
    _p.c.name.label("project_name"),
    _main.c.id.label("main_kernel_id"),
    _main.c.image.label("main_image"),
    _main.c.architecture.label("main_architecture"),
]


@dataclass(slots=True)
class SessionView:
    """A row of a session with what was loaded beside it."""

    row: Mapping[Any, Any]
    kernels: Sequence[Kernel] = ()
    dependencies: Sequence[Mapping[Any, Any]] = ()
    history: Sequence[Mapping[Any, Any]] = ()
    scheduled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KernelView:
    kernel: Kernel
    session: Mapping[Any, Any] = field(default_factory=dict)


async def load_page(
    connection: AsyncConnection, actor: Actor, info: Info, args: Mapping[str, Any]
) -> dict[str, Any]:
    """`compute_session_list`: the items of one page, and how many there are in all."""
    limit, offset = args["limit"], args["offset"]
    if not (0 < limit <= LIMIT_MAX and 0 <= offset < 2**31):
        raise BadRequest(f"limit must be 1 to {LIMIT_MAX} and offset not negative")
    where = _conditions(actor, args)
    total = sa.func.count().over().label("total")
    statement = sa.select(*_COLUMNS, total).select_from(_joined).where(*where)
    page = statement.order_by(*_order(args.get("order"))).limit(limit).offset(offset)
    rows = (await connection.execute(page)).mappings().all()
    if rows:
        count = rows[0]["total"]
    else:
        counted = sa.select(sa.func.count()).select_from(_joined).where(*where)
        count = await connection.scalar(counted) if offset else 0
    views = [SessionView(row) for row in rows]
    await _fill(connection, views, selected(info, "items"))
    return {"items": views, "total_count": count}


async def load_one(
    connection: AsyncConnection, actor: Actor, info: Info, session_id: uuid.UUID
) -> SessionView | None:
    """`compute_session`: ended ones too; None for those of others."""
    where = [_s.c.id == session_id, *scope_conditions(widest_scope(actor))]
    statement = sa.select(*_COLUMNS).select_from(_joined).where(*where)
    row = (await connection.execute(statement)).mappings().first()
    if row is None:
        return None
    view = SessionView(row)
    await _fill(connection, [view], selected(info))
    return view


async def load_container(
    connection: AsyncConnection, actor: Actor, kernel_id: uuid.UUID
) -> KernelView | None:
    where = [t.kernels.c.id == kernel_id, *scope_conditions(widest_scope(actor))]
    joined = t.kernels.join(_s, _s.c.id == t.kernels.c.session_id)
    row = (
        (await connection.execute(sa.select(_s).select_from(joined).where(*where)))
        .mappings()
        .first()
    )
    if row is None:
        return None
    kernels = await load_kernels(connection, [row["id"]])
    return next(KernelView(k, row) for k in kernels[row["id"]] if k.id == kernel_id)


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
        sa.select(*_COLUMNS)
        .select_from(_joined.join(newest, newest.c.id == _s.c.id))
        .where(newest.c.place <= LIMIT_MAX)
    )
    rows = await connection.execute(
        statement.order_by(_s.c.created_at.desc()).limit(OF_KEYPAIRS_MAX)
    )
    views = [SessionView(row) for row in rows.mappings()]
    await _fill(connection, views, fields)
    grouped: dict[str, list[SessionView]] = {}
    for view in views:
        grouped.setdefault(view.row["access_key"], []).append(view)
    return grouped


def narrow(views: Sequence[SessionView], statuses: str | None) -> list[SessionView]:
    """Those that a comma list of statuses takes; all of them without one."""
    wanted = _words(statuses)
    return [view for view in views if not statuses or view.row["status"] in wanted]


async def _fill(
    connection: AsyncConnection, views: Sequence[SessionView], fields: set[str]
) -> None:
    """Load what the selected fields need, for all rows at once."""
    ids = [view.row["id"] for view in views]
    if not ids:
        return
    if fields & _KERNEL_FIELDS:
        kernels = await load_kernels(connection, ids)
        for view in views:
            view.kernels = kernels.get(view.row["id"], ())
    if "dependencies" in fields:
        dependencies = await _load_dependencies(connection, ids)
        for view in views:
            view.dependencies = dependencies.get(view.row["id"], ())
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
    connection: AsyncConnection, ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, list[Mapping[Any, Any]]]:
    edges = t.session_dependencies
    statement = (
        sa.select(*_COLUMNS, edges.c.session_id.label("dependent"))
        .select_from(_joined.join(edges, edges.c.depends_on == _s.c.id))
        .where(edges.c.session_id.in_(ids))
        .order_by(_s.c.created_at)
    )
    grouped: dict[uuid.UUID, list[Mapping[Any, Any]]] = {}
    for row in (await connection.execute(statement)).mappings():
        grouped.setdefault(row["dependent"], []).append(row)
    return grouped


def _conditions(actor: Actor, args: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    where = [*scope_conditions(_scope_of(actor, args)), *_status_conditions(args.get("status"))]
    if args.get("group_id"):
        where.append(_s.c.project_id == read_id(args["group_id"]))
    if args.get("filter"):
        try:
            where.append(compile_filter(args["filter"], FILTERS))
        except MinilangError as error:
            raise GraphQLFault(f"Query filter parsing error: {error}") from None
    return where


def _scope_of(actor: Actor, args: Mapping[str, Any]) -> Scope:
    """What the actor may list, narrowed by the arguments. Raises Forbidden."""
    widest = widest_scope(actor)
    domain = args.get("domain_name")
    if domain is not None and domain != (widest.domain or domain):
        raise Forbidden("You may not list sessions of this domain.")
    access_key = args.get("access_key")
    if access_key is not None and access_key != actor.access_key and not actor.is_domain_admin:
        raise Forbidden("You may not list sessions of this access key.")
    return Scope(widest.user_id, access_key, domain or widest.domain)


def _status_conditions(text: str | None) -> list[sa.ColumnElement[bool]]:
    """Of a comma list of statuses; names that no session can have match nothing."""
    if not text:
        return []
    return [_s.c.status.in_(sorted(_words(text)))]


def _words(text: str | None) -> set[str]:
    wanted = {word.strip().upper() for word in (text or "").split(",")}
    return wanted & {status.value for status in SessionStatus}


def _order(text: str | None) -> list[sa.ColumnElement[Any]]:
    if not text:
        return [_s.c.created_at.desc(), _s.c.id]
    try:
        return [*compile_order(text, ORDERS), _s.c.id]
    except MinilangError as error:
        raise GraphQLFault(f"Query ordering parsing error: {error}") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) >= 2**31:
        raise TypeError(value)
    return value


def _time(value: object) -> datetime:
    at = datetime.fromisoformat(_text(value))
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def read_id(value: object) -> uuid.UUID:
    """Raises BadRequest."""
    try:
        return uuid.UUID(str(value))
    except ValueError:
        raise BadRequest(f"{str(value)[:64]!r} is no id") from None


def _word_of(
    kind: type[SessionType | SessionStatus | SessionResult | ClusterMode],
) -> Callable[[Any], str]:
    """Reads the name or the value of an enumeration, in any case."""
    known = {word.name.lower(): word.value for word in kind}
    known |= {word.value.lower(): word.value for word in kind}
    return lambda value: known[_text(value).lower()]


def _on_some_kernel(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return sa.exists().where(t.kernels.c.session_id == _s.c.id, condition)


_AGENT: Final = Column(t.kernels.c.agent_id, _text, _on_some_kernel)
FILTERS: Final[Mapping[str, Column]] = {
    "access_key": Column(_s.c.access_key, _text),
    "agent_id": _AGENT,
    "agent_ids": _AGENT,
    "agents": _AGENT,
    "cluster_mode": Column(_s.c.cluster_mode, _word_of(ClusterMode)),
    "cluster_size": Column(_s.c.cluster_size, _number),
    "created_at": Column(_s.c.created_at, _time),
    "domain_name": Column(_s.c.domain_name, _text),
    "full_name": Column(_u.c.full_name, _text),
    "group_name": Column(_p.c.name, _text),
    "id": Column(_s.c.id, read_id),
    "image": Column(_main.c.image, _text),
    "name": Column(_s.c.name, _text),
    "result": Column(_s.c.result, _word_of(SessionResult)),
    "scaling_group": Column(_s.c.resource_group, _text),
    "scheduled_at": Column(_SCHEDULED_AT, _time),
    "starts_at": Column(_s.c.starts_at, _time),
    "startup_command": Column(_s.c.startup_command, _text),
    "status": Column(_s.c.status, _word_of(SessionStatus)),
    "status_info": Column(_s.c.status_info, _text),
    "terminated_at": Column(_s.c.ended_at, _time),
    "type": Column(_s.c.type, _word_of(SessionType)),
    "user_email": Column(_u.c.email, _text),
}
ORDERS: Final[Mapping[str, sa.ColumnElement[Any]]] = {
    name: _main.c.agent_id if name in ("agent_id", "agent_ids", "agents") else column.expression
    for name, column in FILTERS.items()
    if name != "startup_command"
} | {"priority": _s.c.priority}


def json_text(value: object) -> str:
    return msgspec.json.encode(value).decode("utf-8")


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
    "commit_status": lambda v: "ready",
    "abusing_reports": lambda v: [],
    "idle_checks": lambda v: "{}",
    "agent_ids": lambda v: _unique(k.agent_id for k in v.kernels),
    "agents": lambda v: _unique(k.agent_id for k in v.kernels),
    "resource_opts": lambda v: json_text(v.row["resource_opts"]),
    "scaling_group": lambda v: v.row["resource_group"],
    "service_ports": lambda v: json_text(render.service_ports(v.kernels[0]) if v.kernels else []),
    "mounts": lambda v: [],
    "vfolder_mounts": lambda v: [],
    "occupying_slots": lambda v: json_text(render.occupied_slots(v.kernels)),
    "occupied_slots": lambda v: json_text(render.occupied_slots(v.kernels)),
    "requested_slots": lambda v: json_text(v.row["requested_slots"]),
    "num_queries": lambda v: v.row["query_count"],
    "containers": lambda v: [KernelView(kernel, v.row) for kernel in v.kernels],
    "dependencies": lambda v: [SessionView(row) for row in v.dependencies],
    "inference_metrics": lambda v: "{}",
}

CONTAINER_FIELDS: Final[Mapping[str, Callable[[KernelView], Any]]] = {
    "id": lambda v: str(v.kernel.id),
    "idx": lambda v: v.kernel.cluster_index,
    "role": lambda v: v.kernel.cluster_role,
    "hostname": lambda v: v.kernel.cluster_hostname,
    "cluster_idx": lambda v: v.kernel.cluster_index,
    "local_rank": lambda v: 0 if v.kernel.cluster_role == "main" else v.kernel.cluster_index,
    "cluster_role": lambda v: v.kernel.cluster_role,
    "cluster_hostname": lambda v: v.kernel.cluster_hostname,
    "session_id": lambda v: str(v.kernel.session_id),
    "image": lambda v: v.kernel.image,
    "architecture": lambda v: v.kernel.architecture,
    "registry": lambda v: render.registry_of(v.kernel.image),
    "status": lambda v: v.kernel.status.value,
    "status_changed": lambda v: render.iso(v.kernel.status_changed_at),
    "status_info": lambda v: v.kernel.status_info or None,
    "status_data": lambda v: json_text(v.kernel.status_data),
    "created_at": lambda v: render.iso(v.kernel.created_at),
    "terminated_at": lambda v: render.iso(v.kernel.ended_at),
    "starts_at": lambda v: render.iso(v.session.get("starts_at")),
    "scheduled_at": lambda v: None,
    "abusing_report": lambda v: None,
    "agent": lambda v: v.kernel.agent_id,
    "agent_addr": lambda v: None,
    "container_id": lambda v: v.kernel.container_id,
    "resource_opts": lambda v: json_text(v.session.get("resource_opts") or {}),
    "occupied_slots": lambda v: json_text(render.occupied_slots([v.kernel])),
    "live_stat": lambda v: _stat(v.kernel, live=True),
    "last_stat": lambda v: _stat(v.kernel, live=False),
    "preopen_ports": lambda v: [int(port) for port in v.session.get("preopen_ports") or ()],
}


def _unique(agents: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(agent for agent in agents if agent))


def _status_data(view: SessionView) -> dict[str, Any]:
    is_waiting = view.row["status"] == SessionStatus.PENDING.value
    waiting = {k: v for k, v in view.row["waiting"].items() if is_waiting and k != "digest"}
    told = {str(k.id): dict(k.status_data) for k in view.kernels if k.status_data}
    return ({"scheduler": waiting} if waiting else {}) | ({"kernels": told} if told else {})


def _stat(kernel: Kernel, *, live: bool) -> str | None:
    """Usage as JSON text: of a running kernel as live, of an ended one as last."""
    is_live = kernel.status not in (KernelStatus.TERMINATED, KernelStatus.CANCELLED)
    measured = render.metrics(kernel.last_use, kernel.requested_slots)
    measured.pop("version", None)
    return json_text(measured) if measured and is_live is live else None
