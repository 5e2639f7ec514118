"""Policies of keypairs, users and projects: made, changed, and removed when nobody has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from backendai.common.enums import DefaultForUnspecified
from backendai.common.faults import Conflict
from backendai.manager.accounts import fields
from backendai.manager.audit.change import Change
from backendai.manager.audit.rows import (
    NAMES_TOLD_MAX,
    Row,
    delete_row,
    insert_row,
    lock_row,
    update_row,
)
from backendai.manager.db import tables as t
from backendai.manager.idle.model import LIMIT_SECONDS_MAX

_count: Final = fields.whole(0)


@dataclass(frozen=True, slots=True, eq=False)
class PolicyKind:
    """`reads` are the fields that may be written; `holders` selects who has a policy, by the
    column `held`, and `word` is what they are called."""

    table: sa.Table
    reads: Mapping[str, fields.Read]
    word: str
    holders: sa.Select[Any]
    held: sa.ColumnElement[str]


def _pending_count(value: Any) -> int | None:
    """Below zero: no limit."""
    count: int = fields.whole(-1)(value)
    return None if count < 0 else count


def _pending_slots(value: Any) -> dict[str, str] | None:
    """Nothing named: no limit."""
    return fields.slots(value) or None


KEYPAIR: Final = PolicyKind(
    t.keypair_policies,
    {
        "default_for_unspecified": fields.choice(DefaultForUnspecified),
        "total_resource_slots": fields.slots,
        "max_session_lifetime": _count,
        "max_concurrent_sessions": _count,
        "max_pending_session_count": _pending_count,
        "max_pending_session_resource_slots": _pending_slots,
        "max_concurrent_sftp_sessions": _count,
        "max_containers_per_session": fields.whole(1),
        # Below zero: the cluster's.
        "idle_timeout": fields.whole(-1, LIMIT_SECONDS_MAX),
        "allowed_vfolder_hosts": fields.hosts,
    },
    "keypairs",
    sa.select(t.keypairs.c.access_key + " (" + t.users.c.email + ")").join(
        t.users, t.users.c.id == t.keypairs.c.user_id
    ),
    t.keypairs.c.resource_policy,
)
_FOLDERS: Final[Mapping[str, fields.Read]] = {
    "max_vfolder_count": _count,
    # Bytes; below zero: no limit.
    "max_quota_scope_size": fields.whole(-1, fields.INT8_MAX),
}
USER: Final = PolicyKind(
    t.user_policies,
    {**_FOLDERS, "max_session_count_per_model_session": _count},
    "users",
    sa.select(t.users.c.email),
    t.users.c.resource_policy,
)
PROJECT: Final = PolicyKind(
    t.project_policies,
    _FOLDERS,
    "projects",
    sa.select(t.projects.c.domain_name + "/" + t.projects.c.name),
    t.projects.c.resource_policy,
)


async def create(change: Change, kind: PolicyKind, name: str, props: Mapping[str, Any]) -> Row:
    """Raises InvalidParams and Conflict."""
    reads = {**kind.reads, "name": fields.slug}
    return await insert_row(change, kind.table, fields.read_fields({**props, "name": name}, reads))


async def modify(change: Change, kind: PolicyKind, name: str, props: Mapping[str, Any]) -> Row:
    """It holds for what is scheduled from now on. Raises InvalidParams and PolicyNotFound."""
    values = fields.read_fields(props, kind.reads)
    return await update_row(change, kind.table, {"name": name}, values)


async def delete(change: Change, kind: PolicyKind, name: str) -> None:
    """Raises PolicyNotFound, and Conflict that names who has it."""
    await lock_row(change, kind.table, {"name": name})
    everybody = kind.holders.add_columns(sa.func.count().over()).where(kind.held == name)
    statement = everybody.order_by(sa.literal_column("1")).limit(NAMES_TOLD_MAX)
    found = [tuple(row) for row in await change.connection.execute(statement)]
    if found:
        told, more = ", ".join(row[0] for row in found), found[0][1] - len(found)
        rest = f" and {more} more" if more else ""
        raise Conflict(f"Policy {name} is that of {kind.word} {told}{rest}. Give them another.")
    await delete_row(change, kind.table, {"name": name})
