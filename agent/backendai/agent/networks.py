"""Names of an agent's networks and of their interfaces, made from its id. PURE.

Two agents on one machine never share a name, and a purge or a firewall finds all of one agent's.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

_INTERFACE_CHARS_MAX: Final = 15


@dataclass(frozen=True, slots=True)
class NetworkNames:
    agent_id: str

    @property
    def common(self) -> str:
        """The network of all kernels that are alone in their session."""
        return f"bai-{self._digest(12)}"

    @property
    def interface_prefix(self) -> str:
        """What the name of each interface of the agent's networks begins with."""
        return f"bai{self._digest(5)}"

    def network_of(self, name: str) -> str:
        """The engine's name of the network `name`; empty is the common one."""
        return f"{self.common}-{name}" if name else self.common

    def interface_of(self, name: str) -> str:
        tail = hashlib.sha256(name.encode()).hexdigest()[:6] if name else "0"
        return f"{self.interface_prefix}s{tail}"[:_INTERFACE_CHARS_MAX]

    def _digest(self, chars: int) -> str:
        return hashlib.sha256(self.agent_id.encode()).hexdigest()[:chars]
