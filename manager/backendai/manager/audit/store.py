"""The audit log's rows: one is written in the transaction of its change, none is ever changed."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.manager.db import tables as t

from .change import Change
from .model import Entry, Target, Values, Wanted

HIDDEN: Final = "***"
_SECRET: Final = re.compile(r"(_hash|_encrypted|_token|_script|password|secret|private_key)$")
# What a pattern of SQL would take for more than itself.
_MEANT: Final = re.compile(r"[\\%_]")
_LOG: Final = t.audit_log


async def record(change: Change, target: Target, *, before: Values, after: Values) -> None:
    """Note a change; the rows functions beside this one do so by themselves."""
    is_own = change.owner.access_key == change.actor.access_key
    await change.connection.execute(
        sa.insert(_LOG).values(
            at=change.at,
            request_id=change.request_id,
            user_id=change.actor.user_id,
            email=change.actor.email,
            access_key=change.actor.access_key,
            as_email=None if is_own else change.owner.email,
            as_access_key=None if is_own else change.owner.access_key,
            action=change.action.name,
            target_kind=target.kind,
            target_id=target.id,
            domain_name=target.domain,
            before=msgspec.to_builtins(dict(before)),
            after=msgspec.to_builtins(dict(after)),
        )
    )


def shown(table: sa.Table, values: Values) -> dict[str, Any]:
    """The values as the log may show them: secrets only as set or not set. Pure."""
    return {
        name: (HIDDEN if value else None) if is_secret(table.c[name]) else value
        for name, value in values.items()
    }


def is_secret(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.LargeBinary) or _SECRET.search(column.name) is not None


async def list_entries(
    connection: AsyncConnection, wanted: Wanted, limit: int, offset: int
) -> tuple[list[Entry], int]:
    """A page, newest first, and how many there are in all."""
    where = list(_conditions(wanted))
    page = sa.select(_LOG).where(*where).order_by(_LOG.c.id.desc()).limit(limit).offset(offset)
    count = sa.select(sa.func.count()).select_from(_LOG).where(*where)
    rows: Sequence[Mapping[Any, Any]] = (await connection.execute(page)).mappings().all()
    return [_entry_of(row) for row in rows], int(await connection.scalar(count) or 0)


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    columns = {
        "action": _LOG.c.action,
        "target_kind": _LOG.c.target_kind,
        "target_id": _LOG.c.target_id,
        "email": _LOG.c.email,
        "access_key": _LOG.c.access_key,
        "domain": _LOG.c.domain_name,
        "request_id": _LOG.c.request_id,
    }
    given = {name: getattr(wanted, name) for name in columns}
    where = [_fits(columns[name], word) for name, word in given.items() if word is not None]
    if wanted.since is not None:
        where.append(_LOG.c.at >= wanted.since)
    if wanted.until is not None:
        where.append(_LOG.c.at < wanted.until)
    return where


def _fits(column: sa.Column[str], word: str) -> sa.ColumnElement[bool]:
    """A `*` stands for anything, and capitals then mean nothing; other words are exact."""
    if "*" not in word:
        return column == word
    pattern = _MEANT.sub(r"\\\g<0>", word).replace("*", "%")
    return column.ilike(pattern, escape="\\")


def _entry_of(row: Mapping[Any, Any]) -> Entry:
    plain = {
        name: row[name]
        for name in (
            "id",
            "at",
            "request_id",
            "user_id",
            "email",
            "access_key",
            "as_email",
            "as_access_key",
            "action",
            "before",
            "after",
        )
    }
    return Entry(target=Target(row["target_kind"], row["target_id"], row["domain_name"]), **plain)
