"""REST of one's own account: log in with a password, change it, sign up and out, SSH keys."""

from collections.abc import Callable
from typing import Final

import trafaret as t
from aiohttp import web

from backendai.common.faults import Forbidden
from backendai.common.http import json_response
from backendai.common.login_tokens import TOKEN_CHARS_MAX
from backendai.common.params import check_params, read_params, read_raw_params
from backendai.common.web_logins import PASSWORD_AT_HEADER
from backendai.manager.audit.change import Change, Changes
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Access, Action
from backendai.manager.gate.routes import ACTOR, Route

from . import fields
from .keypairs import find_ssh_public
from .logins import Logins
from .service import Accounts
from .sshkeys import SshKeypair, make_ssh_keypair, read_ssh_keypair

AUTHORIZE: Final = Action("auth.authorize", Access.OPEN)
SIGN_UP: Final = Action("auth.sign_up", Access.OPEN, writes=True)
RENEW: Final = Action("auth.renew_password", Access.OPEN, writes=True)
# What concerns the own account alone is open to monitors too.
SIGN_OUT: Final = Action("auth.sign_out")
PASSWORD: Final = Action("auth.password")
FULL_NAME: Final = Action("auth.full_name")
SSH_READ: Final = Action("auth.ssh.read")
SSH_WRITE: Final = Action("auth.ssh.write")

_NAME: Final = t.String(max_length=fields.NAME_CHARS_MAX)
_PASSWORD: Final = t.String(max_length=1024)
_TEXT: Final = t.String(allow_blank=True, max_length=fields.TEXT_CHARS_MAX)
_OTP: Final = t.Key("otp", optional=True, trafaret=t.String(allow_blank=True, max_length=16))
_AUTHORIZE: Final = t.Dict(
    t.Key("type", trafaret=t.Enum("keypair")),
    t.Key("domain", trafaret=_NAME),
    t.Key("username", trafaret=_NAME),
    t.Key("password", trafaret=_PASSWORD),
    _OTP,
).ignore_extra("*")
_BY_TOKEN: Final = t.Dict(
    t.Key("type", trafaret=t.Enum("token")),
    t.Key("domain", trafaret=_NAME),
    t.Key("token", trafaret=t.String(max_length=TOKEN_CHARS_MAX)),
).ignore_extra("*")
_UPDATE: Final = t.Dict(
    t.Key("old_password", trafaret=_PASSWORD),
    t.Key("new_password", trafaret=_PASSWORD),
    t.Key("new_password2", trafaret=_PASSWORD),
)
_RENEW: Final = t.Dict(
    t.Key("domain", trafaret=_NAME),
    t.Key("username", trafaret=_NAME),
    t.Key("current_password", trafaret=_PASSWORD),
    t.Key("new_password", trafaret=_PASSWORD),
    _OTP,
)
_SIGN_UP: Final = t.Dict(
    t.Key("domain", optional=True, default="default", to_name="domain_name", trafaret=_NAME),
    t.Key("email", trafaret=_NAME),
    t.Key("password", trafaret=_PASSWORD),
    t.Key("username", optional=True, trafaret=_NAME),
    t.Key("full_name", optional=True, trafaret=_TEXT),
    t.Key("description", optional=True, trafaret=_TEXT),
).ignore_extra("*")
_SIGN_OUT: Final = t.Dict(
    t.Key("email", optional=True, to_name="name", trafaret=_NAME),
    t.Key("username", optional=True, to_name="name", trafaret=_NAME),
    t.Key("password", trafaret=_PASSWORD),
)
_FULL_NAME: Final = t.Dict(t.Key("email", trafaret=_NAME), t.Key("full_name", trafaret=_TEXT))
_SSH: Final = t.Dict(t.Key("pubkey", trafaret=_TEXT), t.Key("privkey", trafaret=_TEXT))


def routes(
    database: Database,
    changes: Changes,
    logins: Logins,
    accounts: Accounts,
    address_of: Callable[[web.Request], str],
) -> list[Route]:
    """`address_of` tells whose request it is, also through proxies."""
    handlers = _Handlers(database, changes, logins, accounts, address_of)
    return [
        Route("POST", "/auth/authorize", handlers.authorize, AUTHORIZE, _AUTHORIZE),
        Route("POST", "/auth/signup", handlers.sign_up, SIGN_UP, _SIGN_UP),
        Route("POST", "/auth/signout", handlers.sign_out, SIGN_OUT, _SIGN_OUT),
        Route("POST", "/auth/update-password", handlers.update_password, PASSWORD, _UPDATE),
        Route("POST", "/auth/update-password-no-auth", handlers.renew_password, RENEW, _RENEW),
        Route("POST", "/auth/update-full-name", handlers.update_full_name, FULL_NAME, _FULL_NAME),
        Route("GET", "/auth/ssh-keypair", handlers.get_ssh, SSH_READ),
        Route("PATCH", "/auth/ssh-keypair", handlers.renew_ssh, SSH_WRITE),
        Route("POST", "/auth/ssh-keypair", handlers.put_ssh, SSH_WRITE, _SSH),
    ]


class _Handlers:
    def __init__(
        self,
        database: Database,
        changes: Changes,
        logins: Logins,
        accounts: Accounts,
        address_of: Callable[[web.Request], str],
    ) -> None:
        self._database = database
        self._changes = changes
        self._logins = logins
        self._address_of = address_of
        self._users, self._keypairs = accounts.users, accounts.keypairs

    async def authorize(self, request: web.Request) -> web.Response:
        raw = await read_raw_params(request)
        if raw.get("type") == "token":
            params = check_params(raw, _BY_TOKEN)
            login = await self._logins.authorize_token(params["domain"], params["token"])
        else:
            params = check_params(raw, _AUTHORIZE)
            login = await self._logins.authorize(
                params["domain"],
                params["username"],
                params["password"],
                self._address_of(request),
                params.get("otp"),
            )
        data = {
            "access_key": login.keypair.access_key,
            "secret_key": login.keypair.secret_key,
            "role": login.actor.role.value,
            "status": login.status.value,
            "password_changed_at": login.password_changed_at.isoformat(),
        }
        return json_response({"data": data})

    async def sign_up(self, request: web.Request) -> web.Response:
        params = await read_params(request, _SIGN_UP)
        email = params.pop("email")
        made = await self._logins.sign_up(self._address_of(request), email, params)
        keys = {"access_key": made.access_key, "secret_key": made.secret_key}
        return json_response(keys, 201)

    async def sign_out(self, request: web.Request) -> web.Response:
        params = await read_params(request, _SIGN_OUT)
        name, address = params.get("name", ""), self._address_of(request)
        await self._logins.sign_out(request[ACTOR], name, params["password"], address)
        return json_response({})

    async def update_password(self, request: web.Request) -> web.Response:
        params = await read_params(request, _UPDATE)
        if params["new_password"] != params["new_password2"]:
            return json_response({"error_msg": "new password mismatch"}, 400)
        at = await self._logins.change_password(
            request[ACTOR],
            params["old_password"],
            params["new_password"],
            self._address_of(request),
        )
        return json_response({}, headers={PASSWORD_AT_HEADER: at.isoformat()})

    async def renew_password(self, request: web.Request) -> web.Response:
        params = await read_params(request, _RENEW)
        at = await self._logins.renew_password(
            params["domain"],
            params["username"],
            params["current_password"],
            params["new_password"],
            self._address_of(request),
            params.get("otp"),
        )
        return json_response({"password_changed_at": at.isoformat()}, 201)

    async def update_full_name(self, request: web.Request) -> web.Response:
        params, actor = await read_params(request, _FULL_NAME), request[ACTOR]
        if params["email"] != actor.email:
            raise Forbidden("You can only change your own name.")
        full_name = params["full_name"]
        await self._changes.run(
            actor, FULL_NAME, lambda change: self._users.set_full_name(change, full_name)
        )
        return json_response({})

    async def get_ssh(self, request: web.Request) -> web.Response:
        own = request[ACTOR].access_key
        public = await self._database.read(lambda connection: find_ssh_public(connection, own))
        return json_response({"ssh_public_key": public or ""})

    async def renew_ssh(self, request: web.Request) -> web.Response:
        return await self._set_ssh(request, make_ssh_keypair())

    async def put_ssh(self, request: web.Request) -> web.Response:
        params = await read_params(request, _SSH)
        return await self._set_ssh(request, read_ssh_keypair(params["pubkey"], params["privkey"]))

    async def _set_ssh(self, request: web.Request, made: SshKeypair) -> web.Response:
        """The private half is shown now and never again."""
        actor = request[ACTOR]

        async def work(change: Change) -> None:
            await self._keypairs.set_ssh(change, actor.access_key, made)

        await self._changes.run(actor, SSH_WRITE, work)
        return json_response({"ssh_public_key": made.public, "ssh_private_key": made.private})
