"""Which kinds a file may name, and which properties of each, in the form of files. PURE."""

import enum
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from backendai.client.resources.rows import NO_LIMIT
from backendai.common.enums import (
    DefaultForUnspecified,
    HostPermission,
    UserRole,
    UserStatus,
)
from backendai.common.slots import ResourceSlots, parse_size

# Gives a value in the one form in which two of the same meaning are equal, or raises ValueError.
Read = Callable[[Any], Any]

DEFAULT_DOMAIN: Final = "default"
_PLACE: Final = re.compile(r"[^/]+/[^/]+")


class Kind(enum.StrEnum):
    """In the order in which they need each other."""

    KEYPAIR_POLICY = "keypair-policy"
    USER_POLICY = "user-policy"
    PROJECT_POLICY = "project-policy"
    PRESET = "preset"
    DOMAIN = "domain"
    PROJECT = "project"
    RESOURCE_GROUP = "resource-group"
    USER = "user"
    KEYPAIR = "keypair"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("write a text")
    return value


def _filled(value: Any) -> str:
    if not _text(value).strip():
        raise ValueError("write a text that is not empty")
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write true or false")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("write a whole number of one or more")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("write a whole number, 0 or more")
    return value


def _limit(value: Any) -> int:
    """Zero is a limit here."""
    return NO_LIMIT if value == NO_LIMIT else _count(value)


def _size(value: Any) -> int:
    """Bytes."""
    is_sound = isinstance(value, int | str) and not isinstance(value, bool)
    if not is_sound or not (size := parse_size(value)).is_finite():
        raise ValueError('write a size, such as "64m"')
    return int(size)


def _size_limit(value: Any) -> int:
    return NO_LIMIT if value == NO_LIMIT else _size(value)


def _choice(words: type[enum.StrEnum]) -> Read:
    def read(value: Any) -> str:
        if value not in [*words]:
            raise ValueError(f"{value!r} is none of {', '.join(words)}")
        return str(value)

    return read


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        raise ValueError("write a list of texts")
    return [_text(each) for each in value]


def _set(value: Any) -> list[str]:
    return sorted(set(_texts(value)))


def _places(value: Any) -> list[str]:
    """Projects, each `domain/name`; a name alone is one of the default domain."""
    places = {each if "/" in each else f"{DEFAULT_DOMAIN}/{each}" for each in _texts(value)}
    if not all(_PLACE.fullmatch(each) for each in places):
        raise ValueError("write a list of projects, each by its domain/name")
    return sorted(places)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("write a table")
    return {name: value[name] for name in sorted(value) if value[name] is not None}


def _slots(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError('write a table of amounts, such as {cpu = "4", mem = "16g"}')
    return dict(sorted(ResourceSlots.parse(value).to_json().items()))


def _hosts(value: Any) -> dict[str, list[str]]:
    if not isinstance(value, Mapping):
        raise ValueError("write a table of lists: what is allowed on which storage host")
    allowed = _choice(HostPermission)
    return {host: sorted({allowed(each) for each in _texts(value[host])}) for host in sorted(value)}


# What an object is called by, one of them.
NAMES: Final[Mapping[Kind, Mapping[str, Read]]] = {
    Kind.KEYPAIR_POLICY: {"name": _filled},
    Kind.USER_POLICY: {"name": _filled},
    Kind.PROJECT_POLICY: {"name": _filled},
    Kind.PRESET: {"name": _filled},
    Kind.RESOURCE_GROUP: {"name": _filled},
    Kind.DOMAIN: {"name": _filled},
    Kind.PROJECT: {"name": _filled},
    Kind.USER: {"email": _filled},
    Kind.KEYPAIR: {"access-key": _filled, "user": _filled},
}
_FOLDERS: Final[Mapping[str, Read]] = {
    "max-vfolder-count": _count,
    "max-quota-scope-size": _size_limit,
}
FIELDS: Final[Mapping[Kind, Mapping[str, Read]]] = {
    Kind.KEYPAIR_POLICY: {
        "default-for-unspecified": _choice(DefaultForUnspecified),
        "total-resource-slots": _slots,
        "max-session-lifetime": _count,
        "max-concurrent-sessions": _count,
        "max-pending-session-count": _limit,
        "max-pending-session-resource-slots": _slots,
        "max-concurrent-sftp-sessions": _count,
        "max-containers-per-session": _number,
        "idle-timeout": _count,
        "allowed-vfolder-hosts": _hosts,
    },
    Kind.USER_POLICY: {**_FOLDERS, "max-session-count-per-model-session": _count},
    Kind.PROJECT_POLICY: _FOLDERS,
    Kind.PRESET: {"resource-slots": _slots, "shared-memory": _size},
    # Its proxy's token is a secret, and whose keypairs it is open to cannot be asked.
    Kind.RESOURCE_GROUP: {
        "description": _text,
        "is-active": _flag,
        "is-public": _flag,
        "scheduler-opts": _object,
        "wsproxy-addr": _text,
        "domains": _set,
        "projects": _places,
    },
    Kind.DOMAIN: {
        "description": _text,
        "is-active": _flag,
        "total-resource-slots": _slots,
        "allowed-vfolder-hosts": _hosts,
        "allowed-docker-registries": _texts,
        "integration-id": _text,
    },
    Kind.PROJECT: {
        "domain": _filled,
        "description": _text,
        "is-active": _flag,
        "resource-policy": _filled,
        "total-resource-slots": _slots,
        "allowed-vfolder-hosts": _hosts,
        "integration-id": _text,
    },
    Kind.USER: {
        "username": _filled,
        "full-name": _text,
        "description": _text,
        "role": _choice(UserRole),
        "status": _choice(UserStatus),
        "domain": _filled,
        "projects": _set,
        "administers": _set,
        "resource-policy": _filled,
        "need-password-change": _flag,
        "sudo-session-enabled": _flag,
        "allowed-client-ip": _texts,
    },
    # Whether it is an administrator's follows the role of its user.
    Kind.KEYPAIR: {"is-active": _flag, "resource-policy": _filled, "rate-limit": _number},
}
# Whose policies are of which kind.
POLICIES: Final[Mapping[Kind, Kind]] = {
    Kind.PROJECT: Kind.PROJECT_POLICY,
    Kind.USER: Kind.USER_POLICY,
    Kind.KEYPAIR: Kind.KEYPAIR_POLICY,
}
SECRETS: Final[Mapping[Kind, Mapping[str, Read]]] = {
    Kind.USER: {"password-env": _filled, "generate-password": _flag}
}


def canonical(kind: Kind, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Present properties, by the names of rows, under the names and in the form of files. What
    was never set counts as the empty value of its sort."""
    return {
        name: _canonical(read, facts.get(name.replace("-", "_")))
        for name, read in FIELDS[kind].items()
    }


def _canonical(read: Read, value: Any) -> Any:
    if value is None:
        return _EMPTY.get(read)
    try:
        return read(value)
    except ValueError:
        # A server may keep what no file may say; it differs from whatever is wanted.
        return value


_EMPTY: Final[Mapping[Read, Any]] = {
    _text: "",
    _texts: [],
    _set: [],
    _places: [],
    _flag: False,
    _slots: {},
    _limit: NO_LIMIT,
    _size: 0,
}
