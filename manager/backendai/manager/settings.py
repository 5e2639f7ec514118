"""The manager's settings: one frozen tree, read once in `app.py` and passed on."""

from pathlib import Path

from backendai.common.settings.checks import (
    HostPort,
    choice,
    flag,
    host_port,
    integer,
    listing,
    network,
    number,
    optional,
    path,
    text,
)
from backendai.common.settings.fields import section, setting, settings
from backendai.common.settings.sections import (
    DbSettings,
    DebugSettings,
    EtcdSettings,
    LoggingSettings,
    MonitoringSettings,
    RedisSettings,
    TracingSettings,
)


@settings
class ServiceSettings:
    """The manager itself."""

    service_addr: HostPort = setting(
        host_port(port_min=0), "Where the API listens", default=HostPort("127.0.0.1", 8081)
    )
    id: str = setting(
        text(pattern=r"[A-Za-z0-9._-]{1,64}"),
        "Name of this manager among others on the same database",
        default="manager-1",
    )
    rpc_keypair: Path | None = setting(
        optional(path()),
        "File of the key with which agents know this manager; without one, RPC is not encrypted",
        default=None,
    )
    secret_key_file: Path = setting(
        path(),
        "File of the key that seals secret keys in the database: 32 bytes as base64, mode 0600",
        default=Path("manager.secret"),
    )
    login_token_key_file: Path | None = setting(
        optional(path()),
        "File of the key that webservers sign logins of other providers with: 32 bytes as base64, "
        "mode 0600; without one nobody logs in that way",
        default=None,
    )
    login_token_creates_users: bool = setting(
        flag(), "Whether who comes that way without an account gets one", default=False
    )
    config_cache: Path = setting(
        path(),
        "File with the last known cluster configuration, for a start while etcd is away",
        default=Path("/var/lib/backendai/manager/config.json"),
    )
    heartbeat_timeout: float = setting(
        number(1, 3600),
        "Silence after which an agent gets no new work",
        unit="seconds",
        default=15.0,
    )
    agent_lost_after: float = setting(
        number(1, 86400),
        "Silence after which an agent counts as lost",
        unit="seconds",
        default=600.0,
    )
    hide_agents: bool = setting(
        flag(),
        "Whether GraphQL shows only superadmins the nodes, and on which of them sessions run; what "
        "tells users why their own session waits or ended may name a node all the same",
        default=False,
    )
    trusted_proxies: tuple[str, ...] = setting(
        listing(text(chars_max=64)),
        "Addresses or networks whose X-Forwarded-For is believed",
        default=(),
    )
    callback_networks: tuple[str, ...] = setting(
        listing(network()),
        "Addresses or networks besides the internet that the callbacks of sessions may reach",
        default=(),
    )
    body_bytes_max: int = setting(
        integer(4096, 1 << 30), "Longest request body", unit="bytes", default=16 << 20
    )
    custom_images_max: int = setting(
        integer(0, 1 << 20),
        "How many images each user may have sessions committed to; 0 forbids commits",
        default=20,
    )
    commit_bytes_max: int = setting(
        integer(1 << 20, 1 << 50),
        "How much a session may have written over its image to be committed",
        unit="bytes",
        default=10 << 30,
    )
    pid_file: Path | None = setting(
        optional(path()),
        "File with the process id, locked while the manager runs and removed at its end",
        default=None,
    )


@settings
class RelaySettings:
    """The way to the apps of sessions, through the relays of agents."""

    secret_key_file: Path | None = setting(
        optional(path()),
        "File of the key that tickets for relays are made with, the same for all managers and app "
        "proxies: 32 bytes as base64, mode 0600; without one, apps cannot be opened",
        default=None,
    )


@settings
class AlertSettings:
    """Who is told of what needs somebody, and from which level on. Alerts are kept in any case."""

    webhooks: tuple[str, ...] = setting(
        listing(text(chars_max=2048, pattern=r"https?://\S+", allowed="https://host/path")),
        "Addresses that alerts are posted to; inside only those of [manager] callback-networks",
        default=(),
    )
    webhook_key_file: Path | None = setting(
        optional(path()),
        "File of the key that posts are signed with: 32 bytes as base64, mode 0600; without one "
        "they are not signed",
        default=None,
    )
    mail_to: tuple[str, ...] = setting(
        listing(text(chars_max=254, pattern=r"[^@\s,;<>]+@[^@\s,;<>]+", allowed="name@host")),
        "Who gets alerts by mail, which needs smtp-addr",
        default=(),
    )
    mail_from: str = setting(
        text(chars_max=254, pattern=r"[^@\s,;<>]+@[^@\s,;<>]+", allowed="name@host"),
        "The sender of mails",
        default="backendai@localhost",
    )
    smtp_addr: HostPort | None = setting(
        optional(host_port()), "The server that takes mail for those of mail-to", default=None
    )
    smtp_security: str = setting(
        choice("starttls", "tls", "none"),
        "How the way to it is encrypted; tls is from the first byte on (port 465)",
        default="starttls",
    )
    smtp_user: str | None = setting(
        optional(text(chars_max=254)), "Who logs in there; empty: nobody", default=None
    )
    smtp_password_file: Path | None = setting(
        optional(path()), "File with the password of that user, mode 0600", default=None
    )
    smtp_ca_file: Path | None = setting(
        optional(path()),
        "File of the authorities whose certificates are believed, else the system's",
        default=None,
    )
    agent_silent_after: float = setting(
        number(1, 86400), "Silence of an agent that is told", unit="seconds", default=60.0
    )
    full_percent: float = setting(
        number(1, 100),
        "How full a disk, a volume or somebody's folder space is when it is told",
        unit="percent",
        default=90.0,
    )
    accelerator_idle_after: float = setting(
        number(60, 2592000),
        "How long a session holds accelerators without using one until it is told",
        unit="seconds",
        default=3600.0,
    )


@settings
class ManagerSettings:
    """Everything in manager.toml."""

    etcd: EtcdSettings = section(EtcdSettings)
    db: DbSettings = section(DbSettings)
    redis: RedisSettings = section(RedisSettings)
    manager: ServiceSettings = section(ServiceSettings)
    relay: RelaySettings = section(RelaySettings)
    alerts: AlertSettings = section(AlertSettings)
    logging: LoggingSettings = section(LoggingSettings)
    monitoring: MonitoringSettings = section(MonitoringSettings)
    tracing: TracingSettings = section(TracingSettings)
    debug: DebugSettings = section(DebugSettings)
