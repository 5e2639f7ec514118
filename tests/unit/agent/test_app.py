"""The agent's start: what must be there before the first kernel."""

import pytest

from backendai.agent.app import guard_node
from backendai.agent.firewall import Firewall
from backendai.common.faults import ServerMisconfigured


class BrokenFirewall(Firewall):
    """On a machine whose iptables refuses."""

    async def ensure(self) -> None:
        raise ServerMisconfigured("iptables -N: no such table")


async def test_no_agent_starts_where_kernels_could_reach_the_node() -> None:
    with pytest.raises(ServerMisconfigured, match=r"no such table.*firewall = false"):
        await guard_node(BrokenFirewall("bai", []))


async def test_an_agent_without_bridges_needs_no_firewall() -> None:
    await guard_node(None)
