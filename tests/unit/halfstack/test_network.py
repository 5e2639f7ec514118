"""What the last instance restores is what the machine was like before the first."""

import fcntl
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backendai.halfstack import network
from backendai.halfstack.places import Layout


class Machine:
    """Links, rules and the engine of a made-up machine, as `ip` and `iptables` show them."""

    def __init__(self) -> None:
        self.links = ["lo"]
        self.chains: list[str] = []
        self.rules: list[str] = []
        self.policy = "ACCEPT"
        self.deleted: list[str] = []
        self.is_engine_running = True

    def run(self, argv: list[str], *, check: bool = True) -> str:
        match argv:
            case ["ip", "-json", "link", *_]:
                return json.dumps([{"ifname": name} for name in self.links])
            case ["ip", "link", "delete", name]:
                self.links.remove(name)
            case ["ip", "link", "add", "name", name, *_]:
                self.links.append(name)
            case ["iptables", "-w", "-t", _, "-S"]:
                heads = [f"-P FORWARD {self.policy}", *(f"-N {chain}" for chain in self.chains)]
                return "\n".join(heads + self.rules)
            case ["iptables", "-w", "-t", _, "-X", chain]:
                self.chains = [name for name in self.chains if name != chain]
            case ["iptables", "-w", "-P", "FORWARD", policy]:
                self.policy = policy
            case ["iptables", "-w", "-t", _, "-D", *words]:
                self.deleted.append(" ".join(words))
        return ""

    def start_docker(self) -> None:
        self.chains, self.policy = ["DOCKER", "DOCKER-USER"], "DROP"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    forwarding = tmp_path / "ip_forward"
    forwarding.write_text("0\n")
    monkeypatch.setattr(network, "_FORWARDING", forwarding)
    monkeypatch.setattr(network, "_BEFORE", tmp_path / "before.json")
    monkeypatch.setattr(network, "_run", made.run)
    monkeypatch.setattr(network, "_is_engine_running", lambda: made.is_engine_running)
    return made


def _make(machine: Machine, root: Path) -> network.Network:
    made = network.make_network(Layout(root))
    machine.start_docker()
    return made


def test_the_last_instance_restores_the_machine(machine: Machine, tmp_path: Path) -> None:
    one, two = _make(machine, tmp_path / "one"), _make(machine, tmp_path / "two")
    network.remove_network(one)
    assert (machine.chains, machine.policy) == (["DOCKER", "DOCKER-USER"], "DROP")
    machine.is_engine_running = False
    network.remove_network(two)
    assert (machine.chains, machine.policy, machine.links) == ([], "ACCEPT", ["lo"])
    assert not network._BEFORE.exists()


def test_an_instance_that_is_down_keeps_its_rules(machine: Machine, tmp_path: Path) -> None:
    one, two = _make(machine, tmp_path / "one"), _make(machine, tmp_path / "two")
    machine.is_engine_running = False
    network.remove_network(two)
    assert (one.bridge in machine.links, machine.policy) == (True, "DROP")


def test_chains_of_the_machines_own_docker_stay(machine: Machine, tmp_path: Path) -> None:
    machine.start_docker()
    only = _make(machine, tmp_path / "one")
    machine.is_engine_running = False
    network.remove_network(only)
    assert (machine.chains, machine.policy) == (["DOCKER", "DOCKER-USER"], "DROP")


def test_only_rules_of_our_own_addresses_are_deleted(machine: Machine, tmp_path: Path) -> None:
    only = _make(machine, tmp_path / "one")
    ours = f"-A POSTROUTING -s 10.{only.octet}.0.0/24 -j MASQUERADE"
    machine.rules = [ours, f"-A INPUT -s 172.10.{only.octet}.5/32 -j ACCEPT"]
    network.remove_network(only)
    assert set(machine.deleted) == {ours.removeprefix("-A ")}


def test_no_instance_comes_while_another_one_leaves(machine: Machine, tmp_path: Path) -> None:
    leaving = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(leaving, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(_make, machine, tmp_path / "one")
        assert not coming.done()
        assert machine.links == ["lo"]
        os.close(leaving)
        assert coming.result(timeout=30).bridge in machine.links
