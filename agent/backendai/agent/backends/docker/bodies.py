"""Profiles into the engine's JSON, and its JSON into our values. PURE."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from backendai.agent.backends.backend import Listing, Stray
from backendai.agent.exits import ExitFacts
from backendai.agent.labels import LabelError, read_labels
from backendai.agent.machine import Container, Phase
from backendai.agent.profile import Profile
from backendai.agent.resources.plugin import DeviceRequest, Mount
from backendai.common.contracts.agent import ImageReport

CFS_PERIOD_MICROSECONDS: Final = 100_000
CPU_WEIGHT_MIN: Final = 2
_PHASES: Final = {
    "created": Phase.CREATED,
    "running": Phase.RUNNING,
    "paused": Phase.RUNNING,
    "restarting": Phase.RUNNING,
    "removing": Phase.EXITED,
    "exited": Phase.EXITED,
    "dead": Phase.EXITED,
}
_ARCHITECTURES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
_NO_TIME: Final = "0001-01-01T00:00:00Z"


def create_body(profile: Profile, network: str) -> dict[str, Any]:
    """The body of the engine's create call; `network` is the engine's name of the network."""
    return {
        "Image": profile.image,
        "Hostname": profile.hostname,
        "Entrypoint": list(profile.command),
        "Cmd": [],
        "User": f"{profile.uid}:{profile.gid}",
        "WorkingDir": profile.work_dir,
        "Env": _environ(profile),
        "Labels": dict(profile.labels),
        "Healthcheck": {"Test": ["NONE"]},
        "OpenStdin": False,
        "HostConfig": _host_config(profile, network),
        "NetworkingConfig": {
            "EndpointsConfig": {network: {"Aliases": list(profile.network.aliases)}}
        },
    }


def _environ(profile: Profile) -> list[str]:
    """Images may ask NVIDIA's runtime for all GPUs: one that was given none gets none."""
    is_asked = any(one.driver == "nvidia" for one in profile.limits.device_requests)
    return [] if is_asked else ["NVIDIA_VISIBLE_DEVICES=void"]


def _host_config(profile: Profile, network: str) -> dict[str, Any]:
    return {
        "NetworkMode": network,
        "Mounts": [_mount(mount) for mount in profile.mounts],
        "CapDrop": ["ALL"],
        "CapAdd": list(profile.capabilities),
        "SecurityOpt": ["no-new-privileges:true"],
        "PidsLimit": profile.pids_max,
        "Init": True,
        "IpcMode": "private",
        "ShmSize": profile.shared_memory_bytes,
        "Ulimits": _ulimits(profile),
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": str(profile.log_bytes_max), "max-file": "1"},
        },
        "RestartPolicy": {"Name": "no"},
        "Devices": [
            {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"}
            for path in profile.limits.device_paths
        ],
        "DeviceRequests": [_request(one) for one in profile.limits.device_requests],
        **_limits(profile),
    }


def _mount(mount: Mount) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.is_read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }


def _request(request: DeviceRequest) -> dict[str, Any]:
    return {
        "Driver": request.driver,
        "DeviceIDs": list(request.device_ids),
        "Capabilities": [list(request.capabilities)],
    }


def _ulimits(profile: Profile) -> list[dict[str, Any]]:
    files = profile.open_files_max
    return [
        {"Name": "nofile", "Soft": files, "Hard": files},
        {"Name": "core", "Soft": 0, "Hard": 0},
    ]


def _limits(profile: Profile) -> dict[str, Any]:
    limits, body = profile.limits, dict[str, Any]()
    if limits.memory_bytes is not None:
        body |= {"Memory": limits.memory_bytes, "MemorySwap": limits.memory_bytes}
    if limits.cpuset is not None:
        body["CpusetCpus"] = ",".join(map(str, limits.cpuset))
    if limits.cpu_quota is not None:
        body["CpuPeriod"] = CFS_PERIOD_MICROSECONDS
        body["CpuQuota"] = int(limits.cpu_quota * Decimal(CFS_PERIOD_MICROSECONDS))
    if limits.cpu_weight is not None:
        body["CpuShares"] = max(CPU_WEIGHT_MIN, int(limits.cpu_weight))
    return body


def read_listing(rows: Iterable[Mapping[str, Any]], agent_id: str) -> Listing:
    """The containers of `agent_id` among what the engine lists."""
    containers, identities, strays = [], {}, []
    for row in rows:
        container_id = str(row["Id"])
        try:
            identity = read_labels(_name_of(row), row.get("Labels") or {})
        except LabelError as error:
            strays.append(Stray(container_id, str(error)))
            continue
        if identity.agent_id != agent_id:
            continue
        phase = _PHASES.get(str(row.get("State")), Phase.RUNNING)
        containers.append(Container(identity.kernel_id, identity.generation, container_id, phase))
        identities[container_id] = identity
    return Listing(tuple(containers), identities, tuple(strays))


def _name_of(row: Mapping[str, Any]) -> str:
    """The container's own name; links to it are listed as further names with more slashes."""
    own = [name for name in row.get("Names") or [] if name.count("/") == 1]
    return own[0].removeprefix("/") if own else ""


def read_exit(state: Mapping[str, Any]) -> ExitFacts:
    """From the `State` of an inspected container."""
    has_run = parse_time(state.get("StartedAt")) is not None
    return ExitFacts(
        exit_code=state.get("ExitCode") if has_run else None,
        out_of_memory=bool(state.get("OOMKilled")),
        started_at=parse_time(state.get("StartedAt")),
        ended_at=parse_time(state.get("FinishedAt")),
        error=str(state.get("Error") or ""),
    )


def parse_time(text: object) -> float | None:
    """Unix seconds from the engine's RFC 3339 with nanoseconds; None for its `never`."""
    if not isinstance(text, str) or not text or text == _NO_TIME:
        return None
    return datetime.fromisoformat(text).timestamp()


def read_image(name: str, details: Mapping[str, Any]) -> ImageReport:
    """From an inspected image. The digest is the registry's, or the engine's id without one."""
    digests = [text.partition("@") for text in details.get("RepoDigests") or []]
    repository = split_reference(name)[0]
    fitting = [digest for where, _, digest in digests if where == repository]
    architecture = str(details.get("Architecture", ""))
    return ImageReport(
        name=name,
        digest=fitting[0] if fitting else str(details["Id"]),
        architecture=_ARCHITECTURES.get(architecture, architecture),
        size_bytes=int(details.get("Size") or 0),
        labels=(details.get("Config") or {}).get("Labels") or {},
    )


def commit_body(
    base: Mapping[str, Any], container: Mapping[str, Any], labels: Mapping[str, str]
) -> dict[str, Any]:
    """The body of the engine's commit call, from the `Config` of an image and of its container.

    The engine fills what is left empty here from the container. What was set there for one kernel
    would stay in the image then: its entrypoint, its user, and labels that say whose container it
    is. A label cannot be left out, so that those become empty.
    """
    kept = base.get("Labels") or {}
    of_kernel = dict.fromkeys((container.get("Labels") or {}).keys() - kept.keys(), "")
    return {
        **base,
        "Entrypoint": base.get("Entrypoint") or [],
        "Cmd": base.get("Cmd") or [],
        "User": base.get("User") or "0",
        "WorkingDir": base.get("WorkingDir") or "/",
        "Labels": {**of_kernel, **kept, **labels},
    }


def split_reference(image: str) -> tuple[str, str]:
    """`host:5000/name:tag` into repository and tag; `latest` when there is none."""
    repository, at, digest = image.partition("@")
    if at:
        return repository, digest
    head, colon, tag = image.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (image, "latest")
