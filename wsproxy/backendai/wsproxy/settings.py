"""The app proxy's settings: one frozen tree, read once in `app.py` and passed on."""

import re
from pathlib import Path
from typing import Any, Final

import trafaret as t

from backendai.common.settings.checks import (
    HostPort,
    byte_size,
    choice,
    host_port,
    integer,
    listing,
    network,
    number,
    optional,
    path,
    text,
    web_address,
)
from backendai.common.settings.fields import Check, section, setting, settings
from backendai.common.settings.sections import (
    DbSettings,
    DebugSettings,
    LoggingSettings,
    MonitoringSettings,
    TracingSettings,
)
from backendai.common.web_logins import COOKIE

_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_|~-]{1,64}"  # noqa: S105 - a token of HTTP's grammar
_PORTS: Final = re.compile(r"(\d{1,5})-(\d{1,5})")
PORTS_MAX: Final = 20_000


def port_range() -> Check:
    """`"10205-10500"`, both ends counted in: see `parse_ports`."""
    allowed = f'two ports such as "10205-10500", at most {PORTS_MAX} of them'

    def check(value: Any) -> str:
        ports = parse_ports(value) if isinstance(value, str) else range(0)
        if not 0 < len(ports) <= PORTS_MAX or not 0 < ports[0] <= ports[-1] <= 65535:
            raise t.DataError(f"must be {allowed}")
        return str(value)

    return Check(t.Call(check), allowed)


def parse_ports(text: str) -> range:
    """Empty for what is no range."""
    found = _PORTS.fullmatch(text)
    return range(int(found[1]), int(found[2]) + 1) if found else range(0)


@settings
class WsproxySection:
    """The daemon itself, and where apps are offered."""

    id: str = setting(
        text(pattern=_NAME), "Name of this app proxy; its circuits are its own", default="local"
    )
    service_addr: HostPort = setting(
        host_port(),
        "Where managers and web pages ask for circuits",
        default=HostPort("127.0.0.1", 5050),
    )
    advertised_url: str | None = setting(
        optional(web_address()),
        "How browsers reach that, with the path before which a TLS proxy serves it; "
        "empty: http:// and where it listens",
        default=None,
    )
    mode: str = setting(
        choice("port", "subdomain"),
        "Whether each circuit gets a port, or a name under the domain",
        default="port",
    )
    bind_host: str = setting(
        text(), "Address that ports of circuits are opened at", default="127.0.0.1"
    )
    bind_ports: str = setting(port_range(), "Ports of circuits", default="10205-10500")
    domain: str | None = setting(
        optional(text(pattern=r"[a-z0-9-]+(\.[a-z0-9-]+)+")),
        "Names of circuits are below this domain; better one that nothing else is below",
        default=None,
    )
    apps_addr: HostPort = setting(
        host_port(),
        "Where apps are served in mode subdomain",
        default=HostPort("127.0.0.1", 5051),
    )
    apps_host: str | None = setting(
        optional(text()),
        "Host in addresses of apps in mode port; empty: that of advertised-url",
        default=None,
    )
    apps_scheme: str | None = setting(
        optional(choice("http", "https")),
        "How browsers reach apps; empty: as advertised-url",
        default=None,
    )
    apps_port: int | None = setting(
        optional(integer(1, 65535)),
        "Port in addresses of apps in mode subdomain; empty: where they are served, and none "
        "for https",
        default=None,
    )
    allowed_origins: tuple[str, ...] = setting(
        listing(text()),
        "Origins of web pages that may ask for circuits; * is any",
        default=("*",),
    )
    trusted_proxies: tuple[str, ...] = setting(
        listing(network()),
        "Proxies in front whose X-Forwarded-For is believed",
        default=(),
    )
    hidden_cookies: tuple[str, ...] = setting(
        listing(text(pattern=_TOKEN)),
        "Cookies of other services on the same host that no app gets or sets",
        default=(COOKIE, "sTokenKey"),
    )
    pid_file: Path | None = setting(
        optional(path()),
        "File with the process id, locked while the daemon runs and removed at its end",
        default=None,
    )


@settings
class LimitsSection:
    """What a connection may take."""

    circuit_lifetime: float = setting(
        number(60, 30 * 86400),
        "How long a circuit stays that nobody uses",
        unit="seconds",
        default=86400.0,
    )
    connections: int = setting(
        integer(16, 1 << 20), "Connections of all browsers at once", default=8192
    )
    head_bytes_max: int = setting(
        integer(4096, 1 << 20),
        "Longest head of a request or an answer",
        unit="bytes",
        default=64 << 10,
    )
    body_bytes_max: int = setting(
        byte_size(1), "Longest body of a request", unit="bytes", default=16 << 30
    )
    head_timeout: float = setting(
        number(0.5, 600), "How long the head of a request may take", unit="seconds", default=15.0
    )
    body_timeout: float = setting(
        number(0.5, 3600),
        "How long a body may pause on the browser's side, coming or going",
        unit="seconds",
        default=60.0,
    )
    keep_alive: float = setting(
        number(0, 3600),
        "How long a connection waits for its next request",
        unit="seconds",
        default=75.0,
    )
    answer_timeout: float = setting(
        number(0.5, 86400), "How long an app may take to answer", unit="seconds", default=300.0
    )
    idle_timeout: float = setting(
        number(1, 7 * 86400),
        "How long a WebSocket, a connection of a TCP app or an answer may be silent",
        unit="seconds",
        default=3600.0,
    )
    relay_timeout: float = setting(
        number(0.1, 60),
        "How long to ask again when the relay of a node does not answer",
        unit="seconds",
        default=5.0,
    )


@settings
class RelaySection:
    """The way to the nodes."""

    secret_key_file: Path = setting(
        path(),
        "File with the secret that managers have too: 32 bytes or more in base64, for its owner "
        "alone",
        example="/etc/backend.ai/relay.secret",
    )


@settings
class V1Section:
    """The older API, for which the app proxy itself asks a manager to start an app."""

    endpoints: tuple[str, ...] = setting(
        listing(web_address()),
        "Managers and webservers that it may be told to ask; none: the older API is off",
        default=(),
    )


@settings
class WsproxySettings:
    """Everything in wsproxy.toml."""

    wsproxy: WsproxySection = section(WsproxySection)
    limits: LimitsSection = section(LimitsSection)
    relay: RelaySection = section(RelaySection)
    v1: V1Section = section(V1Section)
    db: DbSettings = section(DbSettings)
    logging: LoggingSettings = section(LoggingSettings)
    monitoring: MonitoringSettings = section(MonitoringSettings)
    tracing: TracingSettings = section(TracingSettings)
    debug: DebugSettings = section(DebugSettings)
