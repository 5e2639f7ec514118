"""REST of sharing: invitations to folders of users, permissions of members in those of projects."""

import uuid
from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.faults import InvitationNotFound
from backendai.common.http import json_response
from backendai.common.params import checked, read_given_params
from backendai.manager.gate.routes import ACTOR, Route

from . import actions, render
from .model import Permission
from .sharing import FolderSharing

EMAILS_MAX: Final = 100
_EMAILS: Final = t.List(t.String(max_length=256), min_length=1, max_length=EMAILS_MAX)
_PERMISSION: Final = t.Enum(*(each.value for each in Permission)) & Permission
_UUID: Final = t.String(max_length=36) & checked(uuid.UUID)


def _with_emails(params: dict[str, Any]) -> dict[str, Any]:
    if "emails" not in params:
        raise ValueError("emails is missing: name whom to invite")
    return params


_INVITE: Final = t.Dict(
    t.Key("emails", optional=True, trafaret=_EMAILS),
    t.Key("user_ids", optional=True, to_name="emails", trafaret=_EMAILS),
    t.Key("permission", optional=True, trafaret=_PERMISSION),
    t.Key("perm", optional=True, to_name="permission", trafaret=_PERMISSION),
) & checked(_with_emails)
_SHARE: Final = t.Dict(
    t.Key("emails", trafaret=_EMAILS),
    t.Key("permission", optional=True, trafaret=_PERMISSION),
)
_UNSHARE: Final = t.Dict(t.Key("emails", trafaret=_EMAILS))
_ANSWER: Final = t.Dict(t.Key("inv_id", trafaret=_UUID))
_SET: Final = t.Dict(t.Key("perm", trafaret=_PERMISSION))
_LEAVE: Final = t.Dict(t.Key("shared_user_uuid", optional=True, to_name="user", trafaret=_UUID))
_SHARED: Final = t.Dict(t.Key("vfolder_id", optional=True, to_name="folder", trafaret=_UUID))
_SET_SHARED: Final = t.Dict(
    t.Key("vfolder", trafaret=_UUID),
    t.Key("user", trafaret=_UUID),
    # Without one, the share is taken away.
    t.Key("perm", optional=True, trafaret=_PERMISSION),
)


def routes(sharing: FolderSharing) -> list[Route]:
    handlers, inv, one = _Handlers(sharing), "/folders/invitations", "/folders/{folder}"
    return [
        Route("GET", f"{inv}/list", handlers.list_received, actions.READ),
        Route("GET", f"{inv}/list-sent", handlers.list_sent, actions.READ),
        Route("GET", f"{inv}/list_sent", handlers.list_sent, actions.READ),
        Route("POST", f"{inv}/update/{{inv_id}}", handlers.set_sent, actions.INVITE, _SET),
        Route("POST", f"{inv}/accept", handlers.accept, actions.ACCEPT, _ANSWER),
        Route("DELETE", f"{inv}/delete", handlers.decline, actions.DECLINE, _ANSWER),
        Route("GET", "/folders/_/shared", handlers.list_shares, actions.READ, _SHARED),
        Route("POST", "/folders/_/shared", handlers.set_share, actions.SET_SHARE, _SET_SHARED),
        Route("POST", f"{one}/invite", handlers.invite, actions.INVITE, _INVITE),
        Route("POST", f"{one}/leave", handlers.leave, actions.LEAVE, _LEAVE),
        Route("POST", f"{one}/share", handlers.share, actions.SHARE, _SHARE),
        Route("DELETE", f"{one}/unshare", handlers.unshare, actions.UNSHARE, _UNSHARE),
    ]


class _Handlers:
    def __init__(self, sharing: FolderSharing) -> None:
        self._sharing = sharing

    async def invite(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _INVITE)
        invited = await self._sharing.invite(request[ACTOR], _named(request), **params)
        return json_response({"invited_ids": invited}, status=201)

    async def list_received(self, request: web.Request) -> web.Response:
        found = await self._sharing.list_received(request[ACTOR])
        return json_response({"invitations": [render.invitation(one) for one in found]})

    async def list_sent(self, request: web.Request) -> web.Response:
        found = await self._sharing.list_sent(request[ACTOR])
        return json_response({"invitations": [render.invitation(one) for one in found]})

    async def set_sent(self, request: web.Request) -> web.Response:
        permission = (await read_given_params(request, _SET))["perm"]
        invitation_id = _id_of(request)
        await self._sharing.set_invitation(request[ACTOR], invitation_id, permission)
        return json_response({"msg": f"The invitation gives {permission.value} now."})

    async def accept(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _ANSWER)
        await self._sharing.accept(request[ACTOR], params["inv_id"])
        return json_response({})

    async def decline(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _ANSWER)
        await self._sharing.decline(request[ACTOR], params["inv_id"])
        return json_response({})

    async def leave(self, request: web.Request) -> web.Response:
        user_id = (await read_given_params(request, _LEAVE)).get("user")
        await self._sharing.leave(request[ACTOR], _named(request), user_id)
        return json_response({"msg": "The folder is not shared with this user any more."})

    async def share(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _SHARE)
        emails = await self._sharing.share(request[ACTOR], _named(request), **params)
        return json_response({"shared_emails": emails}, status=201)

    async def unshare(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _UNSHARE)
        emails = await self._sharing.unshare(request[ACTOR], _named(request), **params)
        return json_response({"unshared_emails": emails})

    async def list_shares(self, request: web.Request) -> web.Response:
        folder_id = (await read_given_params(request, _SHARED)).get("folder")
        found = await self._sharing.list_shares(request[ACTOR], folder_id)
        return json_response({"shared": [render.share(one) for one in found]})

    async def set_share(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _SET_SHARED)
        permission: Permission | None = params.get("perm")
        folder_id, user_id = str(params["vfolder"]), params["user"]
        await self._sharing.set_share(request[ACTOR], folder_id, user_id, permission)
        now = "is taken away" if permission is None else f"gives {permission.value} now"
        return json_response({"msg": f"The share {now}."})


def _named(request: web.Request) -> str:
    return request.match_info["folder"]


def _id_of(request: web.Request) -> uuid.UUID:
    """What reads as no id names no invitation."""
    text = request.match_info["inv_id"]
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InvitationNotFound(text) from None
