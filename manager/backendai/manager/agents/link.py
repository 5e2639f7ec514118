"""The way to the agents: one encrypted connection for each, made anew when it moves."""

from typing import Final, Protocol, TypeVar

from backendai.common.faults import AgentTimeout
from backendai.common.ids import AgentId
from backendai.common.rpc.call import Call, Peer, Timed, untimed
from backendai.common.rpc.client import RpcPeer
from backendai.common.rpc.curve import KeyPair

from .model import Contact

Req = TypeVar("Req")
Rep = TypeVar("Rep")


class AgentLink(Protocol):
    """How the core speaks with agents."""

    async def ask(
        self,
        agent_id: AgentId,
        call: Call[Req, Rep],
        request: Req,
        timeout_seconds: float | None = None,
    ) -> Rep:
        """The agent's reply. Raises its fault, or AgentTimeout when there is no way or no reply."""
        ...

    async def connect(self, contact: Contact) -> None:
        """Speak with this agent at `contact` from now on."""
        ...


class RpcLinks:
    """An AgentLink over ZeroMQ. `keypair` None speaks without encryption, for tests only."""

    def __init__(self, keypair: KeyPair | None) -> None:
        self.keypair: Final = keypair
        self._timed: Timed = untimed
        self._peers: dict[AgentId, RpcPeer] = {}
        self._contacts: dict[AgentId, Contact] = {}

    def measure(self, timed: Timed) -> None:
        """Enter `timed` with the name of each call from now on."""
        self._timed = timed

    async def connect(self, contact: Contact) -> None:
        if self._contacts.get(contact.agent_id) == contact:
            return
        old = self._peers.pop(contact.agent_id, None)
        key = contact.public_key if self.keypair is not None else None
        address = contact.address if "://" in contact.address else f"tcp://{contact.address}"
        self._peers[contact.agent_id] = RpcPeer(address, key, self.keypair)
        self._contacts[contact.agent_id] = contact
        if old is not None:
            await old.close()

    async def ask(
        self,
        agent_id: AgentId,
        call: Call[Req, Rep],
        request: Req,
        timeout_seconds: float | None = None,
    ) -> Rep:
        peer: Peer | None = self._peers.get(agent_id)
        if peer is None:
            raise AgentTimeout(f"agent {agent_id} has not been found yet")
        with self._timed(call.name):
            return await peer.ask(call, request, timeout_seconds)

    async def close(self) -> None:
        peers, self._peers, self._contacts = self._peers, {}, {}
        for peer in peers.values():
            await peer.close()
