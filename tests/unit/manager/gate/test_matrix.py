"""Every declared action × every role, and every way to act for somebody else: decided purely."""

import itertools
import uuid
from dataclasses import replace

import pytest

from backendai.common.enums import UserRole
from backendai.common.faults import AuthFailed, Forbidden
from backendai.manager.gate.actor import (
    Access,
    Action,
    Actor,
    Scope,
    authorize,
    authorize_delegation,
    limit,
    may_manage,
    own_scope,
    widest_scope,
)
from backendai.manager.inventory import declared_roots, declared_routes

# Who each access lets in; None is a caller without a credential. Monitors never write.
LET_IN: dict[Access, set[UserRole | None]] = {
    Access.OPEN: {None, *UserRole},
    Access.USER: {*UserRole},
    Access.PROJECT_ADMIN: {UserRole.ADMIN, UserRole.SUPERADMIN},
    Access.ADMIN: {UserRole.ADMIN, UserRole.SUPERADMIN},
    Access.SUPERADMIN: {UserRole.SUPERADMIN},
}
PROJECTS = frozenset({uuid.UUID(int=7)})
DOMAINS = ("one", "two")


def actor_of(role: UserRole, domain: str, name: str = "x") -> Actor:
    return Actor(
        access_key=f"AK-{role}-{domain}-{name}",
        user_id=uuid.uuid5(uuid.NAMESPACE_DNS, f"{role}.{domain}.{name}"),
        email=f"{name}@{domain}",
        username=name,
        full_name=name,
        role=role,
        domain=domain,
        is_admin=role in (UserRole.ADMIN, UserRole.SUPERADMIN),
        policy="default",
        rate_limit=1,
    )


def all_actors(name: str = "x") -> list[Actor]:
    return [actor_of(role, domain, name) for role in UserRole for domain in DOMAINS]


def declared_actions() -> list[tuple[str, Action]]:
    routes = [(f"{route.method} {route.path}", route.action) for route in declared_routes()]
    roots = [
        (f"{kind}.{name}", action)
        for kind, fields in declared_roots().items()
        for name, action in fields.items()
    ]
    return routes + roots


@pytest.mark.parametrize("role", [None, *UserRole])
def test_an_action_lets_in_exactly_whom_it_declares(role: UserRole | None) -> None:
    for place, action in declared_actions():
        expected = role in LET_IN[action.access]
        let_in_by_project = role is not None and action.access <= Access.PROJECT_ADMIN
        if action.writes and action.access is not Access.OPEN and role is UserRole.MONITOR:
            expected = let_in_by_project = False
        # The domain and the flag of a keypair that it is an administrator's decide nothing.
        for domain, is_admin in itertools.product(DOMAINS, (False, True)):
            actor = replace(actor_of(role, domain), is_admin=is_admin) if role else None
            assert _is_let_in(actor, action) is expected, (place, role)
            admin = replace(actor, administers=PROJECTS) if actor else None
            assert _is_let_in(admin, action) is (expected or let_in_by_project), (place, role)


def _is_let_in(actor: Actor | None, action: Action) -> bool:
    try:
        authorize(actor, action)
    except AuthFailed:
        return False
    return True


def test_a_project_admin_brings_projects_only_to_what_is_declared_so() -> None:
    user = actor_of(UserRole.USER, "one")
    admin = replace(user, administers=PROJECTS)
    seen = Scope(user_id=user.user_id, projects=PROJECTS)
    for place, action in declared_actions():
        limited = limit(admin, action)
        assert limited == (admin if action.in_projects else user), place
        assert widest_scope(limited) == (seen if action.in_projects else widest_scope(user)), place
        assert limit(user, action) is user


def test_administering_projects_gives_nothing_of_an_administrator() -> None:
    for role, domain in itertools.product(UserRole, DOMAINS):
        plain = actor_of(role, domain)
        admin = replace(plain, administers=PROJECTS)
        for other, owner in itertools.product(DOMAINS, all_actors("y")):
            assert may_manage(admin, other) is may_manage(plain, other)
            assert _may_act(admin, owner) is _may_act(plain, owner)
        assert own_scope(admin) == own_scope(plain)


def test_one_acts_for_others_only_below_oneself() -> None:
    for actor, owner in itertools.product(all_actors(), all_actors("y")):
        expected = actor.role is UserRole.SUPERADMIN or (
            actor.role is UserRole.ADMIN
            and actor.domain == owner.domain
            and owner.role is not UserRole.SUPERADMIN
        )
        assert _may_act(actor, owner) is expected, (actor, owner)


def test_everybody_acts_for_oneself_and_nobody_for_unknown_keys() -> None:
    for actor in all_actors():
        assert _may_act(actor, actor)
        assert not _may_act(actor, None)


def _may_act(actor: Actor, owner: Actor | None) -> bool:
    try:
        return authorize_delegation(actor, owner) == owner
    except Forbidden:
        return False


def test_a_scope_is_never_wider_than_the_role() -> None:
    for actor in all_actors():
        assert own_scope(actor) == Scope(access_key=actor.access_key)
        expected = {
            UserRole.SUPERADMIN: Scope(),
            UserRole.ADMIN: Scope(domain=actor.domain),
        }.get(actor.role, Scope(user_id=actor.user_id))
        assert widest_scope(actor) == expected


def test_only_administrators_manage_and_only_their_domain() -> None:
    for actor, domain in itertools.product(all_actors(), DOMAINS):
        expected = actor.role is UserRole.SUPERADMIN or (
            actor.role is UserRole.ADMIN and actor.domain == domain
        )
        assert may_manage(actor, domain) is expected
