"""Who may what with a folder: every actor, kind of folder, share and operation."""

import itertools
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from backendai.common.enums import HostPermission, UserRole
from backendai.common.faults import Conflict, Forbidden, VFolderNotFound
from backendai.manager.gate.actor import Actor
from backendai.manager.vfolders.access import (
    Operation,
    Relation,
    Right,
    Seen,
    authorize,
    pick_seen,
    rights_of,
    see,
)
from backendai.manager.vfolders.allowed import NOTHING, AllowedHosts, Giver, GiverKind
from backendai.manager.vfolders.model import (
    Folder,
    FolderStatus,
    Ownership,
    Permission,
    UsageMode,
)

HOST = "local:volume1"
OWNER = uuid.UUID(int=1)
PROJECT = uuid.UUID(int=2)


def allowing(host: str, *permissions: HostPermission) -> AllowedHosts:
    return AllowedHosts((Giver(GiverKind.DOMAIN, "default", {host: permissions}),))


EVERYTHING = allowing(HOST, *HostPermission)


def actor_of(role: UserRole, domain: str = "default", user_id: uuid.UUID | None = None) -> Actor:
    return Actor(
        access_key="AK",
        user_id=user_id or uuid.UUID(int=9),
        email="a@example.com",
        username="a",
        full_name="",
        role=role,
        domain=domain,
        is_admin=False,
        policy="default",
        rate_limit=0,
    )


def folder_of(
    ownership: Ownership = Ownership.USER,
    *,
    name: str = "data",
    permission: Permission = Permission.READ_WRITE,
    is_guarded: bool = False,
    number: int = 3,
) -> Folder:
    is_user = ownership is Ownership.USER
    return Folder(
        id=uuid.UUID(int=number),
        revision=0,
        name=name,
        domain="default",
        host=HOST,
        quota_scope_id=f"user:{OWNER}" if is_user else f"project:{PROJECT}",
        usage_mode=UsageMode.GENERAL,
        permission=permission,
        ownership=ownership,
        user_id=OWNER if is_user else None,
        project_id=None if is_user else PROJECT,
        creator="o@example.com",
        cloneable=False,
        status=FolderStatus.READY,
        status_changed_at=datetime(2026, 1, 1, tzinfo=UTC),
        unmanaged_path=None,
        last_used_at=None,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        is_guarded=is_guarded,
    )


SEE, READ, WRITE = {Right.SEE}, {Right.SEE, Right.READ}, {Right.SEE, Right.READ, Right.WRITE}
ALL = set(Right)
ADMINISTERED = {Right.SEE, Right.MANAGE}


@pytest.mark.parametrize("is_member", [False, True])
@pytest.mark.parametrize("shared", [None, *Permission])
def test_the_owner_of_a_folder_may_do_everything(
    shared: Permission | None, is_member: bool
) -> None:
    owner = actor_of(UserRole.USER, user_id=OWNER)
    seen = see(owner, folder_of(), is_member=is_member, shared=shared)
    assert seen is not None
    assert seen.is_owner
    assert seen.rights == ALL
    assert seen.permission is Permission.WRITE_DELETE


@pytest.mark.parametrize(
    ("shared", "rights"),
    [
        (Permission.READ_ONLY, READ),
        (Permission.READ_WRITE, WRITE),
        (Permission.WRITE_DELETE, WRITE),
    ],
)
def test_a_share_gives_what_it_says_to_whoever_has_it(
    shared: Permission, rights: set[Right]
) -> None:
    for role, domain in itertools.product((UserRole.USER, UserRole.MONITOR), ("default", "other")):
        seen = see(actor_of(role, domain), folder_of(), is_member=False, shared=shared)
        assert seen is not None
        assert seen.relation is Relation.INVITEE
        assert seen.rights == rights
        assert seen.permission is shared


def test_whoever_has_nothing_to_do_with_a_folder_does_not_see_it() -> None:
    for ownership in Ownership:
        for role in (UserRole.USER, UserRole.MONITOR):
            stranger = actor_of(role)
            assert see(stranger, folder_of(ownership), is_member=False, shared=None) is None
        other = actor_of(UserRole.ADMIN, "other")
        assert see(other, folder_of(ownership), is_member=False, shared=None) is None


def test_a_share_of_a_projects_folder_ends_with_the_membership() -> None:
    folder = folder_of(Ownership.PROJECT)
    left = see(actor_of(UserRole.USER), folder, is_member=False, shared=Permission.READ_WRITE)
    assert left is None


@pytest.mark.parametrize("default", list(Permission))
@pytest.mark.parametrize("shared", [None, *Permission])
def test_a_member_may_what_the_folder_says_or_what_was_given_to_them_alone(
    default: Permission, shared: Permission | None
) -> None:
    folder = folder_of(Ownership.PROJECT, permission=default)
    seen = see(actor_of(UserRole.USER), folder, is_member=True, shared=shared)
    assert seen is not None
    assert seen.relation is Relation.MEMBER
    assert seen.permission is (shared or default)
    assert seen.rights == (READ if seen.permission is Permission.READ_ONLY else WRITE)


@pytest.mark.parametrize("role", [UserRole.ADMIN, UserRole.SUPERADMIN])
def test_administrators_own_the_folders_of_projects(role: UserRole) -> None:
    seen = see(actor_of(role), folder_of(Ownership.PROJECT), is_member=False, shared=None)
    assert seen is not None
    assert seen.rights == ALL


def test_an_admin_of_a_project_owns_its_folders_and_no_others() -> None:
    admin = replace(actor_of(UserRole.USER), administers=frozenset({PROJECT}))
    own = see(admin, folder_of(Ownership.PROJECT), is_member=True, shared=Permission.READ_ONLY)
    assert own is not None
    assert own.rights == ALL
    assert own.permission is Permission.WRITE_DELETE
    elsewhere = replace(admin, administers=frozenset({OWNER}))
    assert see(elsewhere, folder_of(Ownership.PROJECT), is_member=False, shared=None) is None
    assert see(admin, folder_of(), is_member=False, shared=None) is None


@pytest.mark.parametrize("role", [UserRole.ADMIN, UserRole.SUPERADMIN])
def test_administrators_manage_the_folders_of_users_and_do_not_read_them(role: UserRole) -> None:
    seen = see(actor_of(role), folder_of(), is_member=False, shared=None)
    assert seen is not None
    assert seen.rights == ADMINISTERED
    assert seen.permission is None
    for operation in Operation:
        if operation.right in ADMINISTERED:
            assert authorize(seen, operation, NOTHING) is seen.folder
        else:
            with pytest.raises(Forbidden):
                authorize(seen, operation, EVERYTHING)


def test_an_unmanaged_folder_is_on_no_host_that_could_forbid_anything() -> None:
    folder = replace(folder_of(), host="", unmanaged_path="/mnt/x")
    seen = see(actor_of(UserRole.USER, user_id=OWNER), folder, is_member=False, shared=None)
    shared = see(actor_of(UserRole.USER), folder, is_member=False, shared=Permission.READ_ONLY)
    assert seen is not None
    assert shared is not None
    for operation in Operation:
        assert authorize(seen, operation, NOTHING) is folder
    assert authorize(shared, Operation.MOUNT, NOTHING) is folder
    with pytest.raises(Forbidden):
        authorize(shared, Operation.MOUNT_WRITABLE, NOTHING)


@pytest.mark.parametrize("role", [UserRole.ADMIN, UserRole.SUPERADMIN])
def test_a_share_takes_nothing_from_who_administers_a_folder(role: UserRole) -> None:
    shared = Permission.READ_ONLY
    seen = see(actor_of(role), folder_of(), is_member=False, shared=shared)
    assert seen is not None
    assert (seen.relation, seen.permission) == (Relation.INVITEE, shared)
    assert seen.rights == ADMINISTERED | READ
    for operation in Operation:
        if operation.right is Right.MANAGE:
            assert authorize(seen, operation, NOTHING) is seen.folder
    # What the share gives is bound to what its host allows, as for everybody.
    with pytest.raises(Forbidden, match=HostPermission.DOWNLOAD.value):
        authorize(seen, Operation.DOWNLOAD, NOTHING)


def test_the_folders_of_superadmins_are_only_theirs() -> None:
    guarded = folder_of(is_guarded=True)
    assert see(actor_of(UserRole.ADMIN), guarded, is_member=False, shared=None) is None
    assert see(actor_of(UserRole.SUPERADMIN), guarded, is_member=False, shared=None) is not None


def test_every_operation_needs_its_right_and_what_its_host_allows() -> None:
    for relation, permission in itertools.product(Relation, [None, *Permission]):
        is_administered = relation is Relation.ADMINISTRATOR
        seen = Seen(folder_of(), relation, permission, is_administered)
        for operation in Operation:
            has_right = operation.right in rights_of(relation, permission)
            without = allowing(
                HOST, *(each for each in HostPermission if each != operation.on_host)
            )
            elsewhere = allowing("other:volume1", *HostPermission)
            if not has_right:
                with pytest.raises(Forbidden):
                    authorize(seen, operation, EVERYTHING)
                continue
            assert authorize(seen, operation, EVERYTHING)
            if operation.on_host is None or relation is Relation.ADMINISTRATOR:
                assert authorize(seen, operation, NOTHING)
                continue
            for allowed in (NOTHING, without, elsewhere):
                with pytest.raises(Forbidden, match=operation.on_host.value):
                    authorize(seen, operation, allowed)


def test_a_name_means_ones_own_before_a_projects_before_what_is_shared() -> None:
    own = Seen(folder_of(number=1), Relation.OWNER, Permission.WRITE_DELETE)
    project = Seen(folder_of(Ownership.PROJECT, number=2), Relation.MEMBER, Permission.READ_WRITE)
    shared = Seen(folder_of(number=3), Relation.INVITEE, Permission.READ_ONLY)
    assert pick_seen([shared, project, own], "data") is own
    assert pick_seen([shared, project], "data") is project
    assert pick_seen([shared], "data") is shared
    with pytest.raises(VFolderNotFound):
        pick_seen([], "data")


def test_a_name_of_several_is_refused_with_their_ids() -> None:
    several = [
        Seen(folder_of(number=number), Relation.INVITEE, Permission.READ_ONLY) for number in (4, 5)
    ]
    with pytest.raises(Conflict) as refused:
        pick_seen(several, "data")
    assert refused.value.facts == {"ids": [uuid.UUID(int=4).hex, uuid.UUID(int=5).hex]}
