"""What a file wants, as values. PURE.

A file names objects by kind. What it does not name, neither an object nor a property, stays as it
is. Every fault of a file is told at once, by its place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backendai.client.apply.fields import (
    DEFAULT_DOMAIN,
    FIELDS,
    NAMES,
    POLICIES,
    SECRETS,
    Kind,
    Read,
)
from backendai.client.faults import BadDocument


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


def project_ref(place: str) -> Ref:
    """Of `domain/name`, as the projects of a resource group are written."""
    domain, _, name = place.partition("/")
    return Ref(Kind.PROJECT, name, domain)


def policy_ref(each: Wanted) -> Ref | None:
    """The policy that an object shall have, where the file says so."""
    name, kind = each.values.get("resource-policy"), POLICIES.get(each.ref.kind)
    return None if name is None or kind is None else Ref(kind, name)


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
        known = {**NAMES[kind], **FIELDS[kind], **SECRETS.get(kind, {})}
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
    given = [name for name in NAMES[kind] if name in values]
    if len(given) != 1:
        problems[place] = f"name it by {' or '.join(NAMES[kind])}"
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


def names_of(wanted: Sequence[Wanted], kind: Kind) -> list[Wanted]:
    return [each for each in wanted if each.ref.kind is kind]
