"""The settings of an agent: every key of `agent.toml`, with what it means and allows."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from backendai.common.settings.checks import (
    HostPort,
    byte_size,
    choice,
    flag,
    host_port,
    integer,
    listing,
    mapping,
    number,
    offered_directory,
    optional,
    path,
    text,
)
from backendai.common.settings.fields import section, setting, settings
from backendai.common.settings.sections import (
    DebugSettings,
    EtcdSettings,
    LoggingSettings,
    MonitoringSettings,
    TracingSettings,
)

_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


@settings
class AgentSection:
    """The daemon itself."""

    mode: str = setting(
        choice("docker", "process"),
        "What runs kernels: a Docker engine, or sandboxed processes without any engine",
        default="docker",
    )
    id: str = setting(
        optional(text(pattern=_ID)), "Name of this node; empty: i-<host name>", default=None
    )
    rpc_listen_addr: HostPort = setting(
        host_port(port_min=0), "Where managers connect to", default=HostPort("127.0.0.1", 6001)
    )
    advertised_rpc_addr: HostPort | None = setting(
        optional(host_port()),
        "What managers are told to connect to; empty: the address it listens at",
        default=None,
    )
    relay_listen_addr: HostPort = setting(
        host_port(port_min=0),
        "Where the app proxy and managers connect to the apps of kernels; nobody gets in without a "
        "ticket of theirs",
        default=HostPort("127.0.0.1", 6002),
    )
    advertised_relay_addr: HostPort | None = setting(
        optional(host_port()),
        "What they are told to connect to; empty: the address it listens at",
        default=None,
    )
    rpc_keypair: Path = setting(
        path(), "CURVE key pair of this agent; made when it is missing", default=Path("agent.key")
    )
    manager_public_keys_file: Path = setting(
        path(),
        "Public keys of the managers that may connect, one on each line",
        default=Path("manager-keys"),
    )
    region: str = setting(text(), "Where this node is", default="local")
    resource_group: str = setting(text(), "Resource group of this node", default="default")
    state_dir: Path = setting(
        path(), "Where orders are kept over restarts", default=Path("/var/lib/backendai/agent")
    )
    bundle_dir: Path = setting(
        path(),
        "Where runner bundles are built and kept",
        default=Path("/var/cache/backendai/bundles"),
    )
    image_dir: Path = setting(
        path(),
        "Root file systems, one folder per image (mode process)",
        default=Path("/var/lib/backendai/images"),
    )
    pid_file: Path | None = setting(
        optional(path()),
        "File with the process id, locked while the agent runs and removed at its end",
        default=None,
    )


@settings
class ContainerSection:
    """The containers of kernels."""

    kernel_uid: int = setting(
        integer(0, 2**31 - 1),
        "User id of kernels; 0: 1000 for a root agent, else the agent's own",
        default=0,
    )
    kernel_gid: int = setting(
        integer(0, 2**31 - 1), "Group id of kernels; 0: as the user id", default=0
    )
    scratch_root: Path = setting(
        path(),
        "Where the working directories of kernels are",
        default=Path("/var/lib/backendai/scratch"),
    )
    scratch_size: int = setting(
        byte_size(),
        "Room for the work files of a kernel, at least 16M, on an ext4 image of their own (needs "
        "root and loop devices); 0: as much as the disk has",
        unit="bytes",
        default=0,
    )
    unmanaged_roots: tuple[str, ...] = setting(
        listing(offered_directory()),
        'Directories of this node below which unmanaged folders may lie, such as "/mnt/data"; '
        "empty: kernels get none",
        default=(),
    )
    docker_host: str = setting(
        text(
            pattern=r"unix://.{1,200}|(tcp|http|https)://\S{1,200}",
            allowed="unix:///path/to/socket or tcp://host:port",
        ),
        "Address of the engine",
        default="unix:///var/run/docker.sock",
    )
    host_network: bool = setting(
        flag(), "Whether kernels share the host's network (mode process)", default=False
    )
    firewall: bool = setting(
        flag(), "Whether kernels are kept from the host by iptables (root only)", default=True
    )
    encrypted_networks: bool = setting(
        flag(),
        "Whether networks of sessions over several nodes that this node makes are encrypted "
        "between them; all nodes of the swarm need IPsec with AES-GCM in their kernels",
        default=False,
    )
    blocked_networks: tuple[str, ...] = setting(
        listing(text(pattern=r"[0-9a-fA-F.:]+(/\d{1,3})?")),
        "Addresses of the control plane that kernels must not reach",
        default=(),
    )


@settings
class ResourceSection:
    """What is kept from kernels for the node itself."""

    reserved_cpu: float = setting(number(0, 4096), "Cores that are kept", unit="cores", default=0.0)
    reserved_mem: int = setting(
        byte_size(), "Memory that is kept", unit="bytes", default=256 * 1024 * 1024
    )
    devices: Mapping[str, tuple[Path, ...]] = setting(
        mapping(listing(path())),
        "Further devices by slot, each given to one kernel at a time, such as "
        '"fpga.device" = ["/dev/fpga0"]',
        default=MappingProxyType({}),
    )


@settings
class CudaSection:
    """NVIDIA GPUs, asked through NVML."""

    slot: str = setting(
        choice("device", "shares"),
        "How GPUs are given out: whole as `cuda.device`, or in fractions as `cuda.shares`, "
        "where 1 is a whole GPU; MIG instances are `cuda.mig-…` either way",
        default="device",
    )
    share_quantum: float = setting(
        number(0.01, 1), "Smallest fraction of a GPU that is given; 1 is a multiple", default=0.01
    )
    mps_pipe_directory: Path | None = setting(
        optional(path()),
        "Where the MPS control daemon that you run listens; kernels with fractions get to it",
        default=None,
    )


@settings
class MockSection:
    """Devices that are made up, for tests and demonstrations."""

    file: Path | None = setting(
        optional(path()), "A TOML file that describes them; empty: there are none", default=None
    )


@settings
class AcceleratorsSection:
    """GPUs and other accelerators, driven by plugins."""

    plugins: tuple[str, ...] = setting(
        listing(text(pattern=r"[A-Za-z0-9._-]{1,64}")),
        "Plugins to use; empty: all that are installed",
        default=(),
    )
    strategy: str = setting(
        choice("pack", "spread"),
        "Which devices a kernel gets: pack fills what is begun, spread takes the emptiest",
        default="pack",
    )
    options: Mapping[str, Mapping[str, str]] = setting(
        mapping(mapping(text())),
        "Settings of further plugins, a table for each by its name",
        default=MappingProxyType({}),
    )
    cuda: CudaSection = section(CudaSection)
    mock: MockSection = section(MockSection)


@settings
class WatcherSection:
    """The watcher, a daemon beside the agent that lets managers start, stop and restart it."""

    listen_addr: HostPort = setting(
        host_port(port_min=0),
        "Where managers connect to; they prove themselves as to the agent",
        default=HostPort("127.0.0.1", 6009),
    )
    advertised_addr: HostPort | None = setting(
        optional(host_port()),
        "What they are told to connect to; empty: the address it listens at",
        default=None,
    )
    unit: str = setting(
        text(pattern=r"[A-Za-z0-9][A-Za-z0-9:_.@-]{0,200}\.service"),
        "The agent's unit of systemd",
        default="backendai-agent.service",
    )


@settings
class AgentSettings:
    """All of `agent.toml`."""

    etcd: EtcdSettings = section(EtcdSettings)
    agent: AgentSection = section(AgentSection)
    container: ContainerSection = section(ContainerSection)
    resource: ResourceSection = section(ResourceSection)
    accelerators: AcceleratorsSection = section(AcceleratorsSection)
    watcher: WatcherSection = section(WatcherSection)
    logging: LoggingSettings = section(LoggingSettings)
    monitoring: MonitoringSettings = section(MonitoringSettings)
    tracing: TracingSettings = section(TracingSettings)
    debug: DebugSettings = section(DebugSettings)
