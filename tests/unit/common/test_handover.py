"""Listening sockets go from a daemon that stops to the one that comes next."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendai.common.handover import Handover
from backendai.common.settings.checks import HostPort

# As systemd starts a daemon: what it keeps is descriptor 3.
START = """
import os, sys
handed = int(sys.argv[1])
os.dup2(handed, 3)
os.close(handed)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[2:]])
"""
NEXT = """
import sys
from backendai.common.handover import HANDOVER
from backendai.common.settings.checks import HostPort
(listening,) = HANDOVER.listen(HostPort(sys.argv[1], int(sys.argv[2])))
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
    handed: int, name: str, port: int, systemd: socket.socket, host: str = "127.0.0.1"
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", START, str(handed), NEXT, host, str(port)],
        env={**os.environ, "LISTEN_FDNAMES": name, "NOTIFY_SOCKET": systemd.getsockname()},
        pass_fds=[handed],
        stdout=subprocess.PIPE,
    )


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
        following = start(descriptor, name, port, systemd)
        os.close(descriptor)
        assert systemd.recv(1024) == f"FDSTOREREMOVE=1\nFDNAME={name}".encode()
        assert waiting.recv(100) == b"from the next"
        assert following.wait(30) == 0


def test_nobody_waits_at_a_port_that_is_not_listened_at_any_more(systemd: socket.socket) -> None:
    name, descriptor, port = give(systemd)
    with socket.create_server(("127.0.0.1", 0)) as other:
        elsewhere = other.getsockname()[1]
    following = start(descriptor, name, elsewhere, systemd)
    os.close(descriptor)
    assert following.stdout is not None
    assert following.stdout.readline() == b"listening\n"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=30)
    with socket.create_connection(("127.0.0.1", elsewhere), timeout=30) as served:
        assert served.recv(100) == b"from the next"
    assert following.wait(30) == 0


def test_a_port_moves_to_another_address(systemd: socket.socket) -> None:
    name, descriptor, port = give(systemd)
    following = start(descriptor, name, port, systemd, "0.0.0.0")
    os.close(descriptor)
    assert following.stdout is not None
    assert following.stdout.readline() == b"listening\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as served:
        assert served.recv(100) == b"from the next"
    assert following.wait(30) == 0


def test_descriptors_of_another_process_are_left_alone(systemd: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        address = HostPort(*theirs.getsockname())
        handover = Handover({"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x"})
        assert not handover.has(address)
        with pytest.raises(OSError, match="in use"):
            handover.listen(address)


def test_without_systemd_sockets_are_opened_and_nobody_is_given_them() -> None:
    handover = Handover({})
    (opened,) = handover.listen(HostPort("127.0.0.1", 0))
    handover.give()
    assert opened.getsockname()[1] > 0
    opened.close()
