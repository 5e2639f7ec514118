"""The network between the hosts: a bridge of the machine, on which the control plane listens."""

import fcntl
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from backendai.halfstack.network import remove_rules

PREFIX: Final = "bai-h"
_LOCALNET: Final = "/proc/sys/net/ipv4/conf/{bridge}/route_localnet"


def run(*argv: str) -> str:
    """Standard output of a command that has to succeed."""
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.strip()}"
    return done.stdout


class Bridge:
    """Made by the first address that is free: its name is the claim, which one test run wins."""

    def __init__(self) -> None:
        with locked():
            self.name, self._network = _claim()
        run("ip", "address", "add", f"{self.address}/24", "dev", self.name)
        run("ip", "link", "set", self.name, "up")
        self._let_through()

    @property
    def address(self) -> str:
        """Of the machine: there the hosts find the control plane."""
        return f"{self._network}.254"

    def address_of(self, number: int) -> str:
        return f"{self._network}.{number}"

    def plug(self, number: int, pid: int) -> None:
        """A cable from the bridge to the network of process `pid`, where it is `eth0`.

        No route leads further: some machines' gateways answer for any address, and what cannot be
        reached would seem to be there. Who takes over a number is found at once: the cable's own
        address stays with it, as VRRP has it.
        """
        outer, inside = f"{self.name}.{number}", ("nsenter", "-t", str(pid), "-n", "ip")
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        run("ip", "link", "set", outer, "master", self.name, "up")
        run(*inside, "address", "add", f"{self.address_of(number)}/24", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "address", f"02:00:00:00:00:{number:02x}", "up")

    def unplug(self, number: int) -> None:
        """At once: a network that has lost its processes keeps its end for some seconds."""
        _delete(f"{self.name}.{number}")

    def remove(self) -> None:
        _remove(self.name)

    def _let_through(self) -> None:
        """Between hosts, whatever an engine of the machine thinks of forwarding; and from hosts to
        what listens on the machine's loopback, at the same ports."""
        Path(_LOCALNET.format(bridge=self.name)).write_text("1")
        between = ("-i", self.name, "-o", self.name, "-j", "ACCEPT")
        run("iptables", "-w", "-I", "FORWARD", *between)
        arriving = ("-i", self.name, "-p", "tcp", "-d", self.address)
        to = ("-j", "DNAT", "--to-destination", "127.0.0.1")
        run("iptables", "-w", "-t", "nat", "-I", "PREROUTING", *arriving, *to)


def remove_stale_bridges() -> None:
    """Those of test runs that were killed."""
    with locked():
        for link in json.loads(run("ip", "-json", "link", "show") or "[]"):
            name, owner = link["ifname"], link.get("ifalias", "")
            if name.startswith(PREFIX) and "." not in name and not is_owner_alive(owner):
                _remove(name)


@contextmanager
def locked() -> Iterator[None]:
    """One test run at a time: nobody takes for stale what another is about to make or remove."""
    folder = os.open(tempfile.gettempdir(), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def name_owner() -> str:
    """This process, so that another that gets its number later is not taken for it."""
    me = psutil.Process()
    return f"{me.pid} {me.create_time():.2f}"


def is_owner_alive(owner: str) -> bool:
    pid, _, created = owner.partition(" ")
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" == created
    except (psutil.NoSuchProcess, ValueError):
        return False


def _claim() -> tuple[str, str]:
    for number, network in _list_free():
        name = f"{PREFIX}{number}"
        add = ["ip", "link", "add", name, "type", "bridge"]
        if subprocess.run(add, check=False, capture_output=True).returncode == 0:
            run("ip", "link", "set", name, "alias", name_owner())
            return name, network
    raise AssertionError("no network below 10.210.0.0/16 is free")


def _list_free() -> Iterator[tuple[int, str]]:
    routes = run("ip", "-4", "route", "show", "table", "all")
    for number in range(1, 250):
        network = f"10.210.{number}"
        if f"{network}." not in routes:
            yield number, network


def _remove(name: str) -> None:
    for table in ("filter", "nat"):
        remove_rules(table, [f" {name} "])
    _delete(name)


def _delete(link: str) -> None:
    """Whether it is there or not."""
    subprocess.run(["ip", "link", "delete", link], check=False, capture_output=True)
