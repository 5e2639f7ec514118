"""Mutations of the three kinds of policies."""

from collections.abc import Mapping
from typing import Any, Final

from backendai.manager.gate.actor import Access, Action
from backendai.manager.policies import service
from backendai.manager.policies.service import KEYPAIR, PROJECT, USER, PolicyKind

from .mutations import Asked, Mutation, Work

Props = Mapping[str, Any]
_KINDS: Final[Mapping[str, PolicyKind]] = {"keypair": KEYPAIR, "user": USER, "project": PROJECT}


def _create(kind: PolicyKind) -> Work:
    async def work(asked: Asked, name: str, props: Props) -> Props:
        return {"resource_policy": await service.create(asked.change, kind, name, props)}

    return work


def _modify(kind: PolicyKind) -> Work:
    async def work(asked: Asked, name: str, props: Props) -> None:
        await service.modify(asked.change, kind, name, props)

    return work


def _delete(kind: PolicyKind) -> Work:
    async def work(asked: Asked, name: str) -> None:
        await service.delete(asked.change, kind, name)

    return work


MUTATIONS: Final[Mapping[str, Mutation]] = {
    f"{verb}_{word}_resource_policy": Mutation(
        Action(f"{word}_policy.{verb}", Access.SUPERADMIN, writes=True), make(kind)
    )
    for word, kind in _KINDS.items()
    for verb, make in (("create", _create), ("modify", _modify), ("delete", _delete))
}
