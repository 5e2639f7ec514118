"""What a file wants, as values. PURE.

A file names objects by kind. What it does not name, neither an object nor a property, stays as it
is. Every fault of a file is told at once, by its place.
"""

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from backendai.client.faults import BadDocument
from backendai.common.enums import UserRole, UserStatus, VFolderHostPermission
from backendai.common.slots import ResourceSlots

# Gives a value in the one form in which two of the same meaning are equal, or raises ValueError.
Read = Callable[[Any], Any]

DEFAULT_DOMAIN: Final = "default"


class Kind(enum.StrEnum):
    """In the order in which they need each other."""

    DOMAIN = "domain"
    PROJECT = "project"
    USER = "user"
    KEYPAIR = "keypair"


@dataclass(frozen=True, slots=True)
class Ref:
    """What an object is called. `scope` is the domain of a project; of a keypair that is called by
    its `user` it is "user", and `name` the email."""

    kind: Kind
    name: str
    scope: str = ""

    def __str__(self) -> str:
        if self.kind is Kind.PROJECT:
            return f"{self.name} in {self.scope}"
        return f"main one of {self.name}" if self.scope else self.name


@dataclass(frozen=True, slots=True)
class Password:
    """Where the first password of a user comes from: a variable, or None to make one."""

    variable: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object. `values` are those that the file names, in their one form; `place` says where it
    does, such as `user[2]`."""

    ref: Ref
    place: str
    values: Mapping[str, Any] = field(default_factory=dict)
    password: Password | None = None


def read_document(data: Any) -> tuple[Wanted, ...]:
    """All that is wanted, in the order in which it can be made. Raises BadDocument."""
    if not isinstance(data, Mapping):
        raise BadDocument(f"Write tables of {', '.join(Kind)}.")
    problems = {
        str(kind): f"is no kind: there are {', '.join(Kind)}"
        for kind in data
        if kind not in [*Kind]
    }
    wanted = [each for kind in Kind for each in _read_kind(kind, data.get(kind, []), problems)]
    seen: dict[Ref, str] = {}
    for each in wanted:
        if each.ref in seen:
            problems[each.place] = f"{each.ref} is named already by {seen[each.ref]}"
        seen.setdefault(each.ref, each.place)
    if problems:
        raise BadDocument(facts=problems)
    return tuple(wanted)


def _read_kind(kind: Kind, rows: Any, problems: dict[str, str]) -> Iterator[Wanted]:
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        problems[kind] = f"write a list of tables: [[{kind}]]"
        return
    for number, row in enumerate(rows, start=1):
        place = f"{kind}[{number}]"
        known = {**_NAMES[kind], **FIELDS[kind], **_SECRETS.get(kind, {})}
        found = len(problems)
        values = dict(_read_values(row, known, place, problems))
        if values.get("password-env") and values.get("generate-password"):
            problems[place] = "give password-env or generate-password, not both"
        if len(problems) == found and (ref := _read_ref(kind, values, place, problems)):
            yield _wanted(ref, place, values)


def _read_values(
    row: Mapping[str, Any], known: Mapping[str, Read], place: str, problems: dict[str, str]
) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if name not in known:
            problems[f"{place}.{name}"] = f"is not known: there are {', '.join(known)}"
            continue
        try:
            yield name, known[name](value)
        except ValueError as error:
            problems[f"{place}.{name}"] = str(error)


def _read_ref(
    kind: Kind, values: Mapping[str, Any], place: str, problems: dict[str, str]
) -> Ref | None:
    given = [name for name in _NAMES[kind] if name in values]
    if len(given) != 1:
        problems[place] = f"name it by {' or '.join(_NAMES[kind])}"
        return None
    scope = values.get("domain", DEFAULT_DOMAIN) if kind is Kind.PROJECT else ""
    return Ref(kind, values[given[0]], "user" if given == ["user"] else scope)


def _wanted(ref: Ref, place: str, values: dict[str, Any]) -> Wanted:
    """A project's domain is a part of what it is called, and nothing that could change."""
    told = {name: value for name, value in values.items() if name in FIELDS[ref.kind]}
    if ref.kind is Kind.PROJECT:
        told.pop("domain", None)
    variable, is_generated = values.get("password-env"), values.get("generate-password")
    password = Password(variable) if variable or is_generated else None
    return Wanted(ref, place, told, password)


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


def _slots(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError('write a table of amounts, such as {cpu = "4", mem = "16g"}')
    return dict(sorted(ResourceSlots.parse(value).to_json().items()))


def _hosts(value: Any) -> dict[str, list[str]]:
    if not isinstance(value, Mapping):
        raise ValueError("write a table of lists: what is allowed on which storage host")
    allowed = _choice(VFolderHostPermission)
    return {host: sorted({allowed(each) for each in _texts(value[host])}) for host in sorted(value)}


# What an object is called by, one of them.
_NAMES: Final[Mapping[Kind, Mapping[str, Read]]] = {
    Kind.DOMAIN: {"name": _filled},
    Kind.PROJECT: {"name": _filled},
    Kind.USER: {"email": _filled},
    Kind.KEYPAIR: {"access-key": _filled, "user": _filled},
}
FIELDS: Final[Mapping[Kind, Mapping[str, Read]]] = {
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
        "resource-policy": _filled,
        "need-password-change": _flag,
        "sudo-session-enabled": _flag,
        "allowed-client-ip": _texts,
    },
    # Whether it is an administrator's follows the role of its user.
    Kind.KEYPAIR: {"is-active": _flag, "resource-policy": _filled, "rate-limit": _number},
}
_SECRETS: Final[Mapping[Kind, Mapping[str, Read]]] = {
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


_EMPTY: Final[Mapping[Read, Any]] = {_text: "", _texts: [], _set: [], _flag: False}


def names_of(wanted: Sequence[Wanted], kind: Kind) -> list[Wanted]:
    return [each for each in wanted if each.ref.kind is kind]
