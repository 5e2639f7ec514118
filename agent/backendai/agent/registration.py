"""Tells the cluster where a daemon of this node listens: a key in etcd that lives with its lease.

Managers know old agents anyway, so etcd being away stops nothing: it is tried again at each step.
"""

import socket
from typing import Final

import msgspec

from backendai.common.config import ConfigStore, LeaseId
from backendai.common.failpoints import failpoint
from backendai.common.faults import Conflict
from backendai.common.logs import get_logger
from backendai.common.settings.checks import HostPort

log = get_logger(__name__)

NOTICES: Final = "nodes/agents/"
LEASE_SECONDS: Final = 30
PERIOD_SECONDS: Final = 8.0


class AgentNotice(msgspec.Struct, frozen=True):
    """The value of `nodes/agents/<id>`, as JSON."""

    addr: str
    public_key: str
    instance: str


def name_node(given: str | None) -> str:
    """The id of this node's agent, by which its watcher goes too: as its settings say, or by the
    name of the host."""
    return given or f"i-{socket.gethostname()}"


def address_told(advertised: HostPort | None, listening: str) -> str:
    """What others are told to connect to: what the settings say, or where the daemon listens."""
    return listening if advertised is None else f"tcp://{advertised}"


class Registration:
    def __init__(self, store: ConfigStore, key: str, notice: msgspec.Struct) -> None:
        self._store = store
        self._key = key
        self._value = msgspec.json.encode(notice).decode()
        self._lease: LeaseId | None = None

    async def step(self) -> None:
        """Keep the key alive. Raises StoreUnavailable, for the loop to try again."""
        if self._lease is not None and await self._store.refresh(self._lease):
            return
        await failpoint("agent.registration.before_put")
        lease = await self._store.grant(LEASE_SECONDS)
        try:
            await self._store.put(self._key, self._value, lease)
        except Conflict:
            return
        self._lease = lease
        await failpoint("agent.registration.after_put")
        log.info("node.registered", key=self._key)
