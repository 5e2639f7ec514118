"""Listening sockets go from a daemon that stops to the one that comes next."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from backendai.common.handover import Handover
from backendai.common.settings.checks import HostPort

# As systemd starts a daemon: what it keeps are descriptors from 3 on.
START = """
import fcntl, os, sys
handed = [fcntl.fcntl(int(one), fcntl.F_DUPFD, 100) for one in sys.argv[1].split(",")]
os.closerange(3, 100)
for number, one in enumerate(handed, 3):
    os.dup2(one, number)
os.closerange(100, 200)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(handed))}
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[2:]])
"""
# Listens at each address, as a manager does, and serves one caller of the last.
NEXT = """
import sys
from backendai.common.handover import HANDOVER
from backendai.common.settings.checks import HostPort
for host in sys.argv[2:]:
    address = HostPort(host, int(sys.argv[1]))
    HANDOVER.check(address)
    (listening,) = HANDOVER.listen(address)
HANDOVER.close_rest()
listening.listen()
print("listening", flush=True)
listening.accept()[0].sendall(b"from the next")
"""


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hearing:
        hearing.bind(str(tmp_path / "notify"))
        hearing.settimeout(30)
        yield hearing


def start(
    handed: Mapping[str, int], port: int, systemd: socket.socket, *hosts: str
) -> "subprocess.Popen[bytes]":
    """`handed` are descriptors by their names; they are the next one's alone from now on."""
    following = subprocess.Popen(
        [sys.executable, "-c", START, ",".join(map(str, handed.values())), NEXT, str(port), *hosts],
        env={
            **os.environ,
            "LISTEN_FDNAMES": ":".join(handed),
            "NOTIFY_SOCKET": systemd.getsockname(),
        },
        pass_fds=list(handed.values()),
        stdout=subprocess.PIPE,
    )
    for descriptor in handed.values():
        os.close(descriptor)
    return following


def give(systemd: socket.socket) -> tuple[str, int, int]:
    """The name and the descriptor that a stopping daemon gave away, and the port."""
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    stopping = Handover({"NOTIFY_SOCKET": systemd.getsockname()})
    (listening,) = stopping.listen(HostPort("127.0.0.1", port))
    listening.listen()
    stopping.give()
    words, descriptors, _, _ = socket.recv_fds(systemd, 1024, 4)
    assert words == f"FDSTORE=1\nFDNAME=127.0.0.1-{port}".encode()
    listening.close()
    return f"127.0.0.1-{port}", descriptors[0], port


def test_who_comes_between_two_daemons_waits_and_is_served(systemd: socket.socket) -> None:
    name, descriptor, port = give(systemd)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as waiting:
        following = start({name: descriptor}, port, systemd, "127.0.0.1")
        assert systemd.recv(1024) == f"FDSTOREREMOVE=1\nFDNAME={name}".encode()
        assert waiting.recv(100) == b"from the next"
        assert following.wait(30) == 0


def test_nobody_waits_at_a_port_that_is_not_listened_at_any_more(systemd: socket.socket) -> None:
    name, descriptor, port = give(systemd)
    with socket.create_server(("127.0.0.1", 0)) as other:
        elsewhere = other.getsockname()[1]
    following = start({name: descriptor}, elsewhere, systemd, "127.0.0.1")
    assert following.stdout is not None
    assert following.stdout.readline() == b"listening\n"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=30)
    with socket.create_connection(("127.0.0.1", elsewhere), timeout=30) as served:
        assert served.recv(100) == b"from the next"
    assert following.wait(30) == 0


def test_a_port_moves_to_another_address(systemd: socket.socket) -> None:
    name, descriptor, port = give(systemd)
    following = start({name: descriptor}, port, systemd, "0.0.0.0")
    assert following.stdout is not None
    assert following.stdout.readline() == b"listening\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as served:
        assert served.recv(100) == b"from the next"
    assert following.wait(30) == 0


def test_two_addresses_of_a_port_are_both_handed_over(systemd: socket.socket) -> None:
    first, descriptor, port = give(systemd)
    with socket.create_server(("127.0.0.2", port)) as second:
        handed = {first: descriptor, f"127.0.0.2-{port}": second.detach()}
    with socket.create_connection(("127.0.0.2", port), timeout=30) as waiting:
        following = start(handed, port, systemd, "127.0.0.1", "127.0.0.2")
        assert waiting.recv(100) == b"from the next"
        assert following.wait(30) == 0


LOCAL = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))
# A family that no kernel has, and an address that no machine has.
LACKING = (
    (99, socket.SOCK_STREAM, 0, "", ("::1", 0)),
    (socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("2001:db8::1", 0)),
)


@pytest.mark.parametrize("lacking", LACKING)
def test_a_name_needs_one_family_of_those_it_has(
    monkeypatch: pytest.MonkeyPatch, lacking: tuple[Any, ...]
) -> None:
    found = [lacking, LOCAL]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    (opened,) = Handover({}).listen(HostPort("localhost", 0))
    assert opened.family == socket.AF_INET
    opened.close()
    found[:] = [lacking]
    with pytest.raises(OSError, match=r"not supported|Cannot assign"):
        Handover({}).listen(HostPort("localhost", 0))


def test_an_address_is_not_passed_over_for_another_of_its_family(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [LOCAL, (*LOCAL[:4], ("192.0.2.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(OSError, match="Cannot assign"):
        Handover({}).listen(HostPort("manager.example.com", 0))


def test_descriptors_of_another_process_are_left_alone(systemd: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        address = HostPort(*theirs.getsockname())
        handover = Handover({"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x"})
        with pytest.raises(OSError, match="in use"):
            handover.listen(address)


def test_without_systemd_sockets_are_opened_and_nobody_is_given_them() -> None:
    handover = Handover({})
    (opened,) = handover.listen(HostPort("127.0.0.1", 0))
    handover.give()
    assert opened.getsockname()[1] > 0
    opened.close()
