"""What a service is, as data: the supervisor knows nothing else about what it runs."""

import hashlib
import json
import signal
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

ProbeKind = Literal["tcp", "unix", "http", "postgres", "redis", "none"]


@dataclass(frozen=True)
class Probe:
    """How to see that a service answers. `host` is a path for sockets of the file system."""

    kind: ProbeKind = "none"
    host: str = ""
    port: int = 0
    path: str = "/"


@dataclass(frozen=True)
class Service:
    """One supervised process. `address` is shown to people; `wrapper` is put before argv."""

    name: str
    argv: tuple[str, ...]
    probe: Probe = Probe()
    env: dict[str, str] = field(default_factory=dict)
    cwd: str = "/"
    after: tuple[str, ...] = ()
    wrapper: tuple[str, ...] = ()
    address: str = ""
    stop_signal: int = int(signal.SIGTERM)
    stop_seconds: float = 10.0

    @property
    def digest(self) -> str:
        """Changes whenever the service has to be restarted to become what is asked for."""
        parts = [self.argv, self.env, self.cwd, self.wrapper]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def command(self) -> tuple[str, ...]:
        return self.wrapper + self.argv


@dataclass(frozen=True)
class Standing:
    """How a service is doing, as `status` reports it."""

    name: str
    pid: int | None
    healthy: bool
    address: str
    state: str = ""
    restarts: int = 0
    adopted: bool = False
    problem: str = ""


def encode_services(services: Iterable[Service]) -> list[dict[str, Any]]:
    return [asdict(service) for service in services]


def decode_services(rows: Iterable[dict[str, Any]]) -> tuple[Service, ...]:
    return tuple(_decode(row) for row in rows)


def _decode(row: dict[str, Any]) -> Service:
    tuples = {key: tuple(row[key]) for key in ("argv", "after", "wrapper")}
    return Service(**{**row, **tuples, "probe": Probe(**row["probe"])})


def order_to_stop(services: Iterable[Service]) -> list[list[str]]:
    """Waves of names: each wave is stopped at once, and nothing depends on it any more."""
    left = {service.name: set(service.after) for service in services}
    waves: list[list[str]] = []
    while left:
        needed = set().union(*left.values())
        wave = sorted(name for name in left if name not in needed) or sorted(left)
        waves.append(wave)
        for name in wave:
            del left[name]
    return waves
