"""Mutations of domains, projects (`group` on the wire), users and keypairs."""

from collections.abc import Mapping
from typing import Any, Final

from backendai.manager.accounts import domains
from backendai.manager.gate.actor import Access, Action

from . import accounts as rows
from .mutations import Asked, Mutation
from .selection import selected
from .sessions import read_id

Props = Mapping[str, Any]


async def create_domain(asked: Asked, name: str, props: Props) -> Props:
    return await _domain(asked, (await domains.create(asked.change, name, props))["name"])


async def modify_domain(asked: Asked, name: str, props: Props) -> Props:
    return await _domain(asked, (await domains.modify(asked.change, name, props))["name"])


async def delete_domain(asked: Asked, name: str) -> None:
    await domains.delete(asked.change, name)


async def purge_domain(asked: Asked, name: str) -> None:
    await domains.purge(asked.change, name)


async def create_group(asked: Asked, name: str, props: Props) -> Props:
    made = await asked.accounts.projects.create(asked.change, name, props)
    return await _project(asked, made["id"])


async def modify_group(asked: Asked, gid: str, props: Props) -> Props:
    project_id = read_id(gid)
    await asked.accounts.projects.modify(asked.change, project_id, props)
    return await _project(asked, project_id)


async def delete_group(asked: Asked, gid: str) -> None:
    await asked.accounts.projects.delete(asked.change, read_id(gid))


async def purge_group(asked: Asked, gid: str) -> None:
    await asked.accounts.projects.purge(asked.change, read_id(gid))


async def create_user(asked: Asked, email: str, props: Props) -> Props:
    user, _ = await asked.accounts.users.create(asked.change, email, props)
    return await _user(asked, user["email"])


async def modify_user(asked: Asked, email: str, props: Props) -> Props:
    user = await asked.accounts.users.modify(asked.change, email, props)
    return await _user(asked, user["email"])


async def delete_user(asked: Asked, email: str) -> None:
    await asked.accounts.users.delete(asked.change, email)


async def purge_user(asked: Asked, email: str, props: Props) -> None:
    with_shared = bool(props.get("purge_shared_vfolders"))
    await asked.accounts.users.purge(asked.change, email, with_shared=with_shared)


async def create_keypair(asked: Asked, user_id: str, props: Props) -> Props:
    made = await asked.accounts.keypairs.create(asked.change, user_id, props)
    change, key = asked.change, {"access_key": made.access_key}
    wanted = selected(asked.info, "keypair")
    found = await rows.load_keypairs(change.connection, change.actor, key, wanted)
    # A new keypair has no sessions yet.
    return {"keypair": {**found[0], "secret_key": made.secret_key, "sessions": []}}


async def modify_keypair(asked: Asked, access_key: str, props: Props) -> None:
    await asked.accounts.keypairs.modify(asked.change, access_key, props)


async def delete_keypair(asked: Asked, access_key: str) -> None:
    await asked.accounts.keypairs.delete(asked.change, access_key)


async def _domain(asked: Asked, name: str) -> Props:
    change = asked.change
    found = await rows.load_domains(change.connection, change.actor, {"name": name})
    return {"domain": found[0]}


async def _project(asked: Asked, project_id: Any) -> Props:
    change = asked.change
    wanted = selected(asked.info, "group")
    key = {"id": project_id}
    found = await rows.load_projects(change.connection, change.actor, key, wanted)
    return {"group": found[0]}


async def _user(asked: Asked, email: str) -> Props:
    change = asked.change
    return {"user": await rows.find_user(change.connection, change.actor, {"email": email})}


# Of a project that one only administers it changes who is in it, and nothing else.
MODIFY_PROJECT: Final = Action(
    "project.modify", Access.PROJECT_ADMIN, writes=True, in_projects=True
)


def _writes(name: str, access: Access = Access.SUPERADMIN) -> Action:
    return Action(name, access, writes=True)


MUTATIONS: Final[Mapping[str, Mutation]] = {
    "create_domain": Mutation(_writes("domain.create"), create_domain),
    "modify_domain": Mutation(_writes("domain.modify"), modify_domain),
    "delete_domain": Mutation(_writes("domain.delete"), delete_domain),
    "purge_domain": Mutation(_writes("domain.purge"), purge_domain),
    "create_group": Mutation(_writes("project.create", Access.ADMIN), create_group),
    "modify_group": Mutation(MODIFY_PROJECT, modify_group),
    "delete_group": Mutation(_writes("project.delete", Access.ADMIN), delete_group),
    "purge_group": Mutation(_writes("project.purge", Access.ADMIN), purge_group),
    "create_user": Mutation(_writes("user.create"), create_user),
    "modify_user": Mutation(_writes("user.modify"), modify_user),
    "delete_user": Mutation(_writes("user.delete"), delete_user),
    "purge_user": Mutation(_writes("user.purge"), purge_user),
    "create_keypair": Mutation(_writes("keypair.create"), create_keypair),
    "modify_keypair": Mutation(_writes("keypair.modify"), modify_keypair),
    "delete_keypair": Mutation(_writes("keypair.delete"), delete_keypair),
}
