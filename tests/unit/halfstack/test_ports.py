"""Ports are kept, differ, and stay out of the range that outgoing connections use."""

import socket
from pathlib import Path

import pytest

from backendai.halfstack.faults import SetupFault
from backendai.halfstack.places import Layout
from backendai.halfstack.ports import forget_ports, is_port_free, keep_ports, load_ports


def test_ports_are_the_same_next_time(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    first = keep_ports(layout, {"a": None, "b": None})
    assert first["a"] != first["b"]
    assert keep_ports(layout, {"b": None, "a": None}) == first


def test_a_free_preference_is_taken(tmp_path: Path) -> None:
    chosen = keep_ports(Layout(tmp_path / "one"), {"a": None})["a"]
    assert keep_ports(Layout(tmp_path / "two"), {"a": chosen}) == {"a": chosen}


def test_a_taken_preference_is_not(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert not is_port_free(port)
        assert keep_ports(Layout(tmp_path), {"a": port})["a"] != port


def test_chosen_ports_are_below_the_ephemeral_range(tmp_path: Path) -> None:
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    port = keep_ports(Layout(tmp_path), {"a": None})["a"]
    assert port < low or low < 16000


def test_forgotten_ports_are_chosen_again(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    keep_ports(layout, {"a": None, "b": None})
    forget_ports(layout, ["a"])
    assert set(load_ports(layout)) == {"b"}


@pytest.mark.parametrize("text", ["{", "[]", '{"a": "x"}', "7"])
def test_a_spoilt_file_is_told_with_the_fix(tmp_path: Path, text: str) -> None:
    layout = Layout(tmp_path)
    layout.ports_file.write_text(text)
    with pytest.raises(SetupFault) as caught:
        load_ports(layout)
    assert str(layout.ports_file) in caught.value.fix
