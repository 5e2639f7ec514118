"""What an instance may leave on a machine."""

import json
import os
import subprocess
from pathlib import Path

from backendai.halfstack.network import Network
from backendai.halfstack.places import Layout


def find_traces(layout: Layout, network: Network) -> list[str]:
    """Links, addresses, rules, mounts, cgroups, processes and files of the instance."""
    found = [*_find_in_network(network), *_find_processes(layout)]
    root = str(layout.root)
    found += [line for line in Path("/proc/self/mountinfo").read_text().split() if root in line]
    found += [str(folder) for folder in Path("/sys/fs/cgroup").rglob(f"bai-{layout.instance}*")]
    return found + [str(place) for place in (layout.root, layout.run) if place.exists()]


def is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def _find_in_network(network: Network) -> list[str]:
    start = f"10.{network.octet}."
    links = json.loads(subprocess.check_output(["ip", "-json", "address"]))
    found = [link["ifname"] for link in links if link["ifname"] == network.bridge]
    found += [
        a["local"]
        for link in links
        for a in link["addr_info"]
        if a.get("local", "").startswith(start)
    ]
    for table in ("filter", "nat"):
        rules = subprocess.check_output(
            ["iptables", "-w", "-t", table, "-S"], text=True
        ).splitlines()
        found += [rule for rule in rules if network.bridge in rule or start in rule]
    return found


def _find_processes(layout: Layout) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        ours = os.fsencode(f"{layout.root}/"), f"BAI_INSTANCE={layout.instance}".encode()
        if any(mark in words for mark in ours) and is_running(int(folder.name)):
            found.append(f"process {folder.name}: {words[:80]!r}")
    return found
