"""What administrators change of nodes, each change noted in the audit log."""

from collections.abc import Mapping
from typing import Any, Final

from backendai.common.faults import InvalidParams
from backendai.common.ids import AgentId
from backendai.manager.accounts import fields
from backendai.manager.audit.change import Change

from .service import allow_sessions
from .store import lock_agent

_FIELDS: Final = {"schedulable": fields.flag, "scaling_group": fields.slug}


async def modify(change: Change, agent_id: AgentId, props: Mapping[str, Any]) -> None:
    """Whether new sessions are placed on a node (`schedulable`).

    Its resource group is what its own settings say. Raises AgentNotFound and InvalidParams.
    """
    values = fields.read_fields(props, _FIELDS)
    if not values:
        raise InvalidParams("", {"props": f"name one of {', '.join(_FIELDS)}"})
    node = await lock_agent(change.connection, agent_id)
    if values.get("scaling_group", node.resource_group) != node.resource_group:
        told = f"{agent_id} says itself that it is in {node.resource_group}: set resource-group in"
        raise InvalidParams("", {"scaling_group": f"{told} its agent.toml and restart its agent"})
    if "schedulable" in values:
        await allow_sessions(change, node, is_allowed=values["schedulable"])
