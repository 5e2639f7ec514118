"""Mutations of sessions, as newer clients ask for them."""

from collections.abc import Mapping
from typing import Any, Final

from backendai.manager.gate.actor import user_scope
from backendai.manager.sessions import actions
from backendai.manager.sessions.changes import modify

from .connections import write_id
from .mutations import Asked, Mutation
from .nodes import read_own_id

Props = Mapping[str, Any]
SESSION: Final = "ComputeSessionNode"


async def modify_compute_session(asked: Asked, input: Props) -> Props:  # noqa: A002 - its name there
    session_id = read_own_id(SESSION, input["id"])
    scope = user_scope(asked.change.actor)
    found = await modify(asked.change, scope, session_id, input)
    item = {
        "id": write_id(SESSION, found.id),
        "row_id": found.id,
        "name": found.name,
        "priority": found.priority,
        "status": found.status.value,
        "tag": found.tag,
    }
    return {"item": item, "clientMutationId": input.get("clientMutationId")}


MUTATIONS: Final[Mapping[str, Mutation]] = {
    "modify_compute_session": Mutation(actions.MODIFY, modify_compute_session),
}
