"""The second factor of users: one-time codes of a device, each good for one login."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from backendai.common.clock import Clock
from backendai.common.faults import AuthFailed, BadRequest, Forbidden, UserNotFound
from backendai.manager.audit.change import Change, Changes
from backendai.manager.audit.rows import Row, update_row
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Action, Actor, may_manage

from .attempts import Attempts
from .secretbox import SecretBox
from .totp import find_step, make_key, uri_of

ENROL: Final = Action("auth.totp.enrol")
ACTIVATE: Final = Action("auth.totp.activate")
REMOVE: Final = Action("auth.totp.remove")
_ISSUER: Final = "Backend.AI"
_NO_DEVICE: Final = {"totp_key_encrypted": None, "totp_activated_at": None, "totp_used_step": None}
_SELECT: Final = sa.select(
    t.users.c.id,
    t.users.c.email,
    t.users.c.domain_name,
    t.users.c.role,
    t.users.c.totp_key_encrypted,
    t.users.c.totp_activated_at,
    t.users.c.totp_used_step,
)


class OtpMissing(AuthFailed):
    """Clients know the words, and ask for a code then."""

    code = "auth.otp_missing"
    default_detail = "OTP not provided"


class OtpRefused(AuthFailed):
    code = "auth.otp_refused"
    default_detail = "The one-time code is not right, or was used before."


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a user's device is told once. `uri` holds the key, for a QR code."""

    key: str
    uri: str


class SecondFactor:
    """Use cases of users with a device, and what a login asks of them."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        box: SecretBox,
        attempts: Attempts,
        clock: Clock,
    ) -> None:
        self._database = database
        self._changes = changes
        self._box = box
        self._attempts = attempts
        self._clock = clock

    async def find_activation(self, actor: Actor) -> datetime | None:
        """Since when the user's logins need a code; None where they do not."""

        async def read(connection: Any) -> Row | None:
            return await _find(connection, t.users.c.id == actor.user_id)

        row = await self._database.read(read)
        return row["totp_activated_at"] if row is not None else None

    async def enrol(self, actor: Actor) -> Enrolment:
        """A new key for the user's device, in use once a code of it has come. Raises BadRequest
        where there is a device already."""
        key = make_key()
        sealed = self._box.seal(_name_of(actor.user_id), key)

        async def work(change: Change) -> None:
            row = await _get(change.connection, t.users.c.id == actor.user_id)
            if row["totp_activated_at"] is not None:
                raise BadRequest("A second factor is active already: remove it first.")
            values = {"totp_key_encrypted": sealed, "totp_used_step": None}
            await update_row(change, t.users, {"id": actor.user_id}, values)

        await self._changes.run(actor, ENROL, work)
        return Enrolment(key, uri_of(key, actor.email, _ISSUER))

    async def activate(self, actor: Actor, code: str) -> None:
        """Raises OtpRefused, BadRequest where no device was enrolled, RateLimited."""
        what = f"otp:{actor.user_id}"
        await self._attempts.begin(what)

        async def work(change: Change) -> None:
            row = await _get(change.connection, t.users.c.id == actor.user_id)
            if row["totp_key_encrypted"] is None or row["totp_activated_at"] is not None:
                raise BadRequest("There is no device that waits for its first code.")
            step = self._find_step(row, code)
            values = {"totp_activated_at": change.at, "totp_used_step": step}
            await update_row(change, t.users, {"id": actor.user_id}, values)

        await self._changes.run(actor, ACTIVATE, work)
        await self._attempts.clear(what)

    async def remove(self, actor: Actor, email: str | None, code: str | None) -> None:
        """One's own, by a code of it, or as an administrator that of somebody who lost the device.
        Raises Forbidden, UserNotFound, and as `check` does."""
        is_own = email is None or email == actor.email
        if is_own:
            await self.check(actor.user_id, code)
        whose = t.users.c.id == actor.user_id if is_own else t.users.c.email == email

        async def work(change: Change) -> None:
            row = await _get(change.connection, whose)
            if not is_own:
                _authorize(actor, row)
            if not is_own and row["id"] == actor.user_id:
                raise BadRequest("This account is your own: leave the email out and give a code.")
            await update_row(change, t.users, {"id": row["id"]}, _NO_DEVICE)

        await self._changes.run(actor, REMOVE, work)

    async def check(self, user_id: uuid.UUID, code: str | None, *, uses: bool = True) -> None:
        """Once a password was right. A code that is not used is good another time. Raises
        OtpMissing, OtpRefused and RateLimited."""

        async def read(connection: Any) -> Row:
            return await _get(connection, t.users.c.id == user_id)

        row = await self._database.read(read)
        if row["totp_activated_at"] is None:
            return
        if not code:
            raise OtpMissing
        what = f"otp:{user_id}"
        await self._attempts.begin(what)
        step = self._find_step(row, code)
        if uses:
            await self._use(user_id, step)
        await self._attempts.clear(what)

    def _find_step(self, row: Row, code: str) -> int:
        key = self._box.open(_name_of(row["id"]), bytes(row["totp_key_encrypted"]))
        step = find_step(key, code, self._clock.now().timestamp(), row["totp_used_step"])
        if step is None:
            raise OtpRefused
        return step

    async def _use(self, user_id: uuid.UUID, step: int) -> None:
        """Of two logins with the same code one comes first, and the other is refused."""
        used = t.users.c.totp_used_step
        guarded = (
            sa.update(t.users)
            .where(t.users.c.id == user_id, sa.or_(used.is_(None), used < step))
            .values(totp_used_step=step)
        )

        async def write(connection: Any) -> int:
            return int((await connection.execute(guarded)).rowcount)

        if await self._database.transact(write) == 0:
            raise OtpRefused


def _authorize(actor: Actor, row: Row) -> None:
    is_above = row["role"] == "superadmin" and not actor.is_superadmin
    if not actor.is_domain_admin or not may_manage(actor, row["domain_name"]):
        # Whether there is such a user is none of the asker's business.
        raise (
            UserNotFound
            if actor.is_domain_admin
            else Forbidden("You can only remove your own second factor.")
        )
    if is_above:
        raise Forbidden("A superadmin's second factor is removed by superadmins.")


async def _find(connection: Any, where: sa.ColumnElement[bool]) -> Row | None:
    row = (await connection.execute(_SELECT.where(where))).mappings().first()
    return dict(row) if row is not None else None


async def _get(connection: Any, where: sa.ColumnElement[bool]) -> Row:
    row = await _find(connection, where)
    if row is None:
        raise UserNotFound
    return row


def _name_of(user_id: uuid.UUID) -> str:
    """What a key is bound to, beside those of keypairs."""
    return f"totp:{user_id}"
