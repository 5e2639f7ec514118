"""What an agent is told about a kernel."""

import re
from typing import Any

from backendai.common.contracts.agent import CLUSTER_NETWORK_PATTERN, ClusterKey
from backendai.manager.lifecycle.specs import make_spec, source_of


def spec_of(hosts: list[str], key: ClusterKey | None = None, **changes: Any) -> Any:
    row: dict[str, Any] = {
        "session_id": "s",
        "name": "n",
        "type": "batch",
        "image": "python:3.11",
        "digest": None,
        "labels": {"ai.backend.runtime-path": "/usr/bin/python3"},
        "is_local": True,
        "architecture": "x86_64",
        "requested_slots": {"cpu": "1"},
        "shared_memory_bytes": 1,
        "environ": {"A": "b"},
        "startup_command": "run",
        "bootstrap_script": None,
        "cluster_mode": "multi-node",
        "cluster_role": "main",
        "cluster_index": 1,
        "cluster_hostname": "main1",
        "access_key": "AK",
        "email": "e",
        "domain_name": "d",
        "project": "p",
        "preopen_ports": [8080],
        "dotfiles": None,
        "mounts": None,
        **changes,
    }
    return make_spec(source_of(row, hosts, key))


def test_a_single_kernel_has_no_network_of_its_own() -> None:
    spec = spec_of(["main1"])
    assert (spec.cluster_network, spec.cluster_hosts, spec.cluster_size) == ("", [], 1)
    assert (spec.image_digest, spec.bootstrap_script) == ("", "")
    assert spec.runtime_path == "/usr/bin/python3"
    assert not spec.pull


def test_siblings_on_other_nodes_need_a_network_of_the_swarm() -> None:
    hosts, session_id = ["main1", "sub1"], "01234567-89ab-cdef-0123-456789abcdef"
    spread = spec_of(hosts, session_id=session_id)
    assert spread.cluster_is_spread
    assert re.match(CLUSTER_NETWORK_PATTERN, spread.cluster_network)
    assert not spec_of(hosts, cluster_mode="single-node").cluster_is_spread
    assert not spec_of(["main1"]).cluster_is_spread


def test_siblings_get_a_key_and_are_told_how_to_use_it() -> None:
    key, hosts = ClusterKey("0" * 64), ["main1", "sub1"]
    spec = spec_of(hosts, key=key)
    assert spec.cluster_key == key
    assert "0" not in repr(key)
    [file] = spec.files
    assert (file.path, file.permission) == (".ssh/config", "600")
    assert file.data.startswith("Host main1 sub1\n")
    mine = [".ssh/config", "644", "mine"]
    assert [one.data for one in spec_of(hosts, key=key, dotfiles=[mine]).files] == ["mine"]
    alone = spec_of(["main1"], key=key)
    assert (alone.cluster_key, alone.files) == (None, [])


def test_only_the_main_kernel_of_a_cluster_runs_the_command() -> None:
    hosts = ["main1", "sub1"]
    assert spec_of(hosts).startup_command == "run"
    sub = spec_of(hosts, cluster_role="sub", cluster_hostname="sub1", is_local=False)
    assert sub.startup_command == ""
    assert (sub.cluster_network, sub.cluster_hosts) == ("bai-s", hosts)
    assert sub.pull


def test_the_first_dotfile_of_a_path_is_laid_into_the_home() -> None:
    dotfiles = [
        [".x", "600", "secret"],
        [".y", "644", "2"],
        [".x", "755", "3"],
        [".x/z", "644", ""],
    ]
    files = spec_of(["main1"], dotfiles=dotfiles).files
    assert [(one.path, one.permission) for one in files] == [(".x", "600"), (".y", "644")]
    assert files[0].data == "secret"
    assert "secret" not in repr(files)
