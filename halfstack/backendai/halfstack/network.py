"""The bridge and addresses of our own Docker daemon, and taking all of it away again."""

import fcntl
import ipaddress
import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .faults import SetupFault
from .places import Layout, write_file

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
# What the machine was like before the first of our instances; like the kernel's own state it
# goes with a reboot. Each instance copies it, so the last one to leave can restore it.
_BEFORE = Path("/run/bai-network.json")
_DOCKER_CHAINS = ("DOCKER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2", "DOCKER-USER")
_OUR_BRIDGE = re.compile(r"bai[0-9a-f]{8}")


@dataclass(frozen=True)
class Network:
    """Kept in the state directory: chosen once, with what the machine was like before us."""

    bridge: str
    octet: int
    had_docker_chains: bool
    forward_policy: str
    forwarding: str

    @property
    def gateway(self) -> str:
        return f"10.{self.octet}.0.1/24"

    @property
    def pool(self) -> str:
        """Addresses for the networks of sessions."""
        return f"10.{self.octet}.128.0/17"


def make_network(layout: Layout) -> Network:
    """Choose addresses unless that was done, and make the bridge."""
    with _locked_machine():
        network = _keep_network(layout)
        _make_bridge(network)
    return network


def _keep_network(layout: Layout) -> Network:
    path = _network_file(layout)
    if path.exists():
        return Network(**json.loads(path.read_text()))
    network = Network(
        bridge=f"bai{layout.instance}",
        octet=_choose_octet(int(layout.instance, 16)),
        **_keep_before(),
    )
    write_file(path, json.dumps(asdict(network), indent=1) + "\n")
    return network


def find_network(layout: Layout) -> Network | None:
    path = _network_file(layout)
    return Network(**json.loads(path.read_text())) if path.exists() else None


def _make_bridge(network: Network) -> None:
    """Idempotent: after a reboot the bridge is gone while our files are not."""
    if network.bridge not in _list_links():
        _run(["ip", "link", "add", "name", network.bridge, "type", "bridge"])
    _run(["ip", "address", "replace", network.gateway, "dev", network.bridge])
    _run(["ip", "link", "set", network.bridge, "up"])


def remove_network(network: Network) -> None:
    """Bridge, rules and, when no other engine uses them, the chains."""
    with _locked_machine():
        _remove_network(network)


def _remove_network(network: Network) -> None:
    if network.bridge in _list_links():
        _run(["ip", "link", "delete", network.bridge])
    for table in ("filter", "nat"):
        remove_rules(table, (network.bridge, f" 10.{network.octet}."))
    # An instance that is down has no engine, but its bridge and its containers.
    if any(_OUR_BRIDGE.fullmatch(name) for name in _list_links()):
        return
    if not network.had_docker_chains and not _is_engine_running():
        _remove_chains(network)
    _BEFORE.unlink(missing_ok=True)


def remove_chains(prefix: str) -> None:
    """Rules and chains of the agent whose names begin with `prefix`."""
    remove_rules("filter", [prefix])
    for rule in _list_rules("filter"):
        if rule.startswith(f"-N {prefix}"):
            _run(["iptables", "-w", "-X", rule.split()[1]], check=False)


def remove_rules(table: str, marks: Iterable[str]) -> None:
    """Delete every rule that names one of the marks."""
    for rule in _list_rules(table):
        if rule.startswith("-A") and any(mark in rule for mark in marks):
            _run(["iptables", "-w", "-t", table, "-D", *rule.split()[1:]], check=False)


def _remove_chains(network: Network) -> None:
    for table in ("filter", "nat"):
        remove_rules(table, [f"-j {chain}" for chain in _DOCKER_CHAINS])
        for action in ("-F", "-X"):
            for chain in _DOCKER_CHAINS:
                _run(["iptables", "-w", "-t", table, action, chain], check=False)
    _run(["iptables", "-w", "-P", "FORWARD", network.forward_policy], check=False)
    _FORWARDING.write_text(network.forwarding)


@contextmanager
def _locked_machine() -> Iterator[None]:
    """One instance at a time: the last one must not leave while another one comes."""
    folder = os.open(_BEFORE.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _keep_before() -> dict[str, Any]:
    if _BEFORE.exists():
        return dict(json.loads(_BEFORE.read_text()))
    before = {
        "had_docker_chains": _has_chain("filter", "DOCKER"),
        "forward_policy": _forward_policy(),
        "forwarding": _FORWARDING.read_text().strip(),
    }
    write_file(_BEFORE, json.dumps(before, indent=1) + "\n")
    return before


def _list_links() -> list[str]:
    return [link["ifname"] for link in json.loads(_run(["ip", "-json", "link", "show"]) or "[]")]


def _network_file(layout: Layout) -> Path:
    return layout.root / "network.json"


def _choose_octet(seed: int) -> int:
    used = _list_used_networks()
    for step in range(128):
        octet = 64 + (seed + step) % 128
        candidate = ipaddress.ip_network(f"10.{octet}.0.0/16")
        if not any(candidate.overlaps(other) for other in used):
            return octet
    raise SetupFault(
        "no private network between 10.64.0.0 and 10.191.255.255 is free on this machine",
        "point DOCKER_HOST at a running Docker daemon",
    )


def _list_used_networks() -> list[ipaddress.IPv4Network]:
    shown = json.loads(_run(["ip", "-4", "-json", "route", "show", "table", "all"]) or "[]")
    targets = [route["dst"] for route in shown if route.get("dst", "default") != "default"]
    return [ipaddress.IPv4Network(target, strict=False) for target in targets]


def _list_rules(table: str) -> list[str]:
    return _run(["iptables", "-w", "-t", table, "-S"], check=False).splitlines()


def _has_chain(table: str, chain: str) -> bool:
    return f"-N {chain}" in _list_rules(table)


def _forward_policy() -> str:
    policies = [rule.split()[2] for rule in _list_rules("filter") if rule.startswith("-P FORWARD")]
    return policies[0] if policies else "ACCEPT"


def _is_engine_running() -> bool:
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().strip() == "dockerd":
                return True
        except (FileNotFoundError, ProcessLookupError):
            continue
    return False


def _run(argv: list[str], *, check: bool = True) -> str:
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30)
    except FileNotFoundError as error:
        raise SetupFault(f"{argv[0]} is not installed", "run `./bai doctor` as root") from error
    if check and done.returncode != 0:
        raise SetupFault(
            f"`{' '.join(argv)}` failed: {done.stderr.strip()}",
            "run as root on a machine that may change its network, or set DOCKER_HOST",
        )
    return done.stdout
