"""Mutations of images and of the registries that they come from."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from backendai.manager.images import actions, changes, preloads

from .images import shown_registry
from .mutations import Asked, Mutation

Props = Mapping[str, Any]


async def rescan_images(
    asked: Asked, registry: str | None = None, project: str | None = None
) -> Props:
    return {"task_id": str(await changes.rescan(asked.change, registry, project))}


async def preload_image(
    asked: Asked, references: Sequence[str | None], target_agents: Sequence[str | None]
) -> Props:
    return await _begin(asked, preloads.PRELOAD, references, target_agents)


async def unload_image(
    asked: Asked, references: Sequence[str | None], target_agents: Sequence[str | None]
) -> Props:
    return await _begin(asked, preloads.UNLOAD, references, target_agents)


async def forget_image(asked: Asked, reference: str, architecture: str) -> None:
    await changes.forget(asked.change, reference, architecture)


async def forget_image_by_id(asked: Asked, image_id: str) -> None:
    await changes.forget_by_id(asked.change, image_id)


async def untag_image_from_registry(
    asked: Asked,
    id: str,  # noqa: A002 - the name of the argument
) -> None:
    await changes.untag(asked.change, id)


async def clear_images(asked: Asked, registry: str | None = None) -> None:
    await changes.clear(asked.change, registry)


async def alias_image(asked: Asked, alias: str, target: str, architecture: str) -> None:
    await changes.alias(asked.change, alias, target, architecture)


async def dealias_image(asked: Asked, alias: str) -> None:
    await changes.dealias(asked.change, alias)


async def modify_image(asked: Asked, target: str, architecture: str, props: Props) -> None:
    await changes.modify(asked.change, target, architecture, props)


async def create_container_registry(asked: Asked, hostname: str, props: Props) -> Props:
    row = await asked.accounts.registries.create(asked.change, hostname, props)
    return {"container_registry": shown_registry(row)}


async def modify_container_registry(asked: Asked, hostname: str, props: Props) -> Props:
    row = await asked.accounts.registries.modify(asked.change, hostname, props)
    return {"container_registry": shown_registry(row)}


async def delete_container_registry(asked: Asked, hostname: str) -> Props:
    row = await asked.accounts.registries.delete(asked.change, hostname)
    return {"container_registry": shown_registry(row)}


async def _begin(
    asked: Asked, name: str, references: Sequence[str | None], agents: Sequence[str | None]
) -> Props:
    """Nulls in the lists name nothing."""
    images, nodes = list(filter(None, references)), list(filter(None, agents))
    return {"task_id": str(await preloads.begin(asked.change, name, images, nodes))}


MUTATIONS: Final[Mapping[str, Mutation]] = {
    "rescan_images": Mutation(actions.RESCAN, rescan_images),
    "preload_image": Mutation(actions.PRELOAD, preload_image),
    "unload_image": Mutation(actions.UNLOAD, unload_image),
    "modify_image": Mutation(actions.MODIFY, modify_image),
    "forget_image": Mutation(actions.FORGET, forget_image),
    "forget_image_by_id": Mutation(actions.FORGET, forget_image_by_id),
    "untag_image_from_registry": Mutation(actions.FORGET, untag_image_from_registry),
    "alias_image": Mutation(actions.ALIAS, alias_image),
    "dealias_image": Mutation(actions.DEALIAS, dealias_image),
    "clear_images": Mutation(actions.CLEAR, clear_images),
    "create_container_registry": Mutation(actions.CREATE_REGISTRY, create_container_registry),
    "modify_container_registry": Mutation(actions.MODIFY_REGISTRY, modify_container_registry),
    "delete_container_registry": Mutation(actions.DELETE_REGISTRY, delete_container_registry),
}
