"""Alerts in Postgres: what is wrong since when, and who has been told of it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import AgentStatus
from backendai.manager.db import tables as t
from backendai.manager.idle.store import RUNNING
from backendai.manager.idle.utilization import Container

from .facts import AgentFact, OwnedScope, SessionFact
from .model import Alert, AlertKind, Change, Changes, Kept, Key, Look, Message

# What has ended is kept so long, for those who ask what happened.
KEPT_DAYS: Final = 90
# Messages for whom the settings name no more: another manager may still have the former ones.
UNNAMED_DAYS: Final = 1
# What happened, to what, and in which row.
_Told: TypeAlias = tuple[Change, Key, int]
_c: Final = t.alerts.c
_m: Final = t.alert_messages.c
_a: Final = t.agents.c
_SILENT: Final = sa.func.extract("epoch", sa.func.now() - _a.last_seen_at)

# The interpolated words are statuses of the table, never input.
_HOLDERS: Final = sa.text(f"""
SELECT s.id, s.name, coalesce(u.email, s.access_key) AS owner,
  jsonb_agg(jsonb_build_object('slots', k.requested_slots, 'use', k.last_use)) AS held
FROM sessions AS s
JOIN kernels AS k ON k.session_id = s.id AND k.status = 'RUNNING'
LEFT JOIN keypairs AS p ON p.access_key = s.access_key
LEFT JOIN users AS u ON u.id = p.user_id
WHERE s.status IN ({", ".join(f"'{status}'" for status in RUNNING)})
  AND EXISTS (
    SELECT FROM jsonb_object_keys(k.requested_slots) AS slot WHERE position('.' IN slot) > 0)
GROUP BY s.id, s.name, owner
""").columns(held=sa.JSON)  # noqa: S608


async def load_agents(conn: AsyncConnection) -> list[AgentFact]:
    found = await conn.execute(
        sa.select(_a.id, _a.status, _a.resource_group, sa.func.coalesce(_SILENT, 0), _a.last_use)
        .where(_a.status != AgentStatus.TERMINATED)
        .order_by(_a.id)
    )
    return [
        AgentFact(id_, AgentStatus(status), group, float(silent), used)
        for id_, status, group, silent, used in found
    ]


async def load_holders(conn: AsyncConnection) -> list[SessionFact]:
    """The running sessions that hold accelerators."""
    found = await conn.execute(_HOLDERS)
    return [
        SessionFact(
            str(row.id),
            row.name,
            row.owner,
            tuple(Container(one["slots"], one["use"]) for one in row.held),
        )
        for row in found
    ]


async def load_scopes(conn: AsyncConnection) -> list[OwnedScope]:
    """All quota scopes: only the storage knows which have a limit."""
    q, users, projects = t.quota_scopes.c, t.users, t.projects
    # Projects of several domains may be called the same.
    project = projects.c.name + sa.literal(" of ") + projects.c.domain_name
    name = sa.func.coalesce(users.c.email, project, q.quota_scope_id)
    found = await conn.execute(
        sa.select(q.host, q.quota_scope_id, name)
        .select_from(
            t.quota_scopes.outerjoin(
                users, q.quota_scope_id == sa.literal("user:") + sa.cast(users.c.id, sa.Text)
            ).outerjoin(
                projects,
                q.quota_scope_id == sa.literal("project:") + sa.cast(projects.c.id, sa.Text),
            )
        )
        .order_by(q.host, q.quota_scope_id)
    )
    return [OwnedScope(*row) for row in found]


async def load_kept(conn: AsyncConnection) -> list[Kept]:
    """What has not ended."""
    found = await conn.execute(
        sa.select(_c.id, _c.kind, _c.subject, _c.detail, _c.seen_at, _c.began_at)
        .where(_c.ended_at.is_(None))
        .order_by(_c.id)
    )
    return [
        Kept(row.id, _key(row), row.detail, row.seen_at, row.began_at)
        for row in found
        if row.kind in set(AlertKind)
    ]


async def write(
    conn: AsyncConnection, changes: Changes, look: Look, targets: Sequence[str], now: datetime
) -> list[tuple[Change, Key]]:
    """Keep the changes, and note whom to tell. What another manager has changed meanwhile is left
    to it. Returns what began and ended."""
    told = [*await _begin_new(conn, changes, look, now), *await _move(conn, changes, now)]
    for kept in changes.reworded:
        await _change(conn, kept, {"detail": look.wrong[kept.key]}, sa.true())
    if changes.gone:
        ids = [kept.id for kept in changes.gone]
        await conn.execute(sa.delete(t.alerts).where(_c.id.in_(ids), _c.began_at.is_(None)))
    rows = [
        {"alert_id": id_, "change": change.value, "target": target, "next_at": now}
        for change, _, id_ in told
        for target in targets
    ]
    if rows:
        await conn.execute(insert(t.alert_messages).on_conflict_do_nothing(), rows)
    return [(change, key) for change, key, _ in told]


async def _begin_new(
    conn: AsyncConnection, changes: Changes, look: Look, now: datetime
) -> list[_Told]:
    told: list[_Told] = []
    for key in changes.new:
        began_at = now if key in changes.begun_at_once else None
        id_ = await _insert(conn, key, look.wrong[key], now, began_at)
        if id_ is not None and began_at is not None:
            told.append((Change.BEGIN, key, id_))
    return told


async def _move(conn: AsyncConnection, changes: Changes, now: datetime) -> list[_Told]:
    told: list[_Told] = []
    for kept in changes.begins:
        has_begun = await _change(conn, kept, {"began_at": now}, _c.began_at.is_(None))
        told += [(Change.BEGIN, kept.key, kept.id)] if has_begun else []
    for kept in changes.ends:
        is_ended = await _change(conn, kept, {"ended_at": now}, _c.began_at.is_not(None))
        told += [(Change.END, kept.key, kept.id)] if is_ended else []
    return told


async def load_messages(
    conn: AsyncConnection, now: datetime, target: str, count: int
) -> list[Message]:
    """At most `count` that are due: of an end, not before its beginning was told."""
    before = t.alert_messages.alias("before")
    is_early = (
        sa.select(before.c.alert_id)
        .where(
            before.c.alert_id == _m.alert_id,
            before.c.target == _m.target,
            before.c.change < _m.change,
        )
        .exists()
    )
    found = await conn.execute(
        sa.select(t.alerts, _m.change, _m.target, _m.attempts)
        .join(t.alert_messages, _m.alert_id == _c.id)
        .where(
            _m.target == target,
            _m.next_at <= now,
            ~is_early,
            # A later release may have left others, before it was rolled back.
            _c.kind.in_(AlertKind),
            _m.change.in_(Change),
        )
        .order_by(_m.attempts, _m.alert_id)
        .limit(count)
    )
    return [Message(_alert(row), Change(row.change), row.target, row.attempts) for row in found]


async def note_told(conn: AsyncConnection, message: Message) -> None:
    """Also where it is given up."""
    await conn.execute(sa.delete(t.alert_messages).where(*_is(message)))


async def note_failed(conn: AsyncConnection, message: Message, next_at: datetime) -> None:
    await conn.execute(
        sa.update(t.alert_messages)
        .where(*_is(message))
        .values(attempts=message.attempts + 1, next_at=next_at)
    )


async def list_alerts(conn: AsyncConnection, *, with_ended: bool, limit: int) -> list[Alert]:
    """Newest first."""
    is_open = _c.ended_at.is_(None)
    found = await conn.execute(
        sa.select(t.alerts)
        .where(_c.began_at.is_not(None), sa.true() if with_ended else is_open)
        .order_by(_c.began_at.desc(), _c.id.desc())
        .limit(limit)
    )
    return [_alert(row) for row in found if row.kind in set(AlertKind)]


async def forget_old(conn: AsyncConnection, targets: Sequence[str]) -> None:
    """What ended long ago, and what waits for none of `targets`."""
    await conn.execute(sa.delete(t.alerts).where(_c.ended_at < _before(KEPT_DAYS)))
    is_left = _m.target.not_in(targets) & (_m.next_at < _before(UNNAMED_DAYS))
    await conn.execute(sa.delete(t.alert_messages).where(is_left))


def _before(days: int) -> sa.ColumnElement[datetime]:
    return sa.func.now() - sa.func.make_interval(0, 0, 0, days)


async def _insert(
    conn: AsyncConnection, key: Key, detail: str, now: datetime, began_at: datetime | None
) -> int | None:
    """None where another manager was faster."""
    statement = (
        insert(t.alerts)
        .values(
            kind=key.kind.value, subject=key.subject, detail=detail, seen_at=now, began_at=began_at
        )
        .on_conflict_do_nothing()
        .returning(_c.id)
    )
    found: int | None = await conn.scalar(statement)
    return found


async def _change(
    conn: AsyncConnection, kept: Kept, values: dict[str, Any], guard: sa.ColumnElement[bool]
) -> bool:
    done = await conn.execute(
        sa.update(t.alerts)
        .where(_c.id == kept.id, _c.ended_at.is_(None), guard)
        .values(values)
        .returning(_c.id)
    )
    return done.first() is not None


def _is(message: Message) -> Iterable[sa.ColumnElement[bool]]:
    return (
        _m.alert_id == message.alert.id,
        _m.change == message.change.value,
        _m.target == message.target,
    )


def _key(row: Any) -> Key:
    return Key(AlertKind(row.kind), row.subject)


def _alert(row: Any) -> Alert:
    return Alert(row.id, _key(row), row.detail, row.began_at, row.ended_at)
