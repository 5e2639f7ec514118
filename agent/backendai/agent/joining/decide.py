"""PURE: what a machine that joins becomes: where it is found, its settings, and what is refused."""

import email.utils
import ipaddress
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import trafaret as t

from backendai.common.contracts.joining import EtcdPlace, Welcome
from backendai.common.faults import Conflict, ServerMisconfigured
from backendai.common.settings.checks import HostPort, host_port, is_host

CLOCK_SECONDS_MAX: Final = 60.0
RPC_PORT: Final = 6001
RELAY_PORT: Final = 6002
RPC_SETTING: Final = "rpc-listen-addr"
RELAY_SETTING: Final = "relay-listen-addr"
KEY_FILE: Final = "agent.key"
MANAGER_KEYS_FILE: Final = "manager-keys"
_NO_ADDRESS: Final = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person asked for. `host` and ports None: as `find_place` says; `etcd` empty: the
    members that the manager names."""

    manager: str
    token: str
    config: Path
    agent_id: str
    host: str | None = None
    rpc_port: int | None = None
    relay_port: int | None = None
    etcd: tuple[HostPort, ...] = ()

    @property
    def folder(self) -> Path:
        return self.config.parent

    @property
    def manager_host(self) -> str:
        return urlsplit(self.manager).hostname or ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where managers and app proxies find the node, and by which key. `host` empty: the address by
    which this machine reaches managers; `relay_host` empty: the same as `host`."""

    host: str
    rpc_port: int
    relay_port: int
    key_file: Path
    relay_host: str = ""


@dataclass(frozen=True, slots=True)
class Membership:
    """By what a cluster is known: `keys` are public ones of its managers. `namespace` None: not
    said."""

    namespace: str | None
    members: frozenset[HostPort]
    keys: frozenset[str]


def check_manager(address: str) -> None:
    """Raises ServerMisconfigured."""
    try:
        parts = urlsplit(address)
        is_one = parts.scheme in ("http", "https") and is_host(parts.hostname or "")
        # Reading the port is what finds that it is none.
        is_one = is_one and parts.port != 0 and not _NO_ADDRESS.search(address)
    except ValueError:
        is_one = False
    if not is_one:
        raise ServerMisconfigured(
            f"{address!r} is no address of a manager: write https://manager.example.com"
        )


def judge_transport(manager: str) -> str:
    """What others may do who see what is sent to the manager; empty where nobody does."""
    parts = urlsplit(manager)
    if parts.scheme == "https" or _is_loopback(parts.hostname or ""):
        return ""
    return (
        f"{manager} is not encrypted: who can listen on the way learns the token, by which another "
        "machine may join first, and the password of etcd. Use https, or a network of nodes only"
    )


def judge_clock(told: str, now: datetime) -> str:
    """What is wrong with this machine's clock, by the `Date` of an answer; empty if none."""
    try:
        moment = email.utils.parsedate_to_datetime(told)
    except (TypeError, ValueError):
        return ""
    seconds = (now - moment).total_seconds()
    if abs(seconds) <= CLOCK_SECONDS_MAX:
        return ""
    way = "ahead of" if seconds > 0 else "behind"
    return f"the clock of this machine is {abs(seconds):.0f} s {way} the manager's: set it"


def judge_certificate(reason: object) -> str:
    """What to do about a certificate that is not trusted; empty where that is not it."""
    if not isinstance(reason, ssl.SSLCertVerificationError):
        return ""
    return (
        ". If a CA of your own signed it, name its file in SSL_CERT_FILE; "
        "if it seems to be of another time, look at this machine's clock"
    )


def read_place(text: str) -> HostPort:
    """Raises ServerMisconfigured."""
    try:
        found: HostPort = host_port().trafaret.check(text)
    except t.DataError as error:
        raise ServerMisconfigured(f"--etcd {text}: {error}") from None
    return found


def find_etcd(place: EtcdPlace, manager_host: str) -> tuple[HostPort, ...]:
    """Where a node finds the members of etcd: what is loopback for the manager is the manager's
    machine."""
    return tuple(
        HostPort(manager_host if _is_loopback(member.host) else member.host, member.port)
        for member in place.members
    )


def find_place(plan: Plan, known: Mapping[str, Any]) -> Place:
    """What is not asked for stays as this machine has it, so that who joins again is found where
    managers and app proxies know it. Raises ServerMisconfigured."""
    own = known.get("agent", {})
    rpc = _read_listening(plan.config, own, RPC_SETTING)
    relay = _read_listening(plan.config, own, RELAY_SETTING)
    key_file = Path(str(own.get("rpc-keypair", "")))
    return Place(
        host=plan.host or _known_outside(rpc.host),
        rpc_port=plan.rpc_port or rpc.port or RPC_PORT,
        relay_port=plan.relay_port or relay.port or RELAY_PORT,
        # A relative one is relative to where the agent is started.
        key_file=key_file if key_file.is_absolute() else plan.folder.absolute() / KEY_FILE,
        # One that is asked for is for both.
        relay_host="" if plan.host else _known_outside(relay.host),
    )


def _known_outside(host: str) -> str:
    """Empty for what no other machine finds this one by."""
    return "" if _is_loopback(host) or is_unspecified(host) else host


def _read_listening(config: Path, own: Mapping[str, Any], name: str) -> HostPort:
    """Everywhere and anywhere, where nothing is said."""
    try:
        found: HostPort = host_port(port_min=0).trafaret.check(own.get(name, "0.0.0.0:0"))
    except t.DataError as error:
        raise ServerMisconfigured(f"{config}: {name} of [agent]: {error}") from None
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def compose(
    plan: Plan, place: Place, members: Sequence[HostPort], welcome: Welcome
) -> Mapping[str, Any]:
    """The settings of the agent."""
    first, *more = [{"host": member.host, "port": member.port} for member in members]
    login = {"user": welcome.etcd.user, "password": welcome.etcd.password}
    return {
        "etcd": {
            "namespace": welcome.etcd.namespace,
            "addr": first,
            # An empty list as well: it takes the place of one from an earlier time.
            "more-addrs": more,
            **(login if welcome.etcd.user else {}),
        },
        "agent": {
            "id": plan.agent_id,
            RPC_SETTING: {"host": place.host, "port": place.rpc_port},
            RELAY_SETTING: {
                "host": place.relay_host or place.host,
                "port": place.relay_port,
            },
            "rpc-keypair": str(place.key_file),
            "manager-public-keys-file": str(plan.folder.absolute() / MANAGER_KEYS_FILE),
            "resource-group": welcome.resource_group,
        },
    }


def lay_over(known: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an operator has set beside what the cluster says stays."""
    sections = {*known, *values}
    return {name: {**known.get(name, {}), **values.get(name, {})} for name in sorted(sections)}


def refuse_other_name(plan: Plan, known: Mapping[str, Any]) -> None:
    """Raises Conflict where this machine is a node already, and not the one that is to join."""
    name = known.get("agent", {}).get("id")
    if name not in (None, "", plan.agent_id):
        raise Conflict(f"{plan.config} calls this node {name}, not {plan.agent_id}")


def refuse_other_cluster(config: Path, old: Membership, new: Membership) -> None:
    """Raises Conflict where what is known of this machine is of another cluster.

    One manager has several names, and etcd several members: a key of a manager or one address in
    common says that it is the same.
    """
    if old.namespace not in (None, new.namespace):
        raise Conflict(
            f"this machine is a node of another cluster: [etcd] namespace of {config} is "
            f"{old.namespace}, not {new.namespace}. Move the file away to join this one"
        )
    if old.members and not (old.members & new.members or old.keys & new.keys):
        raise Conflict(
            f"this machine is a node of another cluster: [etcd] of {config} names "
            f"{_list(old.members)}, not {_list(new.members)}, and none of these managers' keys is "
            "known here. Move the file away to join this one; the same etcd is named with --etcd"
        )


def _list(members: frozenset[HostPort]) -> str:
    return ", ".join(sorted(map(str, members)))
