"""What people do with the password of their own account: log in, change it, sign up, sign out."""

import re
import secrets
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from backendai.common.clock import Clock
from backendai.common.enums import UserRole, UserStatus
from backendai.common.faults import AuthFailed, BadRequest, Conflict, Forbidden, PasswordExpired
from backendai.common.login_tokens import LoginClaims
from backendai.manager.audit.change import Change, Changes
from backendai.manager.audit.rows import Row, update_row
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Action, Actor
from backendai.manager.gate.keyring import actor_of

from . import fields
from .attempts import ADDRESS_TRIES_MAX, Attempts
from .keypairs import NewKeypair
from .login_tokens import LoginTokens
from .passwords import hash_password, verify_password
from .second_factor import SecondFactor
from .secretbox import SecretBox
from .users import Users

# Keys below config/ in etcd: whether anybody may sign up, and after how many days a password ends.
SIGN_UP_KEY: Final = "auth/signup"
PASSWORD_DAYS_KEY: Final = "auth/max_password_age"  # noqa: S105 - the name of a key
MISMATCH: Final = "User credential mismatch."
SIGN_UP: Final = Action("user.sign_up", writes=True)
SIGN_OUT: Final = Action("user.sign_out", writes=True)
CHANGE_PASSWORD: Final = Action("user.change_password", writes=True)
_DAYS: Final = re.compile(r"[1-9][0-9]{0,4}")
_NOBODY: Final = uuid.UUID(int=0)

_COLUMNS: Final = (
    "select k.access_key, k.secret_key_encrypted, k.is_admin, k.rate_limit, k.resource_policy,"
    " k.bootstrap_script, u.id as user_id, u.email, u.username, u.full_name, u.role, u.status,"
    " u.domain_name, u.main_access_key, u.password_hash, u.created_at,"
    " coalesce(u.password_changed_at, u.created_at) as password_changed_at, u.need_password_change"
    " from users u join domains d on d.name = u.domain_name and d.is_active"
    " left join lateral (select * from keypairs where user_id = u.id and is_active"
    " order by (access_key = u.main_access_key) desc nulls last, created_at limit 1) k on true"
)
_BY_NAME: Final = sa.text(
    _COLUMNS + " where u.domain_name = :domain and (u.email = :name or u.username = :name)"
    " order by (u.email = :name) desc limit 1"
)
# Providers write addresses in small letters, whoever made the account did as they liked.
_BY_EMAIL: Final = sa.text(
    _COLUMNS + " where u.domain_name = :domain and lower(u.email) = lower(:name)"
    " order by (u.email = :name) desc limit 2"
)


@dataclass(frozen=True, slots=True)
class Login:
    """Who a password belongs to, and the keypair to sign with from now on.

    `needs_change`: the password was given by somebody else, and is good for making one's own.
    """

    actor: Actor
    keypair: NewKeypair
    status: UserStatus
    password_changed_at: datetime
    needs_change: bool


class Logins:
    """Use cases of people without a keypair at hand. `find_setting` reads below config/ in etcd."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        users: Users,
        box: SecretBox,
        attempts: Attempts,
        second_factor: SecondFactor,
        tokens: LoginTokens,
        clock: Clock,
        find_setting: Callable[[str], str | None],
    ) -> None:
        self._database = database
        self._changes = changes
        self._users = users
        self._box = box
        self._attempts = attempts
        self._second_factor = second_factor
        self._tokens = tokens
        self._clock = clock
        self._find_setting = find_setting

    async def authorize(
        self, domain: str, name: str, password: str, address: str, otp: str | None = None
    ) -> Login:
        """The account with this email or user name. Raises AuthFailed (OtpMissing among them),
        PasswordExpired, RateLimited."""
        login = await self._identify(domain, name, password, address)
        expires_at = self._expiry_of(login)
        if expires_at is None or expires_at > self._clock.now():
            await self._second_factor.check(login.actor.user_id, otp)
            return login
        # The code is left for the change of the password that follows.
        await self._second_factor.check(login.actor.user_id, otp, uses=False)
        # Clients know this beginning, and ask for a new password then.
        raise PasswordExpired(f"Password expired on {expires_at.isoformat()}")

    async def authorize_token(self, domain: str, token: str) -> Login:
        """The account of whom a site that we trust has sent. What that site asked for is enough:
        no second factor is. Raises AuthFailed, StoreUnavailable."""
        claims = await self._tokens.take(token)
        row = await self._find_by_email(domain, claims.sub)
        if row is None and self._tokens.creates_users:
            await self._make_user(domain, claims)
            row = await self._find_by_email(domain, claims.sub)
        if row is None:
            raise AuthFailed(MISMATCH)
        return self._login_of(row)

    async def change_password(self, actor: Actor, old: str, new: str, address: str) -> datetime:
        """Returns when. Raises AuthFailed when `old` is wrong, InvalidParams when `new` is none."""
        checked = _check_new(new)
        await self._identify(actor.domain, actor.email, old, address)
        return await self._set_password(actor, checked)

    async def renew_password(
        self, domain: str, name: str, old: str, new: str, address: str, otp: str | None = None
    ) -> datetime:
        """Change a password, also an expired one, without a keypair. Returns when.

        Asks for as much as a login does. Raises as `change_password` and `authorize`, and
        BadRequest for a password that never expires or where nothing would change.
        """
        checked = _check_new(new)
        login = await self._identify(domain, name, old, address)
        if self._expiry_of(login) is None:
            raise BadRequest("Passwords do not expire here: sign in and change it there.")
        if old == new:
            raise BadRequest("The new password is the old one.")
        await self._second_factor.check(login.actor.user_id, otp)
        return await self._set_password(login.actor, checked)

    async def sign_up(self, address: str, email: str, props: Mapping[str, Any]) -> NewKeypair:
        """A new account for whoever asks. Raises Forbidden where that is not open, BadRequest where
        there is one already, RateLimited."""
        if self._find_setting(SIGN_UP_KEY) not in ("true", "1", "yes", "on"):
            raise Forbidden("Nobody may sign up here; an administrator makes accounts.")
        await self._attempts.begin(f"sign-up:{address}")
        newcomer = _newcomer(email, props)

        async def work(change: Change) -> NewKeypair:
            ids = await _first_project(change, newcomer.domain)
            _, keypair = await self._users.create(change, email, {**props, "group_ids": ids})
            return keypair

        try:
            return await self._changes.run(newcomer, SIGN_UP, work)
        except Conflict as fault:
            raise BadRequest(fault.detail) from None

    async def sign_out(self, actor: Actor, name: str, password: str, address: str) -> None:
        """Switch the own account off. Raises Forbidden for another's, AuthFailed, Conflict."""
        if name not in (actor.email, actor.username):
            raise Forbidden("You can only sign yourself out.")
        await self._identify(actor.domain, actor.email, password, address)
        await self._changes.run(actor, SIGN_OUT, self._users.leave)

    async def _identify(self, domain: str, name: str, password: str, address: str) -> Login:
        what, place = f"login:{domain}:{name}@{address}", f"login-from:{address}"
        await self._attempts.begin(what)
        await self._attempts.begin(place, ADDRESS_TRIES_MAX)
        row = await self._find(domain, name)
        if (
            not await verify_password(row["password_hash"] if row else None, password)
            or row is None
        ):
            raise AuthFailed(MISMATCH)
        await self._attempts.clear(what)
        await self._attempts.take_back(place)
        return self._login_of(row)

    async def _find(self, domain: str, name: str) -> Row | None:
        values = {"domain": domain, "name": name}

        async def find(connection: Any) -> Row | None:
            row = (await connection.execute(_BY_NAME, values)).mappings().first()
            return dict(row) if row is not None else None

        return await self._database.read(find)

    async def _find_by_email(self, domain: str, email: str) -> Row | None:
        """Raises AuthFailed where two accounts differ by capitals alone, and neither is it."""

        async def find(connection: Any) -> list[Row]:
            found = await connection.execute(_BY_EMAIL, {"domain": domain, "name": email})
            return [dict(row) for row in found.mappings()]

        rows = await self._database.read(find)
        if len(rows) > 1 and rows[0]["email"] != email:
            raise AuthFailed(MISMATCH)
        return rows[0] if rows else None

    async def _make_user(self, domain: str, claims: LoginClaims) -> None:
        """An account without a password that anybody knows. One that is there is left alone."""
        props = {
            "domain_name": domain,
            "username": claims.sub,
            "full_name": claims.name,
            "password": secrets.token_urlsafe(32),
        }
        newcomer = _newcomer(claims.sub, props)

        async def work(change: Change) -> None:
            ids = await _first_project(change, domain)
            await self._users.create(change, claims.sub, {**props, "group_ids": ids})

        with suppress(Conflict):
            await self._changes.run(newcomer, SIGN_UP, work)

    def _login_of(self, row: Row) -> Login:
        """Raises AuthFailed for an account that is not in use."""
        status = UserStatus(row["status"])
        if status is UserStatus.BEFORE_VERIFICATION:
            raise AuthFailed("This account is not verified yet.")
        if status is not UserStatus.ACTIVE or row["access_key"] is None:
            raise AuthFailed(MISMATCH)
        secret = self._box.open(row["access_key"], bytes(row["secret_key_encrypted"]))
        keypair = NewKeypair(row["access_key"], secret)
        changed_at, needs_change = row["password_changed_at"], row["need_password_change"]
        return Login(actor_of(row), keypair, status, changed_at, needs_change)

    async def _set_password(self, actor: Actor, new: str) -> datetime:
        hashed = await hash_password(new)

        async def work(change: Change) -> datetime:
            values = {
                "password_hash": hashed,
                "password_changed_at": change.at,
                "need_password_change": False,
            }
            await update_row(change, t.users, {"id": actor.user_id}, values)
            return change.at

        return await self._changes.run(actor, CHANGE_PASSWORD, work)

    def _expiry_of(self, login: Login) -> datetime | None:
        """When the password ends; one that was given by somebody else ended as it was given."""
        if login.needs_change:
            return login.password_changed_at
        text = self._find_setting(PASSWORD_DAYS_KEY) or ""
        if not _DAYS.fullmatch(text):
            return None
        return login.password_changed_at + timedelta(days=int(text))


def _check_new(new: str) -> str:
    """Raises InvalidParams, before anybody is asked for a code that is good once."""
    return str(
        fields.read_fields({"new_password": new}, {"new_password": fields.password})["new_password"]
    )


def _newcomer(email: str, props: Mapping[str, Any]) -> Actor:
    """Who signs up is noted by the email that was given; there is no keypair yet."""
    return Actor(
        access_key="",
        user_id=_NOBODY,
        email=email,
        username=str(props.get("username") or email),
        full_name="",
        role=UserRole.USER,
        domain=str(props["domain_name"]),
        is_admin=False,
        policy="",
        rate_limit=0,
    )


async def _first_project(change: Change, domain: str) -> list[str]:
    """The project named default, where the domain has one."""
    found = sa.select(t.projects.c.id).where(
        t.projects.c.domain_name == domain, t.projects.c.name == "default", t.projects.c.is_active
    )
    return [str(each) for each in await change.connection.scalars(found)]
