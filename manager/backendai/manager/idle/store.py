"""What is kept of the idleness of sessions: one row each, without a reference to the session, so
that noting it waits for nobody who moves the session.
"""

import asyncio
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import SessionType
from backendai.common.events import EventName
from backendai.common.lifecycle import SESSION_FINAL, SessionStatus
from backendai.manager.db import tables as t
from backendai.manager.lifecycle.changes import HINT_OUTBOX, session_hint
from backendai.manager.lifecycle.moves import NOTIFY_CHANNEL, in_order

from .model import Case, Checker, Utilization, Warned
from .render import idle_checks
from .rules import Rules
from .utilization import Container, families_of, sample_of

_WARNING: Final = EventName.SESSION_IDLE_WARNING.value
RUNNING: Final = tuple(sorted((SessionStatus.RUNNING, SessionStatus.RUNNING_DEGRADED)))
_RUNNING_WORDS: Final = ", ".join(f"'{status}'" for status in RUNNING)
_FINAL_WORDS: Final = ", ".join(f"'{status}'" for status in sorted(SESSION_FINAL))

# Thousands at once would keep other requests waiting for seconds.
PAGE_CASES: Final = 100
_BEFORE_ALL: Final = uuid.UUID(int=0)

# The interpolated words are statuses of the table, never input.
_CASES: Final = f"""
SELECT s.id, s.name, s.access_key, s.type, s.started_at, s.status_changed_at,
  p.idle_timeout, p.max_session_lifetime,
  i.active_at, i.active_by, CAST(i.utilization AS text) AS utilization, i.warned, i.checks,
  CASE WHEN :with_use THEN (
    SELECT jsonb_agg(jsonb_build_object('slots', k.requested_slots, 'use', k.last_use))
    FROM kernels AS k WHERE k.session_id = s.id AND k.status = 'RUNNING') END AS held
FROM sessions AS s
JOIN keypairs AS owner ON owner.access_key = s.access_key
JOIN keypair_policies AS p ON p.name = owner.resource_policy
LEFT JOIN session_idleness AS i ON i.session_id = s.id
WHERE s.status IN ({_RUNNING_WORDS})
  AND (:is_limited OR p.idle_timeout > 0 OR p.max_session_lifetime > 0
    OR i.checks <> '{{}}' OR i.warned <> '{{}}')
"""  # noqa: S608
_COLUMNS: Final = {"warned": JSONB, "checks": JSONB, "held": JSONB}
_PAGE: Final = sa.text(f"{_CASES} AND s.id > :after ORDER BY s.id LIMIT :limit").columns(**_COLUMNS)
_ONE: Final = sa.text(f"{_CASES} AND s.id = :session_id").columns(**_COLUMNS)
_i, _s = t.session_idleness.c, t.sessions.c
_CHECKS: Final = (
    sa.select(_i.session_id, _i.checks, sa.func.now().label("now"))
    .join_from(t.session_idleness, t.sessions, _s.id == _i.session_id)
    .where(_i.session_id == sa.any_(sa.bindparam("ids", type_=ARRAY(sa.Uuid))))
    .where(_s.status.in_(RUNNING))
)
# Its text is long, and is read right into what it means.
_UTILIZATION: Final = msgspec.json.Decoder(Utilization)

_NOTE: Final = sa.text("""
INSERT INTO session_idleness AS i (session_id, active_at, active_by)
SELECT x.id, x.active_at, x.active_by
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x(id uuid, active_at timestamptz, active_by text)
ORDER BY x.id
ON CONFLICT (session_id) DO UPDATE
SET active_at = EXCLUDED.active_at, active_by = EXCLUDED.active_by
WHERE i.active_at IS NULL OR i.active_at < EXCLUDED.active_at
""")
_EXTEND: Final = sa.text("""
INSERT INTO session_idleness AS i (session_id, active_at, active_by, utilization)
VALUES (:id, :now, 'extend', CAST(:utilization AS jsonb))
ON CONFLICT (session_id) DO UPDATE
SET active_at = EXCLUDED.active_at, active_by = EXCLUDED.active_by,
  utilization = EXCLUDED.utilization,
  warned = i.warned - CAST(:unwarned AS text[])
""")

# What was found of a session that was used meanwhile is not kept, and nobody is warned by it.
_WRITE: Final = sa.text("""
WITH written AS (
  INSERT INTO session_idleness AS i (session_id, active_at, active_by, utilization, warned, checks)
  SELECT x.id, x.active_at, x.active_by, x.utilization, x.warned, x.checks
  FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x(id uuid, active_at timestamptz,
    active_by text, utilization jsonb, warned jsonb, checks jsonb)
  ORDER BY x.id
  ON CONFLICT (session_id) DO UPDATE
  SET utilization = EXCLUDED.utilization, warned = EXCLUDED.warned, checks = EXCLUDED.checks
  WHERE i.active_at IS NOT DISTINCT FROM EXCLUDED.active_at
  RETURNING i.session_id
), announced AS (
  INSERT INTO outbox (session_id, name, payload, created_at)
  SELECT x.session_id, x.name, x.payload, :now
  FROM jsonb_to_recordset(CAST(:outbox AS jsonb)) AS x(
    session_id uuid, name text, payload jsonb, place bigint)
  JOIN written USING (session_id) ORDER BY x.place
)
SELECT count(pg_notify(:channel, hint)) FROM unnest(CAST(:hints AS text[])) AS hint
""")
_FORGET: Final = sa.text(f"""
DELETE FROM session_idleness AS i
WHERE NOT EXISTS (
  SELECT FROM sessions AS s WHERE s.id = i.session_id AND s.status NOT IN ({_FINAL_WORDS}))
""")  # noqa: S608


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be kept of a case; `warnings` are the data of events."""

    case: Case
    warned: Mapping[Checker, Warned]
    checks: Mapping[str, Any]
    warnings: Sequence[Mapping[str, Any]] = ()


async def load_page(
    conn: AsyncConnection, rules: Rules, now: datetime, after: uuid.UUID | None = None
) -> list[Case]:
    """The next `PAGE_CASES` running sessions that have a limit, by their policy or by `rules`.

    Also those that had one, so that what was found of them can be taken back. They are in the
    order of their ids, so that who comes or goes between two pages moves nobody.
    """
    values = {**_of_rules(rules), "after": after or _BEFORE_ALL, "limit": PAGE_CASES}
    rows = (await conn.execute(_PAGE, values)).all()
    return await asyncio.to_thread(lambda: [_case(row, now) for row in rows])


async def find_case(
    conn: AsyncConnection, rules: Rules, now: datetime, session_id: uuid.UUID
) -> Case | None:
    """That session, where a page would have it."""
    values = {**_of_rules(rules), "session_id": session_id}
    row = (await conn.execute(_ONE, values)).first()
    return None if row is None else _case(row, now)


async def note_activity(
    conn: AsyncConnection, latest: Mapping[uuid.UUID, tuple[datetime, str]]
) -> None:
    """Keep when each session was last used, and how."""
    rows = [
        {"id": str(key), "active_at": at.isoformat(), "active_by": what}
        for key, (at, what) in latest.items()
    ]
    await conn.execute(_NOTE, {"rows": json.dumps(rows)})


async def extend(conn: AsyncConnection, session_id: uuid.UUID, now: datetime) -> None:
    """Let everything begin anew that is not the session's lifetime."""
    values = {
        "id": session_id,
        "now": now,
        "utilization": _text(Utilization(begun_at=now)),
        "unwarned": [Checker.NETWORK.value, Checker.UTILIZATION.value],
    }
    await conn.execute(_EXTEND, values)


async def write_findings(conn: AsyncConnection, findings: Sequence[Finding], now: datetime) -> None:
    """Keep what was found, and tell what is to be told."""
    told = [finding for finding in findings if finding.warnings]
    outbox = [
        {"session_id": str(finding.case.session_id), "name": _WARNING, "payload": dict(payload)}
        for finding in told
        for payload in finding.warnings
    ]
    hints = [HINT_OUTBOX, *(session_hint(finding.case.session_id) for finding in told)]
    values = {
        "rows": _text([_row(finding) for finding in findings]),
        "outbox": in_order(outbox),
        "now": now,
        "channel": NOTIFY_CHANNEL,
        "hints": hints if told else [],
    }
    await conn.execute(_WRITE, values)


async def forget_ended(conn: AsyncConnection) -> None:
    await conn.execute(_FORGET)


async def load_idle_checks(
    conn: AsyncConnection, session_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, dict[str, Any]]:
    """`idle_checks` of those of the sessions that run and were looked at."""
    found = await conn.execute(_CHECKS, {"ids": list(session_ids)})
    return {row.session_id: idle_checks(row.checks, row.now) for row in found}


def _of_rules(rules: Rules) -> dict[str, bool]:
    return {"is_limited": rules.has_own_limits, "with_use": rules.utilization is not None}


def _case(row: Any, now: datetime) -> Case:
    held = [Container(one["slots"], one["use"]) for one in row.held or ()]
    return Case(
        session_id=row.id,
        name=row.name,
        access_key=row.access_key,
        type=SessionType(row.type),
        started_at=row.started_at or row.status_changed_at,
        settled_at=row.status_changed_at,
        active_at=row.active_at,
        active_by=row.active_by or "",
        idle_timeout=row.idle_timeout,
        max_session_lifetime=row.max_session_lifetime,
        accelerators=families_of(held),
        sample=sample_of(held, now),
        utilization=_UTILIZATION.decode(row.utilization or "{}"),
        warned=msgspec.convert(row.warned or {}, dict[Checker, Warned]),
        checks=row.checks or {},
    )


def _row(finding: Finding) -> dict[str, Any]:
    case = finding.case
    return {
        "id": case.session_id,
        "active_at": case.active_at,
        "active_by": case.active_by,
        "utilization": case.utilization,
        "warned": finding.warned,
        "checks": finding.checks,
    }


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
