"""Keypairs: made, changed, and removed. A secret key is shown once, when it is made."""

import contextlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.faults import Conflict
from backendai.common.ids import IdSource, new_access_key, new_secret_key
from backendai.manager.audit.change import Change
from backendai.manager.audit.rows import Row, delete_row, insert_row, lock_row, update_row
from backendai.manager.db import tables as t

from . import fields
from .erasure import erase_referrers, refuse_while_live
from .secretbox import SecretBox
from .sshkeys import SshKeypair
from .survival import keep_a_superadmin, refuse_self

DEFAULT_POLICY: Final = "default"
DEFAULT_RATE_LIMIT: Final = 10_000
_FIELDS: Final[Mapping[str, fields.Read]] = {
    "is_active": fields.flag,
    "is_admin": fields.flag,
    "resource_policy": fields.line,
    "rate_limit": fields.rate_limit,
}


@dataclass(frozen=True, slots=True)
class NewKeypair:
    """The only moment in which a secret key is in clear."""

    access_key: str
    secret_key: str = field(repr=False)


class Keypairs:
    """Use cases on keypairs. They raise InvalidParams, UserNotFound, KeypairNotFound, Conflict."""

    def __init__(self, ids: IdSource, box: SecretBox) -> None:
        self._ids = ids
        self._box = box

    async def create(self, change: Change, owner: str, props: Mapping[str, Any]) -> NewKeypair:
        """One more for the user with this email or id."""
        values = fields.read_fields(props, _FIELDS)
        user = await lock_row(change, t.users, user_key(owner))
        return await self.create_of(change, user, values)

    async def create_of(self, change: Change, user: Row, values: Row) -> NewKeypair:
        """One more for a user whose row was read in this change."""
        made = NewKeypair(new_access_key(self._ids), new_secret_key(self._ids))
        row = {
            "resource_policy": DEFAULT_POLICY,
            "rate_limit": DEFAULT_RATE_LIMIT,
            **values,
            "access_key": made.access_key,
            "secret_key_encrypted": self._box.seal(made.access_key, made.secret_key),
            "user_id": user["id"],
        }
        await insert_row(change, t.keypairs, row, domain=user["domain_name"])
        return made

    async def modify(self, change: Change, access_key: str, props: Mapping[str, Any]) -> Row:
        values = fields.read_fields(props, _FIELDS)
        if not values.get("is_active", True):
            _refuse_own_key(change, access_key, "deactivate the keypair of")
        user, _ = await self._lock(change, access_key)
        key, domain = {"access_key": access_key}, user["domain_name"]
        row = await update_row(change, t.keypairs, key, values, domain=domain)
        await keep_a_superadmin(change)
        return row

    async def delete(self, change: Change, access_key: str) -> None:
        """Remove it for good. The record of its sessions goes over to another keypair of the user;
        refused while sessions are not over, and for the main one."""
        _refuse_own_key(change, access_key, "delete the keypair of")
        user, _ = await self._lock(change, access_key)
        if user["main_access_key"] == access_key:
            raise Conflict(
                f"{access_key} is the main keypair of {user['email']}:"
                " choose another with modify_user(main_access_key) first."
            )
        of_key = t.sessions.c.access_key == access_key
        await refuse_while_live(change, of_key, f"keypair {access_key}")
        moved = await _hand_sessions_over(change, user, access_key)
        erased = await erase_referrers(change, t.keypairs, t.keypairs.c.access_key == access_key)
        key, domain = {"access_key": access_key}, user["domain_name"]
        await delete_row(
            change, t.keypairs, key, domain=domain, erased=erased, sessions_moved=moved
        )
        await keep_a_superadmin(change)

    async def set_ssh(self, change: Change, access_key: str, made: SshKeypair) -> None:
        """Replace the SSH key pair that goes with a keypair."""
        sealed = self._box.seal(f"ssh:{access_key}", made.private)
        values = {"ssh_public_key": made.public, "ssh_private_key_encrypted": sealed}
        key, domain = {"access_key": access_key}, change.actor.domain
        await update_row(change, t.keypairs, key, values, domain=domain)

    async def _lock(self, change: Change, access_key: str) -> tuple[Row, Row]:
        """The user and the keypair, locked in this order, as everybody does."""
        owner = sa.select(t.keypairs.c.user_id).where(t.keypairs.c.access_key == access_key)
        user_id = await change.connection.scalar(owner)
        user = await lock_row(change, t.users, {"id": user_id}) if user_id else {}
        return user, await lock_row(change, t.keypairs, {"access_key": access_key})


async def find_ssh_public(connection: AsyncConnection, access_key: str) -> str | None:
    """The public half of the SSH key pair that goes with a keypair, where it has one."""
    column = t.keypairs.c.ssh_public_key
    found = sa.select(column).where(t.keypairs.c.access_key == access_key)
    return (await connection.execute(found)).scalar()


def user_key(reference: str) -> Row:
    """The key of a user by email or id. Pure."""
    with contextlib.suppress(ValueError):
        return {"id": uuid.UUID(reference)}
    return {"email": reference}


def _refuse_own_key(change: Change, access_key: str, what: str) -> None:
    refuse_self(access_key == change.actor.access_key, what)


async def _hand_sessions_over(change: Change, user: Row, access_key: str) -> int:
    """Give ended sessions to the user's main keypair, or any other one. Returns how many."""
    of_key = t.sessions.c.access_key == access_key
    if await change.connection.scalar(sa.select(sa.literal(1)).where(of_key).limit(1)) is None:
        return 0
    others = (
        sa.select(t.keypairs.c.access_key)
        .where(t.keypairs.c.user_id == user["id"], t.keypairs.c.access_key != access_key)
        .order_by((t.keypairs.c.access_key == user["main_access_key"]).desc().nulls_last())
    )
    heir = await change.connection.scalar(others.limit(1))
    if heir is None:
        raise Conflict(
            f"{access_key} is the only keypair of {user['email']}, and the record of sessions"
            " hangs on it: deactivate it, create another one first, or purge the user."
        )
    moved = sa.update(t.sessions).where(of_key).values(access_key=heir)
    return (await change.connection.execute(moved)).rowcount
