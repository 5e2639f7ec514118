"""The webserver's settings: one frozen tree, read once in `app.py` and passed on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import trafaret as t

from backendai.common.settings.checks import (
    HostPort,
    choice,
    flag,
    host_port,
    integer,
    listing,
    mapping,
    network,
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
    RedisSettings,
    TracingSettings,
)

ORIGIN: Final = r"https?://[A-Za-z0-9._\-\[\]:]+"
_SOURCE: Final = r"(https?|wss?)://[A-Za-z0-9._*\-\[\]:]+|https?:|wss?:"


def page_option() -> Check:
    """One value of the configuration that pages read."""
    allowed = "text, a number, true or false, or a list of texts"

    def check(value: Any) -> Any:
        is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not is_list and not isinstance(value, str | int | float):
            raise t.DataError(f"must be {allowed}")
        return tuple(value) if is_list else value

    return Check(t.Call(check), allowed)


@settings
class WebserverSection:
    """The daemon itself."""

    service_addr: HostPort = setting(
        host_port(port_min=0), "Where it listens", default=HostPort("127.0.0.1", 8090)
    )
    secret_key_file: Path = setting(
        path(),
        "File of the key that seals logins in Redis: 32 bytes as base64, mode 0600",
        default=Path("webserver.secret"),
    )
    static_path: Path | None = setting(
        optional(path()),
        "Folder with another web UI to serve in place of the own one",
        default=None,
    )
    ssl_cert: Path | None = setting(
        optional(path()), "Certificate chain (PEM) to serve HTTPS with", default=None
    )
    ssl_privkey: Path | None = setting(
        optional(path()), "Private key (PEM) of that certificate", default=None
    )
    force_endpoint_protocol: str | None = setting(
        optional(choice("http", "https")),
        "What browsers come by, where a proxy in front does not say it",
        default=None,
    )
    trusted_proxies: tuple[str, ...] = setting(
        listing(network()),
        "Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed",
        default=(),
    )
    allowed_hosts: tuple[str, ...] = setting(
        listing(text(pattern=r"[A-Za-z0-9.\-]{1,253}")),
        "Names that it is asked by, without ports; addresses, localhost and the machine's own "
        "name are always taken",
        default=(),
    )
    allowed_origins: tuple[str, ...] = setting(
        listing(text(pattern=ORIGIN)),
        "Origins of other web pages that may ask in a user's name",
        default=(),
    )
    connect_sources: tuple[str, ...] = setting(
        listing(text(pattern=_SOURCE)),
        "What pages may connect to besides this server: storage proxies and app proxies",
        default=(),
    )
    pid_file: Path | None = setting(
        optional(path()),
        "File with the process id, locked while the webserver runs and removed at its end",
        default=None,
    )


@settings
class ApiSection:
    """The managers."""

    endpoint: tuple[str, ...] = setting(
        listing(text(pattern=ORIGIN)),
        "Addresses of managers; the next one is asked when one is away",
        default=("http://127.0.0.1:8081",),
    )
    domain: str = setting(
        text(chars_max=64), "Domain of those who log in without naming one", default="default"
    )
    text: str = setting(text(), "What pages call this installation", default="Backend.AI")
    ssl_verify: bool = setting(flag(), "Whether certificates of managers are checked", default=True)
    connect_timeout: float = setting(
        number(0.1, 60),
        "Longest time to connect to a manager",
        unit="seconds",
        default=5.0,
    )
    answer_timeout: float = setting(
        number(0.5, 86400),
        "How long a manager may be silent that took a request, but for those that wait for "
        "something: streams, events, and work with sessions",
        unit="seconds",
        default=120.0,
    )


@settings
class SessionSection:
    """Logins."""

    max_age: int = setting(
        integer(60, 366 * 86400),
        "How long a login is good unless it is extended",
        unit="seconds",
        default=604800,
    )
    idle_timeout: int = setting(
        integer(60, 366 * 86400),
        "How long a login is good without being used",
        unit="seconds",
        default=604800,
    )
    token_name: str = setting(
        text(pattern=r"[A-Za-z][A-Za-z0-9_-]{0,63}"),
        "Name of the cookie or key in which other sites hand over a token to log in with",
        default="sToken",
    )


@settings
class OidcSection:
    """Logging in at another provider, by OpenID Connect; without an issuer nobody does."""

    issuer: str | None = setting(
        optional(text(chars_max=255, pattern=r"https?://[^\s?#]+")),
        "Address of the provider, as it calls itself",
        default=None,
        example="https://login.example.org",
    )
    name: str = setting(
        text(chars_max=64), "What people know the provider by", default="single sign-on"
    )
    client_id: str = setting(
        text(), "What the provider knows this installation by", default="backendai"
    )
    client_secret: str = setting(
        secret(),
        "What this installation proves itself to the provider with",
        default="",
        env="BACKEND_OIDC_CLIENT_SECRET",
    )
    scopes: str = setting(text(), "What is asked for", default="openid email profile")
    login_token_key_file: Path | None = setting(
        optional(path()),
        "File of the key that managers know logins by: [manager] login-token-key-file",
        default=None,
    )


@settings
class PagesSection:
    """What pages read as config.toml; given keys replace the built-in ones."""

    general: Mapping[str, Any] = setting(mapping(page_option()), "[general]", default={})
    resources: Mapping[str, Any] = setting(mapping(page_option()), "[resources]", default={})
    environments: Mapping[str, Any] = setting(mapping(page_option()), "[environments]", default={})
    menu: Mapping[str, Any] = setting(mapping(page_option()), "[menu]", default={})
    plugin: Mapping[str, Any] = setting(mapping(page_option()), "[plugin]", default={})
    wsproxy: Mapping[str, Any] = setting(
        mapping(page_option()), "[wsproxy], such as proxyURL", default={}
    )
    license: Mapping[str, Any] = setting(mapping(page_option()), "[license]", default={})
    pipeline: Mapping[str, Any] = setting(mapping(page_option()), "[pipeline]", default={})


@settings
class WebserverSettings:
    """Everything in webserver.toml."""

    webserver: WebserverSection = section(WebserverSection)
    api: ApiSection = section(ApiSection)
    session: SessionSection = section(SessionSection)
    oidc: OidcSection = section(OidcSection)
    redis: RedisSettings = section(RedisSettings)
    ui: PagesSection = section(PagesSection)
    logging: LoggingSettings = section(LoggingSettings)
    monitoring: MonitoringSettings = section(MonitoringSettings)
    tracing: TracingSettings = section(TracingSettings)
    debug: DebugSettings = section(DebugSettings)
