"""Sections that several daemons have: the stores, logs and debugging."""

from collections.abc import Mapping
from pathlib import Path

from ..logs import FORMATS, LEVELS
from .checks import (
    HostPort,
    byte_size,
    choice,
    flag,
    host_port,
    integer,
    listing,
    mapping,
    number,
    optional,
    path,
    secret,
    text,
    web_address,
)
from .fields import setting, settings


@settings
class EtcdSettings:
    """Where the cluster's configuration and discovery are."""

    namespace: str = setting(
        text(pattern=r"[A-Za-z0-9._-]{1,64}"),
        "What separates clusters in one etcd",
        default="local",
    )
    addr: HostPort = setting(host_port(), "Address of etcd", default=HostPort("127.0.0.1", 2379))
    more_addrs: tuple[HostPort, ...] = setting(
        listing(host_port()),
        "Addresses of further members of the same etcd, asked in turn when one does not answer",
        default=(),
    )
    user: str | None = setting(optional(text()), "User name", default=None)
    password: str = setting(secret(), "Password", default="", env="BACKEND_ETCD_PASSWORD")

    @property
    def members(self) -> tuple[HostPort, ...]:
        return (self.addr, *self.more_addrs)


@settings
class DbSettings:
    """The PostgreSQL database."""

    addr: HostPort = setting(
        host_port(), "Address of PostgreSQL", default=HostPort("127.0.0.1", 5432)
    )
    name: str = setting(text(chars_max=63), "Name of the database", default="backend")
    user: str = setting(text(chars_max=63), "User name", default="postgres")
    password: str = setting(secret(), "Password", default="", env="BACKEND_DB_PASSWORD")
    pool_size: int = setting(integer(1, 1000), "Connections of one process at most", default=16)
    pool_timeout: float = setting(
        number(0.1, 600), "Longest wait for a free connection", unit="seconds", default=10.0
    )
    statement_timeout: float = setting(
        number(0.1, 3600), "Longest time of one statement", unit="seconds", default=15.0
    )


@settings
class RedisSettings:
    """Redis or Valkey, for hints, caches and web logins."""

    addr: HostPort = setting(
        host_port(), "Address; not used with sentinels", default=HostPort("127.0.0.1", 6379)
    )
    sentinels: tuple[HostPort, ...] = setting(
        listing(host_port()),
        "Addresses of the Sentinels that know which server is the master; empty: `addr` is it",
        default=(),
    )
    service_name: str = setting(
        text(), "What the Sentinels call the master and its replicas", default="mymaster"
    )
    sentinel_password: str = setting(
        secret(), "Password of the Sentinels", default="", env="BACKEND_REDIS_SENTINEL_PASSWORD"
    )
    password: str = setting(secret(), "Password", default="", env="BACKEND_REDIS_PASSWORD")
    db: int = setting(integer(0, 1023), "Number of the database", default=0)

    @property
    def place(self) -> str:
        """Where it is, in words."""
        if not self.sentinels:
            return str(self.addr)
        asked = ", ".join(str(address) for address in self.sentinels)
        return f"the master {self.service_name} of the Sentinels {asked}"


@settings
class LoggingSettings:
    """What is logged, and where to. Records always go to standard error too."""

    level: str = setting(choice(*LEVELS), "Least severe level that is logged", default="INFO")
    format: str = setting(
        choice(*FORMATS), "Form of a record; auto is console in a terminal", default="auto"
    )
    file: Path | None = setting(optional(path()), "A file to log to as well", default=None)
    file_bytes_max: int = setting(
        byte_size(4096), "Size at which the file is rotated", unit="bytes", default=10 << 20
    )
    file_backups: int = setting(integer(0, 100), "Rotated files that are kept", default=5)
    pkg_ns: Mapping[str, str] = setting(
        mapping(choice(*LEVELS)), "Levels of single packages", default={"aiohttp": "WARNING"}
    )


@settings
class MonitoringSettings:
    """Where the daemon is watched from outside."""

    listen_addr: HostPort | None = setting(
        optional(host_port(port_min=0)),
        "Where Prometheus gets /metrics and balancers get /health/live and /health/ready; whoever "
        "reaches it may read them; empty: nowhere",
        default=None,
    )


@settings
class TracingSettings:
    """Traces for OpenTelemetry, which need the extra `tracing` of backendai-common."""

    endpoint: str | None = setting(
        optional(web_address("http://127.0.0.1:4318")),
        "Where a collector takes OTLP over HTTP, without /v1/traces; empty: nothing is traced",
        default=None,
    )
    sample: float = setting(
        number(0, 1),
        "Which part of all traces is collected; the same in all daemons, or traces have gaps",
        default=1.0,
    )


@settings
class DebugSettings:
    """For developers."""

    enabled: bool = setting(flag(), "Whether debugging aids are on", default=False)
    asyncio: bool = setting(flag(), "Whether the event loop checks itself", default=False)
