"""Accounts in GraphQL: keypairs, users, domains, projects, policies, presets. Small tables."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import UserStatus
from backendai.common.faults import Forbidden
from backendai.manager.db import tables as t
from backendai.manager.gate.actor import Actor
from backendai.manager.sessions.render import iso
from backendai.manager.sessions.store import FINAL_WORDS

from .sessions import json_text

Row = Mapping[Any, Any]
ROWS_MAX: Final = 1000

_keypairs = t.keypairs.join(t.users, t.users.c.id == t.keypairs.c.user_id).join(
    t.keypair_policies, t.keypair_policies.c.name == t.keypairs.c.resource_policy
)
_live = (
    sa.select(sa.func.count())
    .where(
        t.sessions.c.access_key == t.keypairs.c.access_key, t.sessions.c.status.not_in(FINAL_WORDS)
    )
    .correlate(t.keypairs)
    .scalar_subquery()
)
_queries = (
    sa.select(sa.func.coalesce(sa.func.sum(t.sessions.c.query_count), 0))
    .where(t.sessions.c.access_key == t.keypairs.c.access_key)
    .correlate(t.keypairs)
    .scalar_subquery()
)
_project_names = (
    sa.select(sa.func.array_agg(t.projects.c.name))
    .select_from(t.projects.join(t.project_members))
    .where(t.project_members.c.user_id == t.users.c.id)
    .correlate(t.users)
    .scalar_subquery()
)

# Objects of `id`, `name` and `role`, in order of name; null without any.
_projects_of_user = (
    sa.select(
        sa.func.jsonb_agg(
            aggregate_order_by(
                sa.func.jsonb_build_object(
                    *("id", t.projects.c.id, "name", t.projects.c.name),
                    *("role", t.project_members.c.role),
                ),
                t.projects.c.name,
            ),
            type_=JSONB,
        )
    )
    .select_from(t.projects.join(t.project_members))
    .where(t.project_members.c.user_id == t.users.c.id)
    .correlate(t.users)
    .scalar_subquery()
)
# Names of the resource groups that are open to a project; null without any.
GROUPS_OF_PROJECT: Final = (
    sa.select(sa.func.array_agg(t.resource_group_projects.c.resource_group))
    .where(t.resource_group_projects.c.project_id == t.projects.c.id)
    .correlate(t.projects)
    .scalar_subquery()
)
# Objects of `id`, `email`, `full_name` and `role`, in order of email; null without any.
_MEMBERS_OF_PROJECT: Final = (
    sa.select(
        sa.func.jsonb_agg(
            aggregate_order_by(
                sa.func.jsonb_build_object(
                    *("id", t.users.c.id, "email", t.users.c.email),
                    *("full_name", t.users.c.full_name, "role", t.project_members.c.role),
                ),
                t.users.c.email,
            ),
            type_=JSONB,
        )
    )
    .select_from(t.users.join(t.project_members))
    .where(t.project_members.c.project_id == t.projects.c.id)
    .correlate(t.projects)
    .scalar_subquery()
)
_NARROWING: Final = ("id", "email", "domain_name", "status")


async def load_keypairs(
    connection: AsyncConnection, actor: Actor, args: Mapping[str, Any], fields: set[str]
) -> Sequence[Row]:
    """The keypairs that the actor may see, narrowed by `access_key`, `email` and `is_active`."""
    columns: list[Any] = [
        *(column for column in t.keypairs.c if not column.name.endswith("_encrypted")),
        t.users.c.email,
        t.users.c.full_name,
        t.keypair_policies.c.max_concurrent_sessions,
    ]
    extra = {"concurrency_used": _live, "num_queries": _queries, "projects": _project_names}
    columns += [value.label(name) for name, value in extra.items() if name in fields]
    where = [*_keypair_scope(actor, args)]
    if args.get("is_active") is not None:
        where.append(t.keypairs.c.is_active == args["is_active"])
    statement = sa.select(*columns).select_from(_keypairs).where(*where)
    found = await connection.execute(statement.order_by(t.keypairs.c.created_at).limit(ROWS_MAX))
    return found.mappings().all()


def _keypair_scope(actor: Actor, args: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    """Raises Forbidden where a user names somebody else."""
    access_key, email = args.get("access_key"), args.get("email")
    where: list[sa.ColumnElement[bool]] = []
    if not actor.is_domain_admin:
        if access_key not in (None, actor.access_key) or email not in (None, actor.email):
            raise Forbidden("You may only see your own keypairs.")
        where.append(t.users.c.id == actor.user_id)
    elif not actor.is_superadmin:
        where.append(t.users.c.domain_name == actor.domain)
    if args.get("domain_name"):
        where.append(t.users.c.domain_name == args["domain_name"])
    if access_key is not None:
        where.append(t.keypairs.c.access_key == access_key)
    if email is not None:
        where.append(t.users.c.email == email)
    return where


async def load_domains(
    connection: AsyncConnection, actor: Actor, args: Mapping[str, Any]
) -> Sequence[Row]:
    groups = (
        sa.select(sa.func.array_agg(t.resource_group_domains.c.resource_group))
        .where(t.resource_group_domains.c.domain_name == t.domains.c.name)
        .correlate(t.domains)
        .scalar_subquery()
    )
    where: list[sa.ColumnElement[bool]] = []
    if not actor.is_superadmin:
        where.append(t.domains.c.name == actor.domain)
    if args.get("name") is not None:
        where.append(t.domains.c.name == args["name"])
    if args.get("is_active") is not None:
        where.append(t.domains.c.is_active == args["is_active"])
    statement = sa.select(t.domains, groups.label("scaling_groups")).where(*where)
    return (await connection.execute(statement.order_by(t.domains.c.name))).mappings().all()


async def load_projects(
    connection: AsyncConnection, actor: Actor, args: Mapping[str, Any], fields: set[str]
) -> Sequence[Row]:
    """The projects that the actor may see; the `members` only of those that it administers."""
    where = projects_seen_by(actor)
    narrowing = [name for name in ("id", "name", "domain_name", "is_active") if name in args]
    where += [t.projects.c[name] == args[name] for name in narrowing if args[name] is not None]
    columns = [*t.projects.c, GROUPS_OF_PROJECT.label("scaling_groups")]
    if "members" in fields:
        columns.append(_members_shown_to(actor).label("members"))
    statement = sa.select(*columns).where(*where)
    found = await connection.execute(statement.order_by(t.projects.c.name).limit(ROWS_MAX))
    return found.mappings().all()


def _members_shown_to(actor: Actor) -> sa.ColumnElement[Any]:
    if actor.is_domain_admin:
        return _MEMBERS_OF_PROJECT
    is_administered = t.projects.c.id.in_(sorted(actor.administers))
    return sa.case((is_administered, _MEMBERS_OF_PROJECT), else_=sa.null())


def projects_seen_by(actor: Actor) -> list[sa.ColumnElement[bool]]:
    """Own projects, those of an admin's domain, or all."""
    if actor.is_superadmin:
        return []
    if actor.is_domain_admin:
        return [t.projects.c.domain_name == actor.domain]
    own = sa.select(t.project_members.c.project_id).where(
        t.project_members.c.user_id == actor.user_id
    )
    return [t.projects.c.id.in_(own)]


async def find_user(
    connection: AsyncConnection, actor: Actor, args: Mapping[str, Any]
) -> Row | None:
    """A user by `email` or `id`, with the projects; the actor itself without either.

    Raises Forbidden where a user names somebody else.
    """
    named = args.get("email") not in (None, actor.email) or args.get("id") not in (
        None,
        actor.user_id,
    )
    if named and not actor.is_domain_admin:
        raise Forbidden("You may only see your own account.")
    if args.get("email") is None and args.get("id") is None:
        args = {**args, "email": actor.email}
    return next(iter(await load_users(connection, actor, args)), None)


async def load_users(
    connection: AsyncConnection, actor: Actor, args: Mapping[str, Any]
) -> Sequence[Row]:
    """The users that the actor may see, each with the projects: oneself, one's domain, or all."""
    where = [t.users.c[name] == args[name] for name in _NARROWING if args.get(name) is not None]
    if not actor.is_domain_admin:
        where.append(t.users.c.id == actor.user_id)
    elif not actor.is_superadmin:
        where.append(t.users.c.domain_name == actor.domain)
    if args.get("is_active") is not None:
        where.append((t.users.c.status == UserStatus.ACTIVE.value) == args["is_active"])
    if args.get("group_id") is not None:
        members = sa.select(t.project_members.c.user_id).where(
            t.project_members.c.project_id == args["group_id"]
        )
        where.append(t.users.c.id.in_(members))
    statement = sa.select(t.users, _projects_of_user.label("groups")).where(*where)
    found = await connection.execute(statement.order_by(t.users.c.created_at).limit(ROWS_MAX))
    return found.mappings().all()


async def load_policies(
    connection: AsyncConnection, actor: Actor, name: str | None
) -> Sequence[Row]:
    """The actor's own policy without a `name`; others than one's own are for admins."""
    where: list[sa.ColumnElement[bool]] = []
    if name is not None or not actor.is_domain_admin:
        where.append(t.keypair_policies.c.name == (name or actor.policy))
    if not actor.is_domain_admin:
        where.append(t.keypair_policies.c.name == actor.policy)
    statement = sa.select(t.keypair_policies).where(*where).order_by(t.keypair_policies.c.name)
    return (await connection.execute(statement)).mappings().all()


async def load_presets(connection: AsyncConnection, name: str | None) -> Sequence[Row]:
    statement = sa.select(t.resource_presets).order_by(t.resource_presets.c.name)
    if name is not None:
        statement = statement.where(t.resource_presets.c.name == name)
    return (await connection.execute(statement)).mappings().all()


Field = Callable[[Row], Any]


def _plain(*names: str) -> dict[str, Field]:
    return {name: _getter(name) for name in names}


def _getter(name: str) -> Field:
    return lambda row: row.get(name)


def _times(*names: str) -> dict[str, Field]:
    return {name: _time_getter(name) for name in names}


def _time_getter(name: str) -> Field:
    return lambda row: iso(row[name])


def _json(*names: str) -> dict[str, Field]:
    return {name: _json_getter(name) for name in names}


def _json_getter(name: str) -> Field:
    return lambda row: json_text(row[name])


KEYPAIR_FIELDS: Final[Mapping[str, Field]] = {
    **_plain("access_key", "full_name", "is_active", "is_admin", "resource_policy", "rate_limit"),
    **_plain("ssh_public_key"),
    **_times("created_at", "last_used"),
    "id": lambda row: row["access_key"],
    "user_id": lambda row: row["email"],
    "user": lambda row: str(row["user_id"]),
    # A secret key is shown once, when it is made.
    "secret_key": lambda row: row.get("secret_key"),
    "num_queries": lambda row: int(row["num_queries"]),
    "projects": lambda row: row["projects"] or [],
    "concurrency_used": lambda row: row["concurrency_used"],
    "concurrency_limit": lambda row: row["max_concurrent_sessions"],
    "user_info": lambda row: {"email": row["email"], "full_name": row["full_name"]},
}
POLICY_FIELDS: Final[Mapping[str, Field]] = {
    **_plain(
        "name",
        "default_for_unspecified",
        "max_session_lifetime",
        "max_concurrent_sessions",
        "max_pending_session_count",
        "max_concurrent_sftp_sessions",
        "max_containers_per_session",
        "idle_timeout",
    ),
    **_times("created_at"),
    **_json("total_resource_slots", "allowed_vfolder_hosts"),
    "max_pending_session_resource_slots": lambda row: (
        None
        if row["max_pending_session_resource_slots"] is None
        else json_text(row["max_pending_session_resource_slots"])
    ),
    # Folders are counted by the user's and the project's policy.
    "max_vfolder_count": lambda row: 0,
    "max_vfolder_size": lambda row: 0,
    "max_quota_scope_size": lambda row: 0,
}
DOMAIN_FIELDS: Final[Mapping[str, Field]] = {
    **_plain("name", "description", "is_active", "allowed_docker_registries", "integration_id"),
    **_times("created_at", "modified_at"),
    **_json("total_resource_slots", "allowed_vfolder_hosts"),
    "scaling_groups": lambda row: row["scaling_groups"] or [],
}
PROJECT_FIELDS: Final[Mapping[str, Field]] = {
    **_plain(
        "name", "description", "is_active", "domain_name", "integration_id", "resource_policy"
    ),
    **_times("created_at", "modified_at"),
    **_json("total_resource_slots", "allowed_vfolder_hosts"),
    "id": lambda row: str(row["id"]),
    "scaling_groups": lambda row: row["scaling_groups"] or [],
}
USER_FIELDS: Final[Mapping[str, Field]] = {
    **_plain(
        "username",
        "email",
        "need_password_change",
        "full_name",
        "description",
        "status",
        "status_info",
        "domain_name",
        "role",
        "resource_policy",
        "allowed_client_ip",
        "sudo_session_enabled",
        "main_access_key",
    ),
    **_times("created_at", "modified_at", "totp_activated_at"),
    "id": lambda row: str(row["id"]),
    "uuid": lambda row: str(row["id"]),
    "is_active": lambda row: row["status"] == UserStatus.ACTIVE.value,
    "totp_activated": lambda row: row["totp_activated_at"] is not None,
    "groups": lambda row: row["groups"] or [],
}
PRESET_FIELDS: Final[Mapping[str, Field]] = {
    **_plain("name", "shared_memory"),
    **_json("resource_slots"),
}
