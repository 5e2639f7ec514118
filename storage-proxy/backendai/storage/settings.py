"""The storage proxy's settings: one frozen tree, read once in `app.py` and passed on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trafaret as t

from backendai.common.settings.checks import (
    HostPort,
    byte_size,
    flag,
    host_port,
    integer,
    mapping,
    number,
    optional,
    path,
    secret,
    text,
)
from backendai.common.settings.fields import Check, section, setting, settings
from backendai.common.settings.sections import (
    DebugSettings,
    LoggingSettings,
    MonitoringSettings,
    TracingSettings,
)

_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


@dataclass(frozen=True, slots=True)
class VolumeOptions:
    """One table `[volume.<name>]`. `options` are the backend's own."""

    backend: str
    path: Path
    mount: bool
    options: Mapping[str, str]


def volume_table() -> Check:
    """`{ backend = "vfs", path = "/vfroot/local" }`, perhaps with `mount` and `options`."""
    checks: dict[str, tuple[Check, Any]] = {
        "backend": (text(pattern=_NAME), "vfs"),
        "path": (path(), None),
        "mount": (flag(), False),
        "options": (mapping(text()), {}),
    }
    keys = [
        t.Key(name, optional=default is not None, default=default, trafaret=check.trafaret)
        if default is not None
        else t.Key(name, trafaret=check.trafaret)
        for name, (check, default) in checks.items()
    ]
    allowed = (
        'a table: path; backend, the name of an installed one ("vfs"); mount, '
        "whether the path has to be a mount point; options, a table of the backend's own"
    )
    return Check(t.Dict(*keys) >> _volume_options, allowed)


def _volume_options(found: Mapping[str, Any]) -> VolumeOptions:
    return VolumeOptions(**{**found, "path": found["path"].absolute()})


@settings
class StorageSection:
    """The daemon itself."""

    id: str = setting(
        text(pattern=_NAME), "Name of this storage proxy, as managers know it", default="local"
    )
    secret: str = setting(
        secret(is_needed=True),
        "What tokens of uploads and downloads are signed with",
        env="BACKEND_STORAGE_SECRET",
        example="",
    )
    uid: int | None = setting(
        optional(integer(1, 2**31 - 1)),
        "User id of all files: that of kernels; empty: the daemon's own, and 1000 for root",
        default=None,
    )
    gid: int | None = setting(
        optional(integer(1, 2**31 - 1)), "Group id of all files; empty: as the uid", default=None
    )
    threads: int = setting(
        integer(1, 256), "Threads of each volume for short work on files", default=8
    )
    io_timeout: float = setting(
        number(0.1, 3600),
        "Longest time of short work on files before the volume counts as hanging",
        unit="seconds",
        default=10.0,
    )
    upload_bytes_max: int = setting(
        byte_size(1), "Largest file that may be uploaded", unit="bytes", default=1 << 40
    )
    token_lifetime: float = setting(
        number(60, 30 * 86400),
        "How long a token of an upload or download is good",
        unit="seconds",
        default=86400.0,
    )
    pid_file: Path | None = setting(
        optional(path()),
        "File with the process id, locked while the daemon runs and removed at its end",
        default=None,
    )


@settings
class ClientListener:
    """Where browsers and clients send and fetch files."""

    service_addr: HostPort = setting(
        host_port(port_min=0), "Where it listens", default=HostPort("127.0.0.1", 6021)
    )
    allowed_origins: str = setting(
        text(), "Origins of web pages that may send and fetch files; * is any", default="*"
    )
    idle_timeout: float = setting(
        number(1, 3600),
        "How long a body may pause, coming or going",
        unit="seconds",
        default=60.0,
    )


@settings
class ManagerListener:
    """Where managers order what is done to folders."""

    service_addr: HostPort = setting(
        host_port(port_min=0), "Where it listens", default=HostPort("127.0.0.1", 6022)
    )
    secret: str = setting(
        secret(is_needed=True),
        "What managers prove themselves with",
        env="BACKEND_STORAGE_MANAGER_SECRET",
        example="",
    )
    body_bytes_max: int = setting(
        integer(4096, 1 << 30), "Longest request body", unit="bytes", default=4 << 20
    )


@settings
class ApiSection:
    """The two listeners."""

    client: ClientListener = section(ClientListener)
    manager: ManagerListener = section(ManagerListener)


@settings
class StorageSettings:
    """Everything in storage-proxy.toml."""

    volume: Mapping[str, VolumeOptions] = setting(
        mapping(volume_table()),
        "Volumes by their names, also written as tables [volume.<name>]",
        example={"volume1": {"backend": "vfs", "path": "/vfroot/local", "mount": False}},
    )
    storage_proxy: StorageSection = section(StorageSection)
    api: ApiSection = section(ApiSection)
    logging: LoggingSettings = section(LoggingSettings)
    monitoring: MonitoringSettings = section(MonitoringSettings)
    tracing: TracingSettings = section(TracingSettings)
    debug: DebugSettings = section(DebugSettings)
