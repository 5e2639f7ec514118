"""Networks of sessions over several nodes: attachable overlays of the Docker Swarm.

Only nodes that manage the swarm can make and remove them; the others get into one by its name. An
overlay leads to the session's kernels and nowhere else: it is internal, so that the engine gives
them no second way out, through a bridge that no rule of ours watches.
"""

import http
from typing import Any, Final

import docker.errors

from backendai.agent import labels
from backendai.common.contracts.agent import SwarmReport

from .client import Api

_ACTIVE: Final = "active"
_ENCRYPTED: Final = "encrypted"
# How the engine answers while a container of any node is in the network.
_IN_USE: Final = frozenset({http.HTTPStatus.BAD_REQUEST, http.HTTPStatus.FORBIDDEN})


class Overlays:
    """`is_encrypted`: what goes between nodes is encrypted by their kernels (IPsec)."""

    def __init__(self, *, is_encrypted: bool = False) -> None:
        self._options = {_ENCRYPTED: ""} if is_encrypted else {}

    def read(self, api: Api) -> SwarmReport:
        """The swarm that the engine is in, and the networks of sessions there."""
        said: dict[str, Any] = api.info().get("Swarm") or {}
        if said.get("LocalNodeState") != _ACTIVE:
            return SwarmReport()
        # A manager that has lost the majority of the others knows no cluster, and can do nothing.
        swarm_id = str((said.get("Cluster") or {}).get("ID") or "")
        return SwarmReport(
            node_id=str(said["NodeID"]),
            swarm_id=swarm_id,
            managers=sorted(str(one["NodeID"]) for one in said.get("RemoteManagers") or ()),
            networks=sorted(self._list(api)) if swarm_id else [],
        )

    def ensure(self, api: Api, name: str) -> None:
        """Whoever makes it first, of several nodes, has made it for all."""
        try:
            api.create_network(
                name,
                driver="overlay",
                attachable=True,
                internal=True,
                options=self._options,
                labels={labels.CLUSTER_NETWORK: name},
            )
        except docker.errors.APIError as error:
            if error.status_code != http.HTTPStatus.CONFLICT:
                raise

    def remove(self, api: Api, name: str) -> None:
        if name not in self._list(api):
            return
        try:
            api.remove_network(name)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if error.status_code not in _IN_USE:
                raise

    def _list(self, api: Api) -> list[str]:
        filters = {"scope": ["swarm"], "label": [labels.CLUSTER_NETWORK]}
        found: list[dict[str, Any]] = api.networks(filters=filters)
        return [str(one["Name"]) for one in found]
