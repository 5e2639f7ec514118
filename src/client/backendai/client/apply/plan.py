"""Which steps lead from what there is to what a file wants. PURE.

Nothing that a file does not name is ever changed, and no object is ever removed.
"""

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backendai.client.apply.document import Password, Ref, Wanted, policy_ref, project_ref
from backendai.client.apply.fields import DEFAULT_DOMAIN, Kind
from backendai.client.faults import BadDocument


class Verb(enum.StrEnum):
    CREATE = "create"
    MODIFY = "modify"


@dataclass(frozen=True, slots=True)
class Present:
    """What there is of all that a file names or refers to: properties in the form of files, and
    the ids by which the API calls projects (UUID) and the main keypairs of users (access key)."""

    properties: Mapping[Ref, Mapping[str, Any]] = field(default_factory=dict)
    ids: Mapping[Ref, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """`before` is None where there was nothing."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Step:
    """`domain` is where the projects of a user are; `password` is a new user's."""

    verb: Verb
    ref: Ref
    differences: tuple[Difference, ...]
    domain: str = ""
    password: Password | None = None

    @property
    def values(self) -> dict[str, Any]:
        return {each.name: each.after for each in self.differences}


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in their order; `kept` objects are as they shall be."""

    steps: tuple[Step, ...]
    kept: int = 0


def make_plan(wanted: Sequence[Wanted], present: Present) -> Plan:
    """Raises BadDocument, with all that is referred to and neither there nor wanted."""
    will_be = {*present.properties, *(each.ref for each in wanted)}
    problems = {
        place: problem for each in wanted for place, problem in _problems(each, present, will_be)
    }
    if problems:
        raise BadDocument(facts=problems)
    made = [step for each in wanted if (step := _step(each, present)) is not None]
    return Plan(tuple(made), kept=len(wanted) - len(made))


def domain_of(user: Wanted, present: Present) -> str:
    """Where a user shall be: as wanted, else as it is, else in the default one."""
    now = present.properties.get(user.ref, {})
    return str(user.values.get("domain") or now.get("domain") or DEFAULT_DOMAIN)


def projects_of(user: Wanted, present: Present) -> list[str]:
    """The names of projects that a user's steps may name, those that it administers now too."""
    now = present.properties.get(user.ref, {})
    wanted = [*user.values.get("projects", ()), *user.values.get("administers", ())]
    return sorted({*wanted, *now.get("administers", ())})


def _problems(each: Wanted, present: Present, will_be: set[Ref]) -> Iterator[tuple[str, str]]:
    kind, is_new = each.ref.kind, each.ref not in present.properties
    if (policy := policy_ref(each)) is not None:
        yield from _missing(each, "resource-policy", [policy], will_be)
    if kind is Kind.PROJECT:
        yield from _missing(each, "domain", [Ref(Kind.DOMAIN, each.ref.scope)], will_be)
    if kind is Kind.RESOURCE_GROUP:
        domains = [Ref(Kind.DOMAIN, name) for name in each.values.get("domains", ())]
        projects = [project_ref(place) for place in each.values.get("projects", ())]
        yield from _missing(each, "domains", domains, will_be)
        yield from _missing(each, "projects", projects, will_be)
    if kind is Kind.USER:
        domain = domain_of(each, present)
        yield from _missing(each, "domain", [Ref(Kind.DOMAIN, domain)], will_be)
        for field in ("projects", "administers"):
            projects = [Ref(Kind.PROJECT, name, domain) for name in each.values.get(field, ())]
            yield from _missing(each, field, projects, will_be)
        yield from _outside(each, present)
        if is_new and each.password is None:
            yield each.place, "a new user needs password-env or generate-password = true"
    if kind is Kind.KEYPAIR and is_new:
        if not each.ref.scope:
            yield f"{each.place}.access-key", "there is no such keypair; the server makes the keys"
        elif Ref(Kind.USER, each.ref.name) in present.properties:
            yield f"{each.place}.user", f"{each.ref.name} has no main keypair"
        else:
            yield from _missing(each, "user", [Ref(Kind.USER, each.ref.name)], will_be)


def _outside(each: Wanted, present: Present) -> Iterator[tuple[str, str]]:
    """Who administers a project is in it."""
    now = present.properties.get(each.ref, {})
    members = each.values.get("projects", now.get("projects", ()))
    outside = sorted({*each.values.get("administers", ())} - {*members})
    if outside:
        yield f"{each.place}.administers", f"name {', '.join(outside)} among the projects too"


def _missing(
    each: Wanted, name: str, needed: Sequence[Ref], will_be: set[Ref]
) -> Iterator[tuple[str, str]]:
    absent = [str(ref) for ref in needed if ref not in will_be]
    if absent:
        kind = needed[0].kind
        yield f"{each.place}.{name}", f"there is no {kind} {', '.join(absent)}, nor is it wanted"


def _step(each: Wanted, present: Present) -> Step | None:
    now = present.properties.get(each.ref)
    domain = domain_of(each, present) if each.ref.kind is Kind.USER else ""
    # The server makes the main keypair of a user that this plan creates.
    is_new = now is None and each.ref.kind is not Kind.KEYPAIR
    if is_new:
        told = tuple(Difference(name, None, value) for name, value in each.values.items())
        return Step(Verb.CREATE, each.ref, told, domain, each.password)
    changed = tuple(_differences(each, now or {}))
    return Step(Verb.MODIFY, each.ref, changed, domain) if changed else None


def _differences(each: Wanted, now: Mapping[str, Any]) -> Iterator[Difference]:
    """A user who goes to another domain leaves the projects of the old one, also those whose names
    are the same in both, and administers them no more."""
    wanted, now = dict(each.values), dict(now)
    moves = each.ref.kind is Kind.USER and wanted.get("domain", now["domain"]) != now["domain"]
    if moves:
        wanted.setdefault("projects", [])
        now["administers"] = []
    for name, value in wanted.items():
        if now.get(name) != value or (moves and name == "projects"):
            yield Difference(name, now.get(name), value)
