"""Who asks, and what each action needs of them: the one place that knows roles."""

import enum
import uuid
from dataclasses import dataclass, replace
from typing import Final

from backendai.common.enums import UserRole
from backendai.common.faults import AuthFailed, Forbidden


@dataclass(frozen=True, slots=True)
class Actor:
    """A keypair whose signature was checked, with the user who owns it. `administers` are the
    projects that the user is an admin of, as far as that matters to what is done."""

    access_key: str
    user_id: uuid.UUID
    email: str
    username: str
    full_name: str
    role: UserRole
    domain: str
    is_admin: bool
    policy: str
    rate_limit: int
    main_access_key: str | None = None
    bootstrap_script: str = ""
    administers: frozenset[uuid.UUID] = frozenset()

    @property
    def is_superadmin(self) -> bool:
        return self.role is UserRole.SUPERADMIN

    @property
    def is_domain_admin(self) -> bool:
        return self.role in (UserRole.ADMIN, UserRole.SUPERADMIN)


def local_administrator(name: str) -> Actor:
    """Who works on the stores from the manager's own machine, without a keypair; `name` is theirs
    there. No user has this id or this email."""
    return Actor(
        access_key="",
        user_id=uuid.UUID(int=0),
        email=f"local:{name}",
        username=name,
        full_name="",
        role=UserRole.SUPERADMIN,
        domain="",
        is_admin=True,
        policy="",
        rate_limit=0,
    )


def joining_node(name: str) -> Actor:
    """Who joins the cluster as the node of that name, by a token that a superadmin made."""
    node = local_administrator(name)
    return replace(node, email=f"node:{name}", role=UserRole.USER, is_admin=False)


class Access(enum.IntEnum):
    """The least that a caller must be."""

    OPEN = 0
    USER = 1
    PROJECT_ADMIN = 2
    ADMIN = 3
    SUPERADMIN = 4


@dataclass(frozen=True, slots=True)
class Action:
    """What a route does, in one dotted word, and who may. `writes` closes it to monitors, `begins`
    to everybody while the cluster is frozen. With `in_projects` a project admin does it to what is
    in the project, without it only to what everybody has."""

    name: str
    access: Access = Access.USER
    writes: bool = False
    begins: bool = False
    in_projects: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose objects a query may see: each set field narrows; all empty means every tenant's.

    What is in `projects` is seen beside what is of `user_id`.
    """

    user_id: uuid.UUID | None = None
    access_key: str | None = None
    domain: str | None = None
    projects: frozenset[uuid.UUID] = frozenset()


EVERYTHING: Final = Scope()


def may(actor: Actor | None, action: Action) -> bool:
    """Whether the role of `actor` allows `action` at all; on what is said by scopes."""
    if action.access is Access.OPEN:
        return True
    if actor is None or (action.writes and actor.role is UserRole.MONITOR):
        return False
    return {
        Access.USER: True,
        Access.PROJECT_ADMIN: actor.is_domain_admin or bool(actor.administers),
        Access.ADMIN: actor.is_domain_admin,
        Access.SUPERADMIN: actor.is_superadmin,
    }[action.access]


def authorize(actor: Actor | None, action: Action) -> None:
    """Raises AuthFailed when `actor` may not do `action` at all."""
    if not may(actor, action):
        raise AuthFailed("Unauthorized access")


def limit(actor: Actor, action: Action) -> Actor:
    """`actor` with no more power over projects than `action` gives."""
    if not actor.administers or action.in_projects:
        return actor
    return replace(actor, administers=frozenset())


def may_manage(actor: Actor, domain: str) -> bool:
    """Whether `actor` may change what belongs to `domain`."""
    return actor.is_superadmin or (actor.role is UserRole.ADMIN and actor.domain == domain)


def authorize_delegation(actor: Actor, owner: Actor | None) -> Actor:
    """`owner`, on whose behalf `actor` may act. Raises Forbidden, the same for unknown keys.

    A superadmin may for all, a domain admin within the domain but not for a superadmin.
    """
    if owner is not None and owner.access_key == actor.access_key:
        return owner
    may = owner is not None and (
        actor.is_superadmin
        or (
            actor.role is UserRole.ADMIN
            and owner.domain == actor.domain
            and not owner.is_superadmin
        )
    )
    if owner is None or not may:
        raise Forbidden("You may not act on behalf of this access key.")
    return owner


def own_scope(actor: Actor) -> Scope:
    """What belongs to one keypair."""
    return Scope(access_key=actor.access_key)


def user_scope(actor: Actor) -> Scope:
    """What belongs to one user, and all of it to a superadmin."""
    return EVERYTHING if actor.is_superadmin else Scope(user_id=actor.user_id)


def widest_scope(actor: Actor) -> Scope:
    """Everything that `actor` may list: own objects with those of projects that it administers, own
    domain, or all."""
    if actor.is_superadmin:
        return EVERYTHING
    if actor.is_domain_admin:
        return Scope(domain=actor.domain)
    return Scope(user_id=actor.user_id, projects=actor.administers)
