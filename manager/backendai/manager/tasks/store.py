"""The rows of background tasks. A manager holds those that it works on, and says so regularly."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import TaskNotFound
from backendai.manager.audit.change import Change
from backendai.manager.audit.rows import insert_row
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Scope
from backendai.manager.lifecycle.moves import notify

from .model import HINT_TASKS, Task, TaskStatus, task_hint

BEATS_MISSED_SECONDS: Final = 15
KEPT_DAYS: Final = 30
STOPPED: Final = "The manager stopped."
MESSAGE_CHARS_MAX: Final = 4000

_t = t.tasks.c
_NOW: Final = sa.func.now()
_LIVE: Final = (TaskStatus.PENDING.value, TaskStatus.RUNNING.value)
_RELEASED: Final = {
    "status": TaskStatus.PENDING.value,
    "holder": None,
    "current": 0,
    "total": 0,
}
_COLUMNS: Final = [
    _t[name]
    for name in (
        "id",
        "name",
        "params",
        "user_id",
        "status",
        "current",
        "total",
        "message",
        "created_at",
        "ended_at",
    )
]


async def begin_task(
    change: Change, name: str, params: Mapping[str, Any], *, domain: str | None = None
) -> uuid.UUID:
    """A task that some manager begins when this change is committed; admins of `domain` may read of
    it in the audit log."""
    values = {"name": name, "params": dict(params), "user_id": change.actor.user_id}
    row = await insert_row(change, t.tasks, values, domain=domain)
    await notify(change.connection, [HINT_TASKS])
    return uuid.UUID(str(row["id"]))


async def queue_task(
    conn: AsyncConnection, name: str, params: Mapping[str, Any], user_id: uuid.UUID
) -> None:
    """As `begin_task`, for what a manager begins by itself, in the name of a user."""
    values = {"name": name, "params": dict(params), "user_id": user_id}
    await conn.execute(sa.insert(t.tasks).values(values))
    await notify(conn, [HINT_TASKS])


async def claim_tasks(
    conn: AsyncConnection,
    holder: str,
    names: Sequence[str],
    count_max: int,
    without: Collection[uuid.UUID] = (),
) -> list[Task]:
    """Take over tasks that wait, the oldest first, of those whose work is known."""
    is_waiting = _t.status == TaskStatus.PENDING.value
    waiting = (
        sa.select(_t.id)
        .where(is_waiting, _t.name.in_(names), _t.id.not_in(list(without)))
        .order_by(_t.created_at)
        .limit(count_max)
        .with_for_update(skip_locked=True)
    )
    values = {"status": TaskStatus.RUNNING.value, "holder": holder, "beat_at": _NOW}
    statement = sa.update(t.tasks).where(_t.id.in_(waiting.scalar_subquery())).values(values)
    return [_task_of(row) for row in await conn.execute(statement.returning(*_COLUMNS))]


async def list_live(conn: AsyncConnection, name: str, params: Mapping[str, str]) -> list[Task]:
    """Tasks of one name that wait or run, whose parameters have all of `params`; oldest first."""
    statement = sa.select(*_COLUMNS).where(
        _t.name == name, _t.status.in_(_LIVE), _t.params.contains(dict(params))
    )
    return [_task_of(row) for row in await conn.execute(statement.order_by(_t.created_at))]


async def load_last_ends(
    conn: AsyncConnection, name: str, key: str, values: Sequence[str]
) -> dict[str, datetime]:
    """When the last task of one name ended, for each of `values` of the parameter `key`."""
    value = _t.params[key].astext
    statement = (
        sa.select(value.label("value"), sa.func.max(_t.ended_at).label("at"))
        .where(_t.name == name, _t.ended_at.is_not(None), value.in_(values))
        .group_by(value)
    )
    return {row.value: row.at for row in await conn.execute(statement)}


async def beat(
    conn: AsyncConnection, holder: str, task_ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, bool]:
    """Say that `holder` still works on these. Task -> whether it is still wanted; those that are
    missing are not its any more."""
    statement = (
        sa.update(t.tasks)
        .where(_t.id.in_(task_ids), *_held_by(holder))
        .values(beat_at=_NOW)
        .returning(_t.id, _t.is_unwanted)
    )
    return {row.id: not row.is_unwanted for row in await conn.execute(statement)}


async def save_progress(
    conn: AsyncConnection, holder: str, task_id: uuid.UUID, values: Mapping[str, Any]
) -> None:
    """What is not `holder`'s any more stays as it is."""
    await conn.execute(
        sa.update(t.tasks).where(_t.id == task_id, *_held_by(holder)).values(dict(values))
    )
    await notify(conn, [task_hint(task_id)])


async def end_task(
    conn: AsyncConnection, holder: str, task_id: uuid.UUID, status: TaskStatus, message: str
) -> None:
    told = message[:MESSAGE_CHARS_MAX]
    values = {"status": status.value, "message": told, "ended_at": _NOW}
    await save_progress(conn, holder, task_id, values)


async def release_task(conn: AsyncConnection, holder: str, task_id: uuid.UUID) -> None:
    """Let another manager go on with it."""
    await conn.execute(
        sa.update(t.tasks).where(_t.id == task_id, *_held_by(holder)).values(_RELEASED)
    )
    await notify(conn, [HINT_TASKS])


async def sweep_tasks(conn: AsyncConnection, resumed: Collection[str]) -> None:
    """Of the tasks whose manager is gone, let those named in `resumed` begin again and end the
    others; forget those that have been over for long."""
    silent = sa.func.make_interval(0, 0, 0, 0, 0, 0, BEATS_MISSED_SECONDS)
    is_left = (_t.status == TaskStatus.RUNNING.value, _t.beat_at < _NOW - silent)
    await conn.execute(sa.update(t.tasks).where(*is_left, _t.name.in_(resumed)).values(_RELEASED))
    abandoned = await conn.execute(
        sa.update(t.tasks)
        .where(*is_left, _t.name.not_in(resumed))
        .values(status=TaskStatus.FAILED.value, message=STOPPED, ended_at=_NOW)
        .returning(_t.id)
    )
    hints = [task_hint(row.id) for row in abandoned]
    if hints:
        await notify(conn, hints)
    old = sa.func.make_interval(0, 0, 0, KEPT_DAYS)
    await conn.execute(sa.delete(t.tasks).where(_t.ended_at < _NOW - old))


async def get_task(conn: AsyncConnection, scope: Scope, task_id: uuid.UUID) -> Task:
    """Raises TaskNotFound."""
    statement = sa.select(*_COLUMNS).where(_t.id == task_id, *_within(scope))
    row = (await conn.execute(statement)).first()
    if row is None:
        raise TaskNotFound(str(task_id))
    return _task_of(row)


async def list_tasks(
    conn: AsyncConnection, scope: Scope, limit: int, offset: int
) -> tuple[list[Task], int]:
    """A page, the newest first, and how many there are in all."""
    where = _within(scope)
    page = sa.select(*_COLUMNS).where(*where).order_by(_t.created_at.desc(), _t.id)
    found = await conn.execute(page.limit(limit).offset(offset))
    count = await conn.scalar(sa.select(sa.func.count()).select_from(t.tasks).where(*where))
    return [_task_of(row) for row in found], int(count or 0)


async def cancel_task(conn: AsyncConnection, scope: Scope, task_id: uuid.UUID) -> None:
    """One that waits is over at once, one that runs soon; one that is over stays as it is.

    Raises TaskNotFound.
    """
    await get_task(conn, scope, task_id)
    waits = _t.status == TaskStatus.PENDING.value
    cancelled = {
        "is_unwanted": True,
        "status": sa.case((waits, TaskStatus.CANCELLED.value), else_=_t.status),
        "message": sa.case((waits, "It was cancelled."), else_=_t.message),
        "ended_at": sa.case((waits, _NOW), else_=_t.ended_at),
    }
    is_it = (_t.id == task_id, _t.status.in_(_LIVE))
    await conn.execute(sa.update(t.tasks).where(*is_it).values(cancelled))
    await notify(conn, [HINT_TASKS, task_hint(task_id)])


def _held_by(holder: str) -> tuple[sa.ColumnElement[bool], ...]:
    return _t.status == TaskStatus.RUNNING.value, _t.holder == holder


def _within(scope: Scope) -> list[sa.ColumnElement[bool]]:
    """Those that the user asked for, or that others asked for what is the user's."""
    if scope.user_id is None:
        return []
    is_for = _t.params.contains({"owner_id": str(scope.user_id)})
    return [sa.or_(_t.user_id == scope.user_id, is_for)]


def _task_of(row: sa.Row[Any]) -> Task:
    values = {column.name: row._mapping[column.name] for column in _COLUMNS}
    return Task(**{**values, "status": TaskStatus(values["status"])})
