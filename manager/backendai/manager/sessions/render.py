"""PURE: sessions in the words and shapes of the public API."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from backendai.common.lifecycle import KernelStatus, SessionStatus
from backendai.common.slots import CPU, MEM, ResourceSlots, format_amount, sum_slots

from .model import Kernel, Session
from .mounting import MountedFolder

WAITED_OUT: Final = "TIMEOUT"
_PLACED: Final = frozenset(KernelStatus) - {KernelStatus.PENDING, KernelStatus.CANCELLED}


def created(session: Session, status: str, *, is_new: bool) -> dict[str, Any]:
    """The answer to a create."""
    ports = service_ports(session.main) if session.kernels else []
    return {
        "sessionId": str(session.id),
        "sessionName": session.name,
        "status": status,
        "created": is_new,
        "servicePorts": ports,
        "service_ports": ports,
        "statusInfo": session.status_info or None,
    }


def service_ports(kernel: Kernel) -> list[dict[str, Any]]:
    return [
        {"name": port["name"], "protocol": port["protocol"], "ports": list(port["ports"])}
        for port in kernel.service_ports
    ]


def listed_service_ports(kernel: Kernel) -> list[dict[str, Any]]:
    """As lists of sessions tell them; no port is open on a host."""
    return [
        {
            **port,
            "container_ports": port["ports"],
            "host_ports": [None for _ in port["ports"]],
            "is_inference": False,
        }
        for port in service_ports(kernel)
    ]


def info(session: Session, now: datetime) -> dict[str, Any]:
    """`GET /session/{session}`."""
    main = session.main
    requested = ResourceSlots.parse(session.requested_slots)
    occupied = occupied_slots(session.kernels)
    return {
        "domainName": session.domain_name,
        "groupId": str(session.project_id),
        "userId": str(session.user_id),
        "lang": main.image,
        "image": main.image,
        "architecture": main.architecture,
        "registry": registry_of(main.image),
        "tag": session.tag,
        "containerId": main.container_id,
        "occupiedSlots": str(occupied),
        "occupyingSlots": str(occupied),
        "requestedSlots": str(requested.to_json()),
        "occupiedShares": "{}",
        "environ": str(dict(session.environ)),
        "resourceOpts": str(dict(session.resource_opts)),
        "status": session.status.value,
        "statusInfo": session.status_info or None,
        "statusData": status_data(session),
        "age": int(((session.ended_at or now) - session.created_at).total_seconds() * 1000),
        "creationTime": iso(session.created_at),
        "terminationTime": iso(session.ended_at),
        "numQueriesExecuted": session.query_count,
        "lastStat": metrics(main.last_use, main.requested_slots),
        "sessionId": str(session.id),
        "sessionName": session.name,
        "result": session.result.value,
        "exitCode": session.exit_code,
    }


def mounts(mounted: Sequence[MountedFolder]) -> list[dict[str, Any]]:
    """`vfolder_id` is 32 hex digits as in other answers of REST, null where the folder is gone."""
    return [
        {
            "name": one.name,
            "vfolder_id": None if one.vfolder_id is None else one.vfolder_id.hex,
            "host": one.host,
            "subpath": one.subpath,
            "target": one.target,
            "permission": one.permission,
        }
        for one in mounted
    ]


def status_data(session: Session) -> dict[str, Any]:
    """Why it is as it is: the waiting reason, and what the agent told of each kernel."""
    data: dict[str, Any] = {}
    if reason := waiting(session):
        data["scheduler"] = reason
    told = {str(k.id): dict(k.status_data) for k in session.kernels if k.status_data}
    return data | ({"kernels": told} if told else {})


def waiting(session: Session) -> dict[str, Any] | None:
    """What the scheduler last said of a session that waits."""
    if session.status is not SessionStatus.PENDING or not session.waiting:
        return None
    return {key: value for key, value in session.waiting.items() if key != "digest"}


def occupied_slots(kernels: Iterable[Kernel]) -> dict[str, str]:
    """What the kernels hold now: nothing before they are placed and after they ended."""
    holding = [
        ResourceSlots.parse(kernel.requested_slots)
        for kernel in kernels
        if kernel.status in _PLACED and kernel.status is not KernelStatus.TERMINATED
    ]
    total = sum_slots(holding)
    return {CPU: "0", MEM: "0", **total.to_json()}


def history_by_status(rows: Sequence[Mapping[Any, Any]]) -> dict[str, str]:
    """Lower-case status -> when the session last came into it."""
    return {
        row["to_status"].lower(): row["at"].isoformat() for row in rows if row["kernel_id"] is None
    }


def history_lines(rows: Sequence[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    """Every move with its reason, oldest first."""
    return [
        {
            "kernel_id": str(row["kernel_id"]) if row["kernel_id"] else None,
            "generation": row["generation"],
            "from": row["from_status"],
            "to": row["to_status"],
            "event": row["event"],
            "reason": row["reason"],
            "detail": row["detail"],
            "at": row["at"].isoformat(),
        }
        for row in rows
    ]


def dependency_tree(node: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "session_id": str(node["id"]),
        "session_name": node["name"],
        "status": f"KernelStatus.{node['status']}",
        "status_changed": str(node["status_changed_at"]),
        "depends_on": [dependency_tree(child) for child in node["depends_on"]],
    }


def why(session: Session) -> dict[str, Any]:
    """Why the session is not running (yet, or any more): facts and one sentence."""
    return {
        "sessionId": str(session.id),
        "status": session.status.value,
        "waiting": waiting(session),
        "text": _sentence(session),
        "kernels": [
            {
                "id": str(kernel.id),
                "hostname": kernel.cluster_hostname,
                "status": kernel.status.value,
                "reason": kernel.status_info or None,
                "data": dict(kernel.status_data),
                "agent": kernel.agent_id,
            }
            for kernel in session.kernels
        ],
    }


def _sentence(session: Session) -> str:
    if session.status is SessionStatus.PENDING:
        detail = session.waiting.get("detail")
        return f"It waits: {detail}" if detail else "It waits for the scheduler to look at it."
    words = {
        SessionStatus.SCHEDULED: "It has a node and is about to be started there.",
        SessionStatus.PULLING: "Its node is fetching the image.",
        SessionStatus.PREPARING: "Its container is being made.",
        SessionStatus.RUNNING: "It runs.",
        SessionStatus.RUNNING_DEGRADED: "It runs, but some of its containers have ended.",
        SessionStatus.RESTARTING: "It is getting a fresh container.",
        SessionStatus.TERMINATING: "It is being ended.",
        SessionStatus.ERROR: "Its node has not confirmed its end; its resources stay taken.",
        SessionStatus.TERMINATED: "It has ended.",
        SessionStatus.CANCELLED: "It was cancelled before it ran.",
    }[session.status]
    detail = next((k.status_data.get("detail") for k in session.kernels if k.status_data), None)
    reason = f" Reason: {session.status_info}." if session.status_info else ""
    return f"{words}{reason}" + (f" {detail}" if isinstance(detail, str) and detail else "")


def metrics(use: Mapping[str, Any], slots: Mapping[str, str]) -> dict[str, Any]:
    """Usage as the clients print it; empty when none was measured. Numbers are texts."""
    if not use:
        return {}
    cores = Decimal(slots.get(CPU, "1"))
    memory = slots.get(MEM)
    return {
        "version": 2,
        "cpu_util": metric(use.get("cpu_percent", 0), format_amount(cores * 100), "percent"),
        "cpu_used": metric(use.get("cpu_used_milliseconds", 0), None, "msec"),
        "mem": metric(
            use.get("memory_bytes", 0), memory, "bytes", most=use.get("memory_bytes_max")
        ),
        "io_read": metric(use.get("io_read_bytes", 0), None, "bytes"),
        "io_write": metric(use.get("io_write_bytes", 0), None, "bytes"),
        "net_rx": metric(use.get("network_received_bytes", 0), None, "bytes"),
        "net_tx": metric(use.get("network_sent_bytes", 0), None, "bytes"),
        "io_scratch_size": metric(use.get("scratch_bytes", 0), None, "bytes"),
    }


def stats(session: Session) -> dict[str, Any]:
    """The `stats` of a destroyed session; empty when it was never measured."""
    measured = metrics(session.main.last_use, session.main.requested_slots)
    return {"status": "terminated", **measured} if measured else {}


def metric(
    value: object, capacity: str | None, unit: str, most: object = None
) -> dict[str, str | None]:
    current = Decimal(str(value or 0))
    percent = None
    if capacity not in (None, "0", "Infinity"):
        percent = f"{current / Decimal(capacity or 1) * 100:.2f}"
    return {
        "current": format_amount(current),
        "capacity": capacity,
        "pct": percent,
        "unit_hint": unit,
        "stats.max": format_amount(Decimal(str(most if most is not None else value or 0))),
    }


def registry_of(image: str) -> str:
    """The registry part of a canonical name; empty for local images."""
    first, slash, _ = image.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else ""


def iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
