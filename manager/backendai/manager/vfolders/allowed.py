"""What storage hosts allow to somebody, and who says so: a domain, projects, a policy. PURE."""

import enum
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backendai.common.enums import HostPermission
from backendai.common.faults import Forbidden


class GiverKind(enum.StrEnum):
    DOMAIN = "domain"
    PROJECT = "project"
    POLICY = "keypair policy"


@dataclass(frozen=True, slots=True)
class Giver:
    """`hosts` is its `allowed_vfolder_hosts`: host -> what it allows there. `domain` is a
    project's."""

    kind: GiverKind
    name: str
    hosts: Mapping[str, Sequence[str]]
    domain: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}"

    def command(self, host: str, permission: HostPermission) -> str:
        """What lets it allow this too. Where it allowed nothing on the host, that is everything:
        whoever is to make folders is to use them."""
        there = [*self.hosts.get(host, ())]
        wanted = [*there, permission.value] if there else [each.value for each in HostPermission]
        hosts = {**self.hosts, host: wanted}
        words = [f"--vfolder-host {shlex.quote(h)}={','.join(w)}" for h, w in hosts.items() if w]
        more = {
            GiverKind.DOMAIN: ["domain", "update", self.name],
            GiverKind.PROJECT: ["project", "update", self.name, "--domain", self.domain],
            GiverKind.POLICY: ["policy", "update", self.name, "--of", "keypair"],
        }[self.kind]
        return " ".join(["backendai admin", shlex.join(more), *words])


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The union of what all `givers` allow."""

    givers: tuple[Giver, ...] = ()

    def on(self, host: str) -> frozenset[HostPermission]:
        words = {word for giver in self.givers for word in giver.hosts.get(host, ())}
        return frozenset(map(HostPermission, words))

    @property
    def hosts(self) -> list[str]:
        """On which anything is allowed."""
        named = {host for giver in self.givers for host, words in giver.hosts.items() if words}
        return sorted(named)


NOTHING: Final = AllowedHosts()


def require_on_host(allowed: AllowedHosts, host: str, permission: HostPermission) -> None:
    """Raises Forbidden that names who could allow it, where it is allowed, and how to."""
    if permission in allowed.on(host):
        return
    others = [other for other in allowed.hosts if permission in allowed.on(other)]
    facts = {"host": host, "permission": permission.value, "allowed": others}
    told = (
        f"{permission.value} on {host} is allowed by none of: "
        f"{', '.join(map(str, allowed.givers)) or 'nobody'}; "
        f"they allow it on: {', '.join(others) or 'no host'}."
    )
    if allowed.givers:
        # The domain where there is one: others than its users do not get it by that.
        facts["command"] = allowed.givers[0].command(host, permission)
        told += f" An administrator allows it by: {facts['command']}"
    raise Forbidden(told, facts)
