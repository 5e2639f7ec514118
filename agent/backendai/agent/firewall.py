"""Keeps kernels away from the node and the control plane, and everybody away from kernels, by
iptables rules in chains of our own.

The rules speak of the agent's own bridges only, so that they touch nothing else on the machine.
Pure functions make the words; `Firewall` runs them, and running them again changes nothing.
"""

import asyncio
import ipaddress
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backendai.common.failpoints import failpoint
from backendai.common.faults import ServerMisconfigured
from backendai.common.logs import get_logger

log = get_logger(__name__)

LINK_LOCAL: Final = "169.254.0.0/16"
# Packets between the nodes of a swarm: whoever could send some would be in all of its networks.
VXLAN_PORT: Final = 4789
COMMAND_SECONDS_MAX: Final = 10.0
_DOCKER_CHAIN: Final = "DOCKER-USER"

Rule = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of ours, the one that leads there what `match` matches, and the rules in it."""

    name: str
    parent: str
    match: Rule
    rules: tuple[Rule, ...]

    @property
    def jump(self) -> Rule:
        return (*self.match, "-j", self.name)


def make_chains(prefix: str, blocked: Sequence[str], forward_parent: str) -> tuple[Chain, ...]:
    """What the bridges whose names begin with `prefix` may not reach, nor be reached from. PURE.

    To the node itself: nothing but answers. Through the node: no link-local address, where clouds
    keep their metadata, none of `blocked`, and nothing that nodes of a swarm take for each other's.
    From the node, and through it from elsewhere: nothing but answers, so that a server in a kernel
    is for its own session and who has a ticket.
    """
    answers: Rule = ("-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "RETURN")
    drops: tuple[Rule, ...] = (
        *(("-d", network, "-j", "DROP") for network in (LINK_LOCAL, *blocked)),
        ("-p", "udp", "--dport", str(VXLAN_PORT), "-j", "DROP"),
    )
    interface = f"{prefix}+"
    only_answers: tuple[Rule, ...] = (answers, ("-j", "DROP"))
    into = ("!", "-i", interface, "-o", interface)
    return (
        Chain(f"{prefix}-IN", "INPUT", ("-i", interface), only_answers),
        Chain(f"{prefix}-FWD", forward_parent, ("-i", interface), (answers, *drops)),
        Chain(f"{prefix}-OUT", "OUTPUT", ("-o", interface), only_answers),
        Chain(f"{prefix}-INTO", forward_parent, into, only_answers),
    )


class Firewall:
    """The chains of one agent. `blocked` are addresses or networks of the control plane."""

    def __init__(self, prefix: str, blocked: Sequence[str]) -> None:
        self._prefix = prefix
        self._blocked = [str(ipaddress.ip_network(one, strict=False)) for one in blocked]

    @staticmethod
    def is_possible() -> bool:
        return os.geteuid() == 0 and shutil.which("iptables") is not None

    async def ensure(self) -> None:
        """Make every chain and rule that is not there. Raises ServerMisconfigured."""
        await failpoint("agent.firewall.before_ensure")
        for chain in await self._chains():
            if not await _succeeds("-n", "-L", chain.name):
                await _run("-N", chain.name)
            for rule in chain.rules:
                if not await _succeeds("-C", chain.name, *rule):
                    await _run("-A", chain.name, *rule)
            if not await _succeeds("-C", chain.parent, *chain.jump):
                await _run("-I", chain.parent, "1", *chain.jump)
        await failpoint("agent.firewall.after_ensure")

    async def remove(self) -> None:
        """Take all of it away; what is not there is as wanted."""
        for chain in await self._chains():
            for parent in {chain.parent, "FORWARD"}:
                while await _succeeds("-D", parent, *chain.jump):
                    log.debug("firewall.jump_removed", chain=chain.name, parent=parent)
            await _succeeds("-F", chain.name)
            await _succeeds("-X", chain.name)

    async def _chains(self) -> tuple[Chain, ...]:
        """The engine's chain for its users' rules, where it has one, comes before its own."""
        has_engine_chain = await _succeeds("-n", "-L", _DOCKER_CHAIN)
        parent = _DOCKER_CHAIN if has_engine_chain else "FORWARD"
        ours = [one for one in self._blocked if ":" not in one]
        return make_chains(self._prefix, ours, parent)


async def _run(*words: str) -> None:
    code, said = await _call(words)
    if code != 0:
        raise ServerMisconfigured(f"iptables {' '.join(words)}: {said}")


async def _succeeds(*words: str) -> bool:
    return (await _call(words))[0] == 0


async def _call(words: Sequence[str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        "iptables",
        "-w",
        "5",
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(COMMAND_SECONDS_MAX):
            output, _ = await process.communicate()
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise ServerMisconfigured(f"iptables {' '.join(words)} does not end") from error
    return process.returncode or 0, output.decode("utf-8", "replace").strip()
