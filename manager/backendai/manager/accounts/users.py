"""Users: made with their first keypair, changed, switched off, and removed for good."""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from backendai.common.enums import UserRole, UserStatus
from backendai.common.faults import InvalidParams
from backendai.common.ids import IdSource
from backendai.common.params import without_nulls
from backendai.manager.audit.change import Change
from backendai.manager.audit.rows import Row, delete_row, insert_row, lock_row, update_row
from backendai.manager.db import tables as t
from backendai.manager.images.changes import forget_all_of
from backendai.manager.vfolders.leaving import follow_domain, release_folders

from . import fields, members
from .erasure import erase_referrers, refuse_while_live
from .keypairs import Keypairs, NewKeypair
from .passwords import hash_password
from .survival import keep_a_superadmin, refuse_self

BY_ADMIN: Final = "admin-requested"
BY_OWNER: Final = "user-requested"
_ADMINS: Final = (UserRole.SUPERADMIN.value, UserRole.ADMIN.value)
_ACTIVE: Final = UserStatus.ACTIVE.value
_FIELDS: Final[Mapping[str, fields.Read]] = {
    "username": fields.filled_line,
    "password": fields.password,
    "need_password_change": fields.flag,
    "full_name": fields.line,
    "description": fields.text,
    "status": fields.choice(UserStatus),
    "domain_name": fields.line,
    "role": fields.choice(UserRole),
    "allowed_client_ip": fields.networks,
    "resource_policy": fields.line,
    "sudo_session_enabled": fields.flag,
    "main_access_key": fields.line,
}
_CONTAINER_USER: Final = "whom containers run as is not chosen by user here"
_NOT_OFFERED: Final[Mapping[str, str]] = {
    "totp_activated": "each user switches it on with a device",
    "container_uid": _CONTAINER_USER,
    "container_main_gid": _CONTAINER_USER,
    "container_gids": _CONTAINER_USER,
}
_DEFAULTS: Final[Mapping[str, str]] = {
    "role": UserRole.USER.value,
    "status": _ACTIVE,
    "domain_name": "default",
    "resource_policy": "default",
}


class Users:
    """Use cases on users. They raise InvalidParams, UserNotFound, Conflict, and Forbidden where
    somebody would lock himself out."""

    def __init__(self, ids: IdSource, keypairs: Keypairs) -> None:
        self._ids = ids
        self._keypairs = keypairs

    async def create(
        self, change: Change, email: str, props: Mapping[str, Any]
    ) -> tuple[Row, NewKeypair]:
        """A user with a keypair, the main one. Without a name the email serves as one."""
        given = {**_DEFAULTS, "username": email, **without_nulls(props), "email": email}
        values = await _read(given, change)
        if props.get("is_active") is False and values["status"] == _ACTIVE:
            values["status"] = UserStatus.INACTIVE.value
        user = await insert_row(change, t.users, {**values, "id": self._ids.uuid()})
        keypair = await self._keypairs.create_of(
            change, user, {"is_active": user["status"] == _ACTIVE, "is_admin": _is_admin(user)}
        )
        main = {"main_access_key": keypair.access_key}
        user = await update_row(change, t.users, {"id": user["id"]}, main)
        await members.join(
            change, user, members.read_ids("group_ids", props.get("group_ids") or [])
        )
        return user, keypair

    async def modify(self, change: Change, email: str, props: Mapping[str, Any]) -> Row:
        """`group_ids` replaces the projects; another domain empties them; a role goes over to the
        keypairs; `main_access_key` is one of the user's own."""
        before = await lock_row(change, t.users, {"email": email})
        given = without_nulls(props)
        if "status" not in given and "is_active" in given:
            given["status"] = _ACTIVE if given["is_active"] else UserStatus.INACTIVE.value
        values = await _read(given, change)
        is_self = before["id"] == change.actor.user_id
        refuse_self(is_self and values.get("status", _ACTIVE) != _ACTIVE, "deactivate")
        refuse_self(is_self and values.get("role", before["role"]) != before["role"], "demote")
        if "main_access_key" in values:
            await _check_main(change, before, values["main_access_key"])
        user = await update_row(change, t.users, {"id": before["id"]}, values)
        await self._follow(change, before, user, given.get("group_ids"))
        await keep_a_superadmin(change)
        return user

    async def delete(self, change: Change, email: str) -> None:
        """Switch the account and its keypairs off; everything is kept."""
        user = await lock_row(change, t.users, {"email": email})
        refuse_self(user["id"] == change.actor.user_id, "delete")
        await _switch_off(change, user, UserStatus.DELETED, BY_ADMIN)

    async def leave(self, change: Change) -> None:
        """Switch the own account and its keypairs off, at the wish of its owner."""
        user = await lock_row(change, t.users, {"id": change.actor.user_id})
        await _switch_off(change, user, UserStatus.INACTIVE, BY_OWNER)

    async def set_full_name(self, change: Change, full_name: str) -> None:
        """Change the own full name."""
        values = fields.read_fields({"full_name": full_name}, _FIELDS)
        await update_row(change, t.users, {"id": change.actor.user_id}, values)

    async def purge(self, change: Change, email: str, *, with_shared: bool = True) -> None:
        """Remove a user for good, with keypairs, folders, custom images and the record of sessions.
        Refuses while some are not over, and without `with_shared` while others have a share of a
        folder. Sessions that the user made for others stay theirs."""
        user = await lock_row(change, t.users, {"email": email})
        refuse_self(user["id"] == change.actor.user_id, "purge")
        await refuse_while_live(change, t.sessions.c.user_id == user["id"], f"user {email}")
        await forget_all_of(change, user["id"])
        created = sa.and_(t.sessions.c.created_by == user["id"], t.sessions.c.user_id != user["id"])
        handed = sa.update(t.sessions).where(created).values(created_by=t.sessions.c.user_id)
        await change.connection.execute(handed)
        own = t.vfolders.c.user_id == user["id"]
        await release_folders(change, own, with_shared=with_shared)
        erased = await erase_referrers(change, t.users, t.users.c.id == user["id"])
        await delete_row(change, t.users, {"id": user["id"]}, erased=erased)
        await keep_a_superadmin(change)

    async def _follow(self, change: Change, before: Row, user: Row, group_ids: Any) -> None:
        """What hangs on the changed columns."""
        if group_ids is not None:
            await members.join(change, user, members.read_ids("group_ids", group_ids))
        elif user["domain_name"] != before["domain_name"]:
            await members.join(change, user, [])
        if user["domain_name"] != before["domain_name"]:
            await follow_domain(change, t.vfolders.c.user_id == user["id"], user["domain_name"])
        if user["role"] != before["role"]:
            await _set_keypairs(change, user, is_admin=_is_admin(user))


async def _read(given: Row, change: Change) -> Row:
    """The columns; the password as its hash. Raises InvalidParams."""
    wanted = {name for name, value in given.items() if value is not None and value is not False}
    if refused := {name: why for name, why in _NOT_OFFERED.items() if name in wanted}:
        raise InvalidParams("", refused)
    values = fields.read_fields(given, {"email": fields.email, **_FIELDS})
    password = values.pop("password", None)
    if password is not None:
        values["password_hash"] = await hash_password(password)
        values["password_changed_at"] = change.at
    return values


def _is_admin(user: Row) -> bool:
    return user["role"] in _ADMINS


async def _check_main(change: Change, user: Row, access_key: str) -> None:
    own = sa.select(t.keypairs.c.access_key).where(t.keypairs.c.user_id == user["id"])
    known = sorted(await change.connection.scalars(own))
    if access_key not in known:
        told = f"{access_key!r} is no keypair of {user['email']}; there are: {', '.join(known)}"
        raise InvalidParams("", {"main_access_key": told})


async def _switch_off(change: Change, user: Row, status: UserStatus, why: str) -> None:
    values = {"status": status.value, "status_info": why}
    await update_row(change, t.users, {"id": user["id"]}, values)
    await _set_keypairs(change, user, is_active=False)
    await keep_a_superadmin(change)


async def _set_keypairs(change: Change, user: Row, **values: bool) -> None:
    keys = sa.select(t.keypairs.c.access_key).where(t.keypairs.c.user_id == user["id"])
    for access_key in sorted(await change.connection.scalars(keys)):
        key = {"access_key": access_key}
        await update_row(change, t.keypairs, key, dict(values), domain=user["domain_name"])
