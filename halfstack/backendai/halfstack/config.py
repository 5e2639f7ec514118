"""What a person may choose about an instance, in `bai.toml` beside the `bai` script.

Everything has a default: the file need not exist.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

from backendai.common.faults import Fault
from backendai.common.settings.checks import (
    HostPort,
    choice,
    host_port,
    integer,
    optional,
    text,
)
from backendai.common.settings.fields import Check, section, setting, settings
from backendai.common.settings.load import check_settings, load_settings

from .faults import SetupFault
from .stores import ExternalStores

_HOST = r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?"
_ETCD_VARIABLE = "BAI_ETCD"


def _store_url(pattern: str, form: str) -> Check:
    """An address with a password in it. What comes after a `?` would be lost, so it is refused."""
    allowed = f"{form} (odd characters as %40; no options, and no TLS)"
    return replace(optional(text(chars_max=2048, pattern=pattern, allowed=allowed)), is_secret=True)


@settings
class StoreSettings:
    """Stores that somebody else runs. Without an address we run our own."""

    postgres: str | None = setting(
        _store_url(
            rf"postgres(ql)?://[^\s:/?#@]+(:[^\s:/?#@]+)?@{_HOST}/[^\s/?#@]+",
            "postgresql://user:password@host:5432/database",
        ),
        "DSN of a PostgreSQL database that we may fill",
        default=None,
        env="BAI_POSTGRES",
        example="postgresql://user:password@host:5432/backendai",
    )
    redis: str | None = setting(
        _store_url(
            rf"(redis|valkey)://(:[^\s:/?#@]+@)?{_HOST}(/\d{{1,4}})?",
            "redis://:password@host:6379/0",
        ),
        "URL of a Redis or Valkey database",
        default=None,
        env="BAI_REDIS",
        example="redis://:password@host:6379/0",
    )
    etcd: HostPort | None = setting(optional(host_port()), "Address of etcd", default=None)


@settings
class ManagerSettings:
    """The manager that `up` starts."""

    port: int | None = setting(
        optional(integer(1, 65535)), "Port of the API; else 8081 or a free one", default=None
    )


@settings
class EngineSettings:
    """What runs containers."""

    backend: Literal["auto", "docker", "process"] = setting(
        choice("auto", "docker", "process"),
        "Docker, sandboxed processes, or Docker where it can be had",
        default="auto",
    )
    docker_host: str | None = setting(
        optional(text(pattern=r"(unix:///|tcp://).+")),
        "Address of a running Docker daemon; else $DOCKER_HOST, the machine's own, or ours",
        default=None,
        example="unix:///var/run/docker.sock",
    )


@settings
class ImageSettings:
    """Images of a registry to use instead of those made here."""

    base: str | None = setting(optional(text()), "Image pulled as bai/base:bookworm", default=None)
    python: str | None = setting(
        optional(text()), "Image pulled as bai/python:3.11", default=None, example="python:3.11"
    )


@settings
class HalfstackSettings:
    stores: StoreSettings = section(StoreSettings)
    manager: ManagerSettings = section(ManagerSettings)
    engine: EngineSettings = section(EngineSettings)
    images: ImageSettings = section(ImageSettings)

    @property
    def external(self) -> ExternalStores:
        etcd = str(self.stores.etcd) if self.stores.etcd else None
        return ExternalStores(self.stores.postgres, self.stores.redis, etcd)


def load_config(checkout: Path) -> HalfstackSettings:
    """Settings of `bai.toml`, every mistake at once. Raises SetupFault."""
    path = Path(os.environ.get("BAI_CONFIG") or checkout / "bai.toml")
    try:
        if path.exists():
            return _with_etcd(load_settings(HalfstackSettings, "bai", path))
        return _with_etcd(check_settings(HalfstackSettings, {}, str(path), environ=os.environ))
    except Fault as fault:
        raise SetupFault(fault.detail, f"correct {path}; every key is optional") from fault


def _with_etcd(settings: HalfstackSettings) -> HalfstackSettings:
    """The variable beats the file, as with the other stores."""
    word = os.environ.get(_ETCD_VARIABLE)
    if not word:
        return settings
    given = check_settings(StoreSettings, {"etcd": word}, f"${_ETCD_VARIABLE}")
    return replace(settings, stores=replace(settings.stores, etcd=given.etcd))
