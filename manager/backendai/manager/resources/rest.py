"""REST of presets and of what may be used."""

from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.enums import ClusterMode
from backendai.common.http import json_response
from backendai.common.params import checked, read_given_params
from backendai.common.slots import ResourceSlots
from backendai.manager.gate.actor import Access, Action
from backendai.manager.gate.routes import ACTOR, Route
from backendai.manager.sessions.params import CLUSTER_SIZE_MAX

from .model import Offer, Preset, Verdict, Wanted
from .service import Check, Resources

READ: Final = Action("preset.read")
CHECK: Final = Action("resource.check")
CHECK_USE: Final = Action("resource.check_use", Access.SUPERADMIN)

_WANTED: Final = t.Dict(
    t.Key(
        "resources",
        to_name="slots",
        trafaret=t.Mapping(t.String(max_length=64), t.Any) & checked(ResourceSlots.parse),
    ),
    t.Key("cluster_size", optional=True, trafaret=t.Int(gte=1, lte=CLUSTER_SIZE_MAX)),
    t.Key("cluster_mode", optional=True, trafaret=t.Enum(*[word.value for word in ClusterMode])),
    t.Key("architecture", optional=True, trafaret=t.String(max_length=32)),
)
_CHECK: Final = t.Dict(
    t.Key("group", optional=True, default="default", trafaret=t.String(max_length=64)),
    t.Key("scaling_group", optional=True, trafaret=t.String(max_length=64)),
    # A session that somebody thinks of: the answer tells whether it could be placed now.
    t.Key("wanted", optional=True, trafaret=_WANTED),
)


def routes(resources: Resources) -> list[Route]:
    handlers = _Handlers(resources)
    return [
        Route("GET", "/resource/presets", handlers.presets, READ),
        Route("POST", "/resource/check-presets", handlers.check, CHECK, _CHECK),
        Route("POST", "/resource/recalculate-usage", handlers.check_use, CHECK_USE),
    ]


class _Handlers:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def presets(self, _request: web.Request) -> web.Response:
        found = await self._resources.list_presets()
        return json_response({"presets": [_preset(one) for one in found]})

    async def check(self, request: web.Request) -> web.Response:
        params = await read_given_params(request, _CHECK)
        found = await self._resources.check(
            request[ACTOR],
            params["group"],
            params.get("scaling_group"),
            _wanted(params["wanted"]) if "wanted" in params else None,
        )
        return json_response(_check(found))

    async def check_use(self, _request: web.Request) -> web.Response:
        await self._resources.check_use()
        return json_response({})


def _wanted(given: dict[str, Any]) -> Wanted:
    mode = given.pop("cluster_mode", ClusterMode.SINGLE_NODE.value)
    return Wanted(is_single_node=mode == ClusterMode.SINGLE_NODE.value, **given)


def _preset(preset: Preset) -> dict[str, Any]:
    size = preset.shared_memory
    return {
        "name": preset.name,
        "shared_memory": None if size is None else str(size),
        "resource_slots": {slot: str(amount) for slot, amount in preset.slots.items()},
    }


def _check(found: Check) -> dict[str, Any]:
    groups = {
        name: {"using": room.using, "remaining": room.remaining}
        for name, room in found.groups.items()
    }
    told = {} if found.verdict is None else {"wanted": _verdict(found.verdict)}
    return {
        **told,
        "keypair_limits": found.keypair.limits,
        "keypair_using": found.keypair.using,
        "keypair_remaining": found.keypair.remaining,
        "group_limits": found.project.limits,
        "group_using": found.project.using,
        "group_remaining": found.project.remaining,
        "scaling_group_remaining": found.all_groups,
        "scaling_groups": groups,
        "presets": [_offer(one) for one in found.offers],
    }


def _offer(offer: Offer) -> dict[str, Any]:
    return _with_reason(_preset(offer.preset), offer.reason)


def _verdict(verdict: Verdict) -> dict[str, Any]:
    """`possible` only beside a reason: a wait helps, or the session would be refused."""
    told = _with_reason({}, verdict.reason)
    return told if verdict.reason is None else {**told, "possible": verdict.is_possible}


def _with_reason(told: dict[str, Any], reason: str | None) -> dict[str, Any]:
    told = {**told, "allocatable": reason is None}
    return told if reason is None else {**told, "reason": reason}
