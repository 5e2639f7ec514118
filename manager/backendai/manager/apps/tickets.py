"""The secret of the relays: the key of each, the tickets that open it, and who is told the keys."""

from typing import Protocol, TypeVar

from backendai.common.clock import Clock
from backendai.common.contracts.agent import SET_RELAY_KEYS, RelayKeys
from backendai.common.faults import NotOffered
from backendai.common.ids import AgentId
from backendai.common.relay_secrets import Secrets
from backendai.common.rpc.call import Call
from backendai.common.tickets import TICKET_LIFE_SECONDS, Ticket, derive_relay_key, seal_ticket
from backendai.manager.sessions.work import Place

Req = TypeVar("Req")
Rep = TypeVar("Rep")


class Agents(Protocol):
    async def ask(
        self,
        agent_id: AgentId,
        call: Call[Req, Rep],
        request: Req,
        timeout_seconds: float | None = None,
    ) -> Rep: ...


class Tickets:
    """Without a secret there are none, and no way into an app."""

    def __init__(self, secrets: Secrets | None, clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock

    @property
    def secret(self) -> bytes:
        """That signs now. Raises NotOffered."""
        if self._secrets is None:
            raise NotOffered("This installation has no [relay] secret-key-file, and so no apps.")
        return self._secrets.signing()

    def issue(self, place: Place, app: str, port: int) -> str:
        """Sealed text that opens that app of that generation of the kernel, for a short while."""
        ticket = Ticket(
            agent=place.agent_id,
            kernel=place.kernel.kernel_id,
            generation=place.kernel.generation,
            app=app,
            port=port,
            expires=int(self._clock.now().timestamp()) + TICKET_LIFE_SECONDS,
        )
        return seal_ticket(ticket, derive_relay_key(self.secret, place.agent_id))


class RelayKeyring:
    """Gives each agent the keys of its own relay."""

    def __init__(self, secrets: Secrets, agents: Agents) -> None:
        self._secrets = secrets
        self._agents = agents

    def version(self) -> object:
        return self._secrets.accepted()

    async def give(self, agent_id: AgentId) -> None:
        """Idempotent. Raises the agent's fault, or AgentTimeout."""
        accepted = self._secrets.accepted()
        keys = RelayKeys(keys=[derive_relay_key(secret, agent_id) for secret in accepted])
        await self._agents.ask(agent_id, SET_RELAY_KEYS, keys)
