"""Who may do what: the whole matrix of roles and accesses, and delegation."""

import itertools
import uuid

import pytest

from backendai.common.enums import UserRole
from backendai.common.faults import AuthFailed, Forbidden
from backendai.manager.gate.actor import (
    Access,
    Action,
    Actor,
    authorize,
    authorize_delegation,
    widest_scope,
)

_numbers = itertools.count(1)
ALLOWED = {
    UserRole.USER: {Access.OPEN, Access.USER},
    UserRole.MONITOR: {Access.OPEN, Access.USER},
    UserRole.ADMIN: {Access.OPEN, Access.USER, Access.PROJECT_ADMIN, Access.ADMIN},
    UserRole.SUPERADMIN: set(Access),
}


def actor(role: UserRole, domain: str = "default") -> Actor:
    number = next(_numbers)
    return Actor(
        f"AK{number}", uuid.UUID(int=number), "", "", "", role, domain, False, "default", 100
    )


@pytest.mark.parametrize(("role", "access"), list(itertools.product(UserRole, Access)))
def test_each_role_may_what_the_table_says(role: UserRole, access: Access) -> None:
    for writes in (False, True):
        action = Action("x", access, writes)
        may = access in ALLOWED[role] and not (
            writes and role is UserRole.MONITOR and access is not Access.OPEN
        )
        if may:
            authorize(actor(role), action)
        else:
            with pytest.raises(AuthFailed):
                authorize(actor(role), action)


def test_nobody_may_only_what_is_open() -> None:
    authorize(None, Action("x", Access.OPEN))
    with pytest.raises(AuthFailed):
        authorize(None, Action("x"))


def test_delegation_stays_in_the_domain_and_below_superadmins() -> None:
    user, other = actor(UserRole.USER), actor(UserRole.USER)
    admin, root = actor(UserRole.ADMIN), actor(UserRole.SUPERADMIN)
    foreign = actor(UserRole.USER, "other")
    assert authorize_delegation(user, user) is user
    assert authorize_delegation(admin, user) is user
    assert authorize_delegation(root, foreign) is foreign
    for asker, owner in (
        (user, other),
        (admin, foreign),
        (admin, root),
        (user, None),
        (root, None),
    ):
        with pytest.raises(Forbidden):
            authorize_delegation(asker, owner)


def test_scopes_widen_with_the_role() -> None:
    assert widest_scope(actor(UserRole.SUPERADMIN)).domain is None
    assert widest_scope(actor(UserRole.ADMIN, "d")).domain == "d"
    user = actor(UserRole.USER)
    assert widest_scope(user).user_id == user.user_id
