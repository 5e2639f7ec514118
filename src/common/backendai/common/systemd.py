"""What a daemon says to the systemd that started it: a datagram of words, descriptors with it."""

import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress


class Notifier:
    """Where systemd listens, as it says in the environment of what it starts."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._path = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_seconds = _read_watchdog(environ)

    def tell(self, *words: str, descriptors: Sequence[int] = ()) -> None:
        """Each of the form NAME=value. What cannot be told is not worth an end."""
        if not self._path:
            return
        # A name that begins with @ is abstract: its first byte is a zero.
        address = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.connect(address)
            socket.send_fds(out, ["\n".join(words).encode()], descriptors)


def _read_watchdog(environ: Mapping[str, str]) -> float:
    """Seconds; 0 without a watchdog, or with one for another process."""
    pid = environ.get("WATCHDOG_PID", str(os.getpid()))
    microseconds = environ.get("WATCHDOG_USEC", "0")
    is_ours = pid == str(os.getpid()) and microseconds.isdigit()
    return int(microseconds) / 1_000_000 if is_ours else 0.0
