"""Listening sockets that a daemon hands to the one that is started in its place.

A daemon that stops gives them to systemd (`FileDescriptorStoreMax=`), which gives them to the next:
who comes in between waits in the kernel's queue instead of being refused. One that dies hands over
nothing, so that callers turn to another daemon at once. Without systemd they are opened and closed.
The protocol: https://www.freedesktop.org/software/systemd/man/latest/sd_pid_notify_with_fds.html
"""

import errno
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .settings.checks import HostPort
from .systemd import Notifier

_FIRST_DESCRIPTOR: Final = 3
# Names such as localhost have addresses of families that the kernel may not have switched on.
_LACKING: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


class Handover:
    """Of one process; `environ` is that of its start."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._notifier = Notifier(environ)
        self._received = _receive(environ)
        self._listening: list[tuple[str, socket.socket]] = []
        # Ours from now on: should this start fail, the port is to be closed.
        for name in self._received:
            self._notifier.tell("FDSTOREREMOVE=1", f"FDNAME={name}")

    def listen(self, address: HostPort) -> list[socket.socket]:
        """Bound sockets of every family that `address` has. Raises OSError."""
        name = _name(address)
        sockets = self._received.pop(name, None) or self._bind(address)
        if address.port:
            self._listening += [(name, each) for each in sockets]
        return sockets

    def check(self, address: HostPort) -> None:
        """Raises OSError where `listen` would."""
        if _name(address) not in self._received:
            _close(self._bind(address))

    def close_rest(self) -> None:
        """What was received and is not listened at any more: nobody may wait there for ever."""
        while self._received:
            _close(self._received.popitem()[1])

    def give(self) -> None:
        """To the daemon that comes next, if one does."""
        for name, listening in self._listening:
            if listening.fileno() >= 0:
                self._notifier.tell("FDSTORE=1", f"FDNAME={name}", descriptors=[listening.fileno()])

    def _bind(self, address: HostPort) -> list[socket.socket]:
        try:
            return _bind(address)
        except OSError as error:
            former = [name for name in self._received if self._port_of(name) == address.port]
            if error.errno != errno.EADDRINUSE or not former:
                raise
        # Settings have changed: what was handed over for another address of the port is in the way.
        for name in former:
            _close(self._received.pop(name))
        return _bind(address)

    def _port_of(self, name: str) -> int:
        return int(self._received[name][0].getsockname()[1])


def _receive(environ: Mapping[str, str]) -> dict[str, list[socket.socket]]:
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit():
        return {}
    received: dict[str, list[socket.socket]] = {}
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    for descriptor, name in zip(
        range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count)), names, strict=False
    ):
        os.set_inheritable(descriptor, False)
        received.setdefault(name, []).append(socket.socket(fileno=descriptor))
    return received


def _bind(address: HostPort) -> list[socket.socket]:
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    bound: list[socket.socket] = []
    lacking: list[tuple[int, OSError]] = []
    try:
        for family, kind, protocol, _, place in dict.fromkeys(found):
            try:
                bound.append(_open(family, kind, protocol, place))
            except OSError as error:
                if error.errno not in _LACKING:
                    raise
                lacking.append((family, error))
        for missing, refusal in lacking:
            if all(one.family == missing for one in bound):
                raise refusal
    except OSError:
        _close(bound)
        raise
    return bound


def _open(family: int, kind: int, protocol: int, place: Any) -> socket.socket:
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(place)
    except OSError:
        opened.close()
        raise
    return opened


def _close(sockets: Sequence[socket.socket]) -> None:
    for each in sockets:
        each.close()


def _name(address: HostPort) -> str:
    """As systemd takes it: without colons."""
    return f"{address.host}-{address.port}".replace(":", "_")


# Descriptors come to a process once, so there is one of these.
HANDOVER: Final = Handover(os.environ)
