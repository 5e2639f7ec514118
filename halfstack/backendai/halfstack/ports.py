"""TCP ports: chosen once, kept in the state directory, checked before use."""

import errno
import json
import random
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from .faults import SetupFault
from .places import Layout, write_file

_LOWEST = 15000
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def load_ports(layout: Layout) -> dict[str, int]:
    if not layout.ports_file.exists():
        return {}
    try:
        kept = json.loads(layout.ports_file.read_text())
        return {str(name): int(port) for name, port in kept.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise SetupFault(
            f"{layout.ports_file} is not a table of ports: {error}",
            f"delete {layout.ports_file} and run `./bai up` again",
        ) from error


def keep_ports(layout: Layout, wanted: Mapping[str, int | None]) -> dict[str, int]:
    """Ports of the names, choosing those not known yet. A preferred number is taken if free."""
    ports = load_ports(layout)
    for name, preferred in wanted.items():
        if name not in ports:
            ports[name] = _choose(preferred, set(ports.values()))
    write_file(layout.ports_file, json.dumps(ports, indent=1) + "\n")
    return {name: ports[name] for name in wanted}


def keep_watch_port(layout: Layout, service: str) -> int:
    """Where a daemon is watched, as of `[monitoring]`."""
    name = _name_watch_port(service)
    return keep_ports(layout, {name: None})[name]


def find_watch_port(layout: Layout, service: str) -> int | None:
    """None for what has none."""
    return load_ports(layout).get(_name_watch_port(service))


def forget_ports(layout: Layout, names: Iterable[str]) -> None:
    gone = set(names)
    left = {name: port for name, port in load_ports(layout).items() if name not in gone}
    write_file(layout.ports_file, json.dumps(left, indent=1) + "\n")


def is_port_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def _name_watch_port(service: str) -> str:
    return f"{service}-watch"


def _choose(preferred: int | None, used: set[int]) -> int:
    if preferred is not None and preferred not in used and is_port_free(preferred, "0.0.0.0"):  # noqa: S104
        return preferred
    # Ports of the ephemeral range may be taken by any outgoing connection while we are
    # down, so a port that has to be there again tomorrow is chosen below that range.
    low, high = _LOWEST, _ephemeral_start()
    for port in random.SystemRandom().sample(range(low, high), 200):
        if port not in used and is_port_free(port, "0.0.0.0"):  # noqa: S104
            return port
    raise SetupFault(
        f"no free TCP port between {low} and {high}", "stop a program that listens there"
    )


def _ephemeral_start() -> int:
    try:
        first = int(_RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError):
        return 32768
    return first if first >= _LOWEST + 1000 else 65536
