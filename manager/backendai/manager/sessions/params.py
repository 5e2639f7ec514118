"""Reads the bodies of session requests: every spelling that clients use, every fault at once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import trafaret as t

from backendai.common.contracts.agent import MOUNTS_MAX
from backendai.common.enums import ClusterMode, SessionType
from backendai.common.faults import InvalidParams
from backendai.common.mounts import TARGET_CHARS_MAX
from backendai.common.params import check_params, checked, without_nulls

from . import names
from .model import SessionRequest
from .mounts import read_wishes

CLUSTER_SIZE_MAX: Final = 256
WAIT_SECONDS_MAX: Final = 7 * 24 * 3600
_TEXT_CHARS_MAX: Final = 256
_COMMAND_CHARS_MAX: Final = 64 * 1024

_ALIASES: Final[Mapping[str, str]] = {
    "session_name": "name",
    "clientSessionToken": "name",
    "lang": "image",
    "arch": "architecture",
    "sessionType": "type",
    "session_type": "type",
    "groupName": "group",
    "group_name": "group",
    "project": "group",
    "domainName": "domain",
    "domain_name": "domain",
    "cluster_size": "clusterSize",
    "cluster_mode": "clusterMode",
    "enqueue_only": "enqueueOnly",
    "max_wait_seconds": "maxWaitSeconds",
    "startsAt": "starts_at",
    "reuse": "reuseIfExists",
    "reuse_if_exists": "reuseIfExists",
    "startup_command": "startupCommand",
    "bootstrapScript": "bootstrap_script",
    "callbackUrl": "callback_url",
    "callbackURL": "callback_url",
    "ownerAccessKey": "owner_access_key",
}
_CONFIG_ALIASES: Final[Mapping[str, str]] = {
    "mountIds": "mount_ids",
    "mountMap": "mount_map",
    "mountIdMap": "mount_id_map",
    "mountOptions": "mount_options",
    "resourceOpts": "resource_opts",
    "scaling_group": "scalingGroup",
    "resource_group": "scalingGroup",
    "preopenPorts": "preopen_ports",
    "agent_list": "agentList",
}


def _text(chars_max: int = _TEXT_CHARS_MAX) -> Any:
    return t.String(allow_blank=True, max_length=chars_max)


def _optional(name: str, trafaret: Any) -> Any:
    """A key that may be absent; nulls were taken out before, they mean the same."""
    return t.Key(name, optional=True, trafaret=trafaret)


_CONFIG: Final = t.Dict(
    _optional("mounts", t.List(_text(), max_length=MOUNTS_MAX)),
    _optional("mount_ids", t.List(_text(64), max_length=MOUNTS_MAX)),
    _optional("mount_map", t.Mapping(_text(), _text(TARGET_CHARS_MAX))),
    _optional("mount_id_map", t.Mapping(_text(64), _text(TARGET_CHARS_MAX))),
    _optional("mount_options", t.Mapping(_text(), t.Any)),
    _optional("environ", t.Mapping(_text(65536), _text(262144)) & checked(names.check_environ)),
    _optional("resources", t.Mapping(_text(64), t.Any)),
    _optional("resource_opts", t.Mapping(_text(64), t.Any)),
    _optional("scalingGroup", _text(64)),
    _optional("preopen_ports", t.List(t.Any) & checked(names.check_ports)),
    _optional("agentList", t.List(_text(), max_length=CLUSTER_SIZE_MAX)),
)
CREATE: Final = t.Dict(
    t.Key("name", trafaret=t.String & checked(names.check_name)),
    t.Key("image", trafaret=t.String & checked(names.check_image_name)),
    _optional("architecture", t.Regexp(r"[A-Za-z0-9_]{1,32}\Z")),
    _optional("type", t.Enum(*[word.value for word in SessionType])),
    _optional("group", _text(64)),
    _optional("domain", _text(64)),
    _optional("clusterSize", t.Int(gte=1, lte=CLUSTER_SIZE_MAX)),
    _optional("clusterMode", t.Enum(*[word.value for word in ClusterMode])),
    _optional("tag", _text(64)),
    _optional("priority", t.Int(gte=0, lte=100)),
    _optional("enqueueOnly", t.Bool()),
    _optional("maxWaitSeconds", t.Int(gte=0, lte=WAIT_SECONDS_MAX)),
    _optional("starts_at", _text(64)),
    _optional("reuseIfExists", t.Bool()),
    _optional("startupCommand", _text(_COMMAND_CHARS_MAX)),
    _optional("bootstrap_script", t.String(allow_blank=True) & checked(names.check_script)),
    _optional("dependencies", t.List(_text(64), max_length=64)),
    _optional("callback_url", t.String & checked(names.check_callback)),
    _optional("owner_access_key", _text(64)),
    _optional("config", _CONFIG),
)
_FIELDS: Final[Mapping[str, str]] = {
    "name": "name",
    "image": "image",
    "architecture": "architecture",
    "group": "project",
    "domain": "domain",
    "clusterSize": "cluster_size",
    "tag": "tag",
    "priority": "priority",
    "enqueueOnly": "enqueue_only",
    "maxWaitSeconds": "wait_seconds_max",
    "reuseIfExists": "reuse",
    "startupCommand": "startup_command",
    "bootstrap_script": "bootstrap_script",
    "callback_url": "callback_url",
    "owner_access_key": "owner_access_key",
}
_CONFIG_FIELDS: Final[Mapping[str, str]] = {
    "environ": "environ",
    "resources": "resources",
    "resource_opts": "resource_opts",
    "scalingGroup": "resource_group",
    "preopen_ports": "preopen_ports",
}


def read_session_request(body: Mapping[str, Any], now: datetime) -> SessionRequest:
    """The request that a body of `POST /session` makes. Raises InvalidParams."""
    given = check_params(canonical_body(body), CREATE)
    config = given.pop("config", {})
    fields = {ours: given[wire] for wire, ours in _FIELDS.items() if wire in given}
    fields |= {ours: config[wire] for wire, ours in _CONFIG_FIELDS.items() if wire in config}
    if "starts_at" in given:
        fields["starts_at"] = _start_of(given["starts_at"], now)
    request = SessionRequest(
        **fields,
        type=SessionType(given.get("type", SessionType.INTERACTIVE)),
        cluster_mode=ClusterMode(given.get("clusterMode", ClusterMode.SINGLE_NODE)),
        dependencies=tuple(dict.fromkeys(given.get("dependencies", ()))),
        mounts=read_wishes(config),
        agents=tuple(config.get("agentList", ())),
    )
    _refuse_contradictions(request)
    return request


def canonical_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """A body with canonical keys and without nulls, otherwise unchecked."""
    config = body.get("config")
    if isinstance(config, dict):
        body = {**body, "config": _renamed(config, _CONFIG_ALIASES)}
    return _renamed(body, _ALIASES)


def _refuse_contradictions(request: SessionRequest) -> None:
    problems = {}
    if request.type is SessionType.BATCH and not (request.startup_command or "").strip():
        problems["startupCommand"] = "a batch session needs the command to run"
    if request.type is not SessionType.BATCH and request.starts_at is not None:
        problems["starts_at"] = "only a batch session can be given a start time"
    if problems:
        raise InvalidParams(facts=problems)


def _start_of(text: str, now: datetime) -> datetime:
    try:
        return names.parse_start(text, now)
    except ValueError as error:
        raise InvalidParams(facts={"starts_at": str(error)}) from None


def _renamed(values: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    """With canonical keys and without nulls; of two spellings the canonical one counts."""
    given = without_nulls(values)
    renamed = {aliases[key]: value for key, value in given.items() if key in aliases}
    return renamed | {key: value for key, value in given.items() if key not in aliases}
