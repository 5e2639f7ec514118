"""PURE: what an agent is told about one kernel, from the rows of its session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backendai.common.contracts.agent import (
    CLUSTER_NETWORK_PREFIX,
    ClusterKey,
    FolderMount,
    HomeFile,
    KernelSpec,
)
from backendai.common.enums import ClusterMode
from backendai.manager.dotfiles.model import Dotfile, choose_files

_RUNTIME_LABEL = "ai.backend.runtime-path"
_READ_ONLY = "ro"
# No other host is in the network of a session: whom a name leads to needs no proof.
_SSH_CONFIG = """\
Host {hosts}
  Port 2200
  User work
  IdentityFile ~/id_container
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecSource:
    """The columns that a start needs. `hosts` are the host names of all siblings in order;
    `dotfiles` come in the order of their owners' rank."""

    session_id: str
    session_name: str
    session_type: str
    image: str
    image_digest: str
    image_labels: Mapping[str, str]
    is_local_image: bool
    architecture: str
    slots: Mapping[str, str]
    shared_memory_bytes: int
    environ: Mapping[str, str]
    startup_command: str
    bootstrap_script: str
    cluster_role: str
    cluster_index: int
    cluster_hostname: str
    hosts: Sequence[str]
    cluster_mode: str
    access_key: str
    email: str
    domain: str
    project: str
    preopen_ports: Sequence[int] = field(default_factory=tuple)
    cluster_key: ClusterKey | None = None
    dotfiles: Sequence[Dotfile] = ()
    mounts: Sequence[FolderMount] = ()


def make_spec(source: SpecSource) -> KernelSpec:
    """Only the main kernel gets the command of a batch session; all get the bootstrap script."""
    is_cluster = len(source.hosts) > 1
    is_main = source.cluster_role == "main"
    return KernelSpec(
        session_id=source.session_id,
        session_name=source.session_name,
        session_type=source.session_type,
        image=source.image,
        image_digest=source.image_digest,
        architecture=source.architecture,
        slots=dict(source.slots),
        shared_memory_bytes=source.shared_memory_bytes,
        environ=dict(source.environ),
        startup_command=source.startup_command if is_main else "",
        bootstrap_script=source.bootstrap_script,
        cluster_role=source.cluster_role,
        cluster_index=source.cluster_index,
        cluster_size=len(source.hosts),
        cluster_hostname=source.cluster_hostname,
        cluster_network=network_of(source.session_id) if is_cluster else "",
        cluster_key=source.cluster_key if is_cluster else None,
        cluster_is_spread=is_cluster and source.cluster_mode == ClusterMode.MULTI_NODE,
        cluster_hosts=list(source.hosts) if is_cluster else [],
        owner_access_key=source.access_key,
        owner_email=source.email,
        domain=source.domain,
        project=source.project,
        preopen_ports=list(source.preopen_ports),
        runtime_path=source.image_labels.get(_RUNTIME_LABEL, ""),
        pull=not source.is_local_image,
        files=[
            HomeFile(path=file.path, permission=file.permission, data=file.data)
            for file in choose_files([*source.dotfiles, *_files_for_ssh(source)])
        ],
        mounts=list(source.mounts),
    )


def network_of(session_id: object) -> str:
    """The name of the network of a session of several kernels."""
    return f"{CLUSTER_NETWORK_PREFIX}{session_id}"


def _files_for_ssh(source: SpecSource) -> list[Dotfile]:
    """By which `ssh sub1` works without further words; a file of the owner's has its place."""
    if len(source.hosts) == 1 or source.cluster_key is None:
        return []
    return [Dotfile(".ssh/config", "600", _SSH_CONFIG.format(hosts=" ".join(source.hosts)))]


def source_of(
    row: Mapping[Any, Any], hosts: Sequence[str], cluster_key: ClusterKey | None = None
) -> SpecSource:
    """From the columns of one joined row."""
    return SpecSource(
        session_id=str(row["session_id"]),
        session_name=row["name"],
        session_type=row["type"],
        image=row["image"],
        image_digest=row["digest"] or "",
        image_labels=row["labels"] or {},
        is_local_image=bool(row["is_local"]),
        architecture=row["architecture"],
        slots=row["requested_slots"],
        shared_memory_bytes=row["shared_memory_bytes"],
        environ=row["environ"],
        startup_command=row["startup_command"] or "",
        bootstrap_script=row["bootstrap_script"] or "",
        cluster_role=row["cluster_role"],
        cluster_index=row["cluster_index"],
        cluster_hostname=row["cluster_hostname"],
        hosts=hosts,
        cluster_mode=row["cluster_mode"],
        cluster_key=cluster_key,
        access_key=row["access_key"],
        email=row["email"],
        domain=row["domain_name"],
        project=row["project"],
        preopen_ports=row["preopen_ports"],
        dotfiles=[Dotfile(*one) for one in row["dotfiles"] or ()],
        mounts=[_mount_of(one) for one in row["mounts"] or ()],
    )


def _mount_of(row: Mapping[str, Any]) -> FolderMount:
    """From a row of session_mounts."""
    return FolderMount(
        name=row["name"],
        volume=row["host"],
        volume_id=row["volume_id"],
        volume_path=row["volume_path"],
        path=row["host_path"],
        target=row["kernel_path"],
        subpath=row["subpath"],
        read_only=row["permission"] == _READ_ONLY,
    )
