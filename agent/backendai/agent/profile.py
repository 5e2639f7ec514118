"""The container of a kernel as data: every limit, mount and label of it. PURE.

A backend turns a profile into what its engine understands and adds nothing of its own.
"""

import resource
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from backendai.common.contracts.agent import KernelSpec

from .labels import Identity, container_name, write_labels
from .resources.inventory import Share
from .resources.plugin import Limits, Mount

BUNDLE_TARGET: Final = "/opt/kernel"
RUN_TARGET: Final = "/run/backendai"
WORK_TARGET: Final = "/home/work"
TMP_TARGET: Final = "/tmp"  # noqa: S108 - a path inside the container
PIDS_MAX: Final = 4096
OPEN_FILES_MAX: Final = 65536
LOG_BYTES_MAX: Final = 1024 * 1024
# All are dropped, and none is added: without root and new privileges nothing could use them.
CAPABILITIES: Final[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class NetworkWish:
    """Empty `name`: the agent's common network. `aliases` are what siblings know the kernel by.
    `is_spread`: siblings are on other nodes too, and `name` is a network of the swarm."""

    name: str = ""
    aliases: tuple[str, ...] = ()
    is_spread: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """Sizes in bytes; `limits.memory_bytes` bounds swap too.

    The kernel's own variables are not here: the runner takes them from its setup, so that none of
    them (LD_PRELOAD …) reaches the runner itself.
    """

    name: str
    image: str
    hostname: str
    command: tuple[str, ...]
    labels: Mapping[str, str]
    uid: int
    gid: int
    mounts: tuple[Mount, ...]
    limits: Limits
    shared_memory_bytes: int
    network: NetworkWish
    work_dir: str = WORK_TARGET
    pids_max: int = PIDS_MAX
    open_files_max: int = OPEN_FILES_MAX
    capabilities: tuple[str, ...] = CAPABILITIES
    log_bytes_max: int = LOG_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a kernel's directories are on the host; `accounts` empty: the image has its own.
    `hosts` is a file of names, empty: the engine writes one. `mounts` are those of folders of
    volumes."""

    bundle: str
    run: str
    work: str
    tmp: str
    accounts: str = ""
    hosts: str = ""
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True, slots=True)
class Maker:
    """Who makes the container."""

    agent_id: str
    instance: str
    version: str
    uid: int
    gid: int


def make_profile(
    spec: KernelSpec,
    identity: Identity,
    share: Share,
    folders: Folders,
    maker: Maker,
    command: tuple[str, ...],
) -> Profile:
    return Profile(
        name=container_name(identity.kernel_id, identity.generation),
        image=spec.image,
        hostname=spec.cluster_hostname,
        command=command,
        labels=write_labels(identity, spec, maker.instance, maker.version),
        uid=maker.uid,
        gid=maker.gid,
        mounts=(*_mounts(folders), *share.limits.mounts, *folders.mounts),
        limits=share.limits,
        shared_memory_bytes=spec.shared_memory_bytes,
        network=_network(spec),
        open_files_max=open_files_max(),
    )


def make_environ(spec: KernelSpec, identity: Identity, limits: Limits) -> dict[str, str]:
    """The user's variables, then ours, which win."""
    return {
        **limits.environ,
        **spec.environ,
        **limits.fixed_environ,
        "HOME": WORK_TARGET,
        "USER": "work",
        "LOGNAME": "work",
        "BACKENDAI_KERNEL_ID": identity.kernel_id,
        "BACKENDAI_SESSION_ID": identity.session_id,
        "BACKENDAI_SESSION_NAME": spec.session_name,
        "BACKENDAI_ACCESS_KEY": spec.owner_access_key,
        "BACKENDAI_CLUSTER_SIZE": str(spec.cluster_size),
        "BACKENDAI_CLUSTER_ROLE": spec.cluster_role,
        "BACKENDAI_CLUSTER_IDX": str(spec.cluster_index),
        "BACKENDAI_CLUSTER_HOST": spec.cluster_hostname,
        "BACKENDAI_CLUSTER_HOSTS": ",".join(spec.cluster_hosts or [spec.cluster_hostname]),
    }


def open_files_max() -> int:
    """Never above the node's own hard limit: without CAP_SYS_RESOURCE no container would start."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(OPEN_FILES_MAX, hard)


def _mounts(folders: Folders) -> tuple[Mount, ...]:
    mounts: tuple[Mount, ...] = (
        Mount(folders.bundle, BUNDLE_TARGET, is_read_only=True),
        Mount(folders.run, RUN_TARGET),
        Mount(folders.work, WORK_TARGET),
        Mount(folders.tmp, TMP_TARGET),
    )
    if folders.hosts:
        mounts += (Mount(folders.hosts, "/etc/hosts", is_read_only=True),)
    if not folders.accounts:
        return mounts
    names = ("passwd", "group")
    return mounts + tuple(
        Mount(f"{folders.accounts}/{name}", f"/etc/{name}", is_read_only=True) for name in names
    )


def _network(spec: KernelSpec) -> NetworkWish:
    if spec.cluster_size <= 1 or not spec.cluster_network:
        return NetworkWish()
    return NetworkWish(spec.cluster_network, (spec.cluster_hostname,), spec.cluster_is_spread)
