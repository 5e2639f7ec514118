"""What a node and a manager say when the node joins the cluster: over HTTP, and over RPC as the
proof of the node's key and of the way back to it."""

from typing import Final

import msgspec

from backendai.common.rpc.call import Call
from backendai.common.settings.checks import HostPort

TOKEN_PREFIX: Final = "join-"  # noqa: S105 - how a token is known for one
TOKEN_CHARS_MAX: Final = 128
JOIN_PATH: Final = "/agents/join"
JOIN_TOKENS_PATH: Final = "/agents/join-tokens"


class JoinToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is shown once, to whoever made it. `expires_at` is an ISO time."""

    id: str
    token: str
    resource_group: str
    expires_at: str


class OpenToken(msgspec.Struct, frozen=True, kw_only=True):
    """One that a node may still join by. Its text is known to nobody but who was shown it."""

    id: str
    resource_group: str
    expires_at: str


class OpenTokens(msgspec.Struct, frozen=True):
    items: tuple[OpenToken, ...]


class JoinRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`address` is where managers shall reach the agent, `public_key` what it proves there."""

    token: str
    agent_id: str
    address: str
    public_key: str


class EtcdPlace(msgspec.Struct, frozen=True, kw_only=True):
    """As the manager has it; a loopback address is the manager's own machine. `more_addrs` are of
    further members; managers of earlier releases name none."""

    namespace: str
    host: str
    port: int
    more_addrs: tuple[HostPort, ...] = ()
    user: str = ""
    password: str = ""

    @property
    def members(self) -> tuple[HostPort, ...]:
        return (HostPort(self.host, self.port), *self.more_addrs)


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a node needs to be one. `manager_keys` are public keys of the managers that run."""

    resource_group: str
    manager_keys: tuple[str, ...]
    etcd: EtcdPlace


class Prove(msgspec.Struct, frozen=True):
    nonce: str


class Proof(msgspec.Struct, frozen=True):
    """The same nonce: that the reply could be read is the proof of the key."""

    nonce: str
    agent_id: str


PROVE: Final = Call("prove", Prove, Proof, idempotent=True, deadline_seconds=5.0)
CONTRACT: Final = (PROVE,)
