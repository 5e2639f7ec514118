"""Bridges of kernels: one per session, and one for all single kernels, apart from each other."""

import http
from collections.abc import Iterable
from typing import Any, Final

import docker.errors

from backendai.agent import labels
from backendai.agent.networks import NetworkNames

from .client import Api

_ICC: Final = "com.docker.network.bridge.enable_icc"
_INTERFACE: Final = "com.docker.network.bridge.name"


class Bridges:
    """Networks of one agent on a Docker engine."""

    def __init__(self, agent_id: str) -> None:
        self._agent_id = agent_id
        self._names = NetworkNames(agent_id)

    def network_of(self, name: str) -> str:
        """The engine's name of the network `name`; empty is the common one."""
        return self._names.network_of(name)

    def ensure(self, api: Api, name: str) -> None:
        network = self.network_of(name)
        try:
            api.create_network(
                network,
                driver="bridge",
                check_duplicate=True,
                options={
                    _ICC: "true" if name else "false",
                    _INTERFACE: self._names.interface_of(name),
                },
                labels={labels.AGENT: self._agent_id, labels.NETWORK: name},
            )
        except docker.errors.APIError as error:
            if not self._exists(api, network):
                raise error

    def attach(self, api: Api, container_id: str, name: str) -> None:
        """Put a container of another network into this one too; one that is in it stays."""
        network = self.network_of(name)
        details = api.inspect_container(container_id)
        if network not in details["NetworkSettings"]["Networks"]:
            api.connect_container_to_network(container_id, network)

    def remove(self, api: Api, name: str) -> None:
        try:
            api.remove_network(self.network_of(name))
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            # The engine forbids it while a container is in it, which is what is wanted then.
            if error.status_code != http.HTTPStatus.FORBIDDEN:
                raise

    def remove_all(self, api: Api, names: Iterable[str]) -> None:
        for name in names:
            self.remove(api, name)

    def list_names(self, api: Api) -> list[str]:
        """The names of the agent's networks, as `ensure` was given them."""
        found: list[dict[str, Any]] = api.networks(
            filters={"label": [f"{labels.AGENT}={self._agent_id}"]}
        )
        return [(one.get("Labels") or {}).get(labels.NETWORK, "") for one in found]

    def _exists(self, api: Api, network: str) -> bool:
        return any(one["Name"] == network for one in api.networks(names=[network]))
