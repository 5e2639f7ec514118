"""Mutations of presets, of nodes, and of resource groups (`scaling_group` on the wire)."""

from collections.abc import Mapping
from typing import Any, Final

from backendai.common.ids import AgentId
from backendai.manager.agents import changes as agents
from backendai.manager.agents.service import MODIFY as MODIFY_AGENT
from backendai.manager.gate.actor import Access, Action
from backendai.manager.resource_groups import changes as groups
from backendai.manager.resources import presets

from .mutations import Asked, Mutation, Work
from .texts import read_id

Props = Mapping[str, Any]


async def create_preset(asked: Asked, name: str, props: Props) -> Props:
    return {"resource_preset": await presets.create(asked.change, name, props)}


async def modify_preset(asked: Asked, name: str, props: Props) -> None:
    await presets.modify(asked.change, name, props)


async def delete_preset(asked: Asked, name: str) -> None:
    await presets.delete(asked.change, name)


async def modify_agent(
    asked: Asked,
    id: str,  # noqa: A002 - the name of the argument
    props: Props,
) -> None:
    await agents.modify(asked.change, AgentId(id), props)


async def create_group(asked: Asked, name: str, props: Props) -> Props:
    return {"scaling_group": await groups.create(asked.change, name, props)}


async def modify_group(asked: Asked, name: str, props: Props) -> None:
    await groups.modify(asked.change, name, props)


async def delete_group(asked: Asked, name: str) -> None:
    await groups.delete(asked.change, name)


async def open_to_domain(asked: Asked, scaling_group: str, domain: str) -> None:
    await groups.open_to_domain(asked.change, scaling_group, domain)


async def open_to_project(asked: Asked, scaling_group: str, user_group: str) -> None:
    await groups.open_to_project(asked.change, scaling_group, read_id(user_group))


async def open_to_keypair(asked: Asked, scaling_group: str, access_key: str) -> None:
    await groups.open_to_keypair(asked.change, scaling_group, access_key)


async def close_to_domain(asked: Asked, scaling_group: str, domain: str) -> None:
    await groups.close_to_domain(asked.change, scaling_group, domain)


async def close_to_project(asked: Asked, scaling_group: str, user_group: str) -> None:
    await groups.close_to_project(asked.change, scaling_group, read_id(user_group))


async def close_to_keypair(asked: Asked, scaling_group: str, access_key: str) -> None:
    await groups.close_to_keypair(asked.change, scaling_group, access_key)


async def close_all_to_domain(asked: Asked, domain: str) -> None:
    await groups.close_all_to_domain(asked.change, domain)


async def close_all_to_project(asked: Asked, user_group: str) -> None:
    await groups.close_all_to_project(asked.change, read_id(user_group))


def _row(name: str, work: Work) -> Mutation:
    return Mutation(Action(name, Access.SUPERADMIN, writes=True), work)


MUTATIONS: Final[Mapping[str, Mutation]] = {
    "create_resource_preset": _row("preset.create", create_preset),
    "modify_resource_preset": _row("preset.modify", modify_preset),
    "delete_resource_preset": _row("preset.delete", delete_preset),
    "modify_agent": Mutation(MODIFY_AGENT, modify_agent),
    "create_scaling_group": _row("resource_group.create", create_group),
    "modify_scaling_group": _row("resource_group.modify", modify_group),
    "delete_scaling_group": _row("resource_group.delete", delete_group),
    "associate_scaling_group_with_domain": _row("resource_group.open", open_to_domain),
    "associate_scaling_group_with_user_group": _row("resource_group.open", open_to_project),
    "associate_scaling_group_with_keypair": _row("resource_group.open", open_to_keypair),
    "disassociate_scaling_group_with_domain": _row("resource_group.close", close_to_domain),
    "disassociate_scaling_group_with_user_group": _row("resource_group.close", close_to_project),
    "disassociate_scaling_group_with_keypair": _row("resource_group.close", close_to_keypair),
    "disassociate_all_scaling_groups_with_domain": _row(
        "resource_group.close", close_all_to_domain
    ),
    "disassociate_all_scaling_groups_with_group": _row(
        "resource_group.close", close_all_to_project
    ),
}
