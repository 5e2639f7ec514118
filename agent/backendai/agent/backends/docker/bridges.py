"""Bridges of kernels: one per session, and one for all single kernels, apart from each other.

Names come from the agent's id, so that two agents on one engine never share a bridge and a purge
finds all of them.
"""

import contextlib
import hashlib
from typing import Any, Final

import docker.errors

from backendai.agent import labels

from .client import Api

_NAME_LENGTH_MAX: Final = 15  # of a network interface
_ICC: Final = "com.docker.network.bridge.enable_icc"
_INTERFACE: Final = "com.docker.network.bridge.name"


class Bridges:
    """Networks of one agent. `interface_prefix` begins the name of each of their interfaces."""

    def __init__(self, agent_id: str) -> None:
        digest = hashlib.sha256(agent_id.encode()).hexdigest()
        self._agent_id = agent_id
        self._common = f"bai-{digest[:12]}"
        self.interface_prefix = f"bai{digest[:5]}"

    def network_of(self, name: str) -> str:
        """The engine's name of the network `name`; empty is the common one."""
        return f"{self._common}-{name}" if name else self._common

    def interface_of(self, name: str) -> str:
        tail = hashlib.sha256(name.encode()).hexdigest()[:6] if name else "0"
        return f"{self.interface_prefix}s{tail}"[:_NAME_LENGTH_MAX]

    def ensure(self, api: Api, name: str) -> None:
        network = self.network_of(name)
        try:
            api.create_network(
                network,
                driver="bridge",
                check_duplicate=True,
                options={
                    _ICC: "true" if name else "false",
                    _INTERFACE: self.interface_of(name),
                },
                labels={labels.AGENT: self._agent_id, labels.NETWORK: name},
            )
        except docker.errors.APIError as error:
            if not self._exists(api, network):
                raise error

    def remove(self, api: Api, name: str) -> None:
        # The engine refuses while a container is in it, which is what is wanted then.
        with contextlib.suppress(docker.errors.NotFound, docker.errors.APIError):
            api.remove_network(self.network_of(name))

    def list_names(self, api: Api) -> list[str]:
        """The names of the agent's networks, as `ensure` was given them."""
        found: list[dict[str, Any]] = api.networks(
            filters={"label": [f"{labels.AGENT}={self._agent_id}"]}
        )
        return [(one.get("Labels") or {}).get(labels.NETWORK, "") for one in found]

    def _exists(self, api: Api, network: str) -> bool:
        return any(one["Name"] == network for one in api.networks(names=[network]))
