"""Sessions as old clients know them: one flat row with the main container in it."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from backendai.common.enums import SessionResult, SessionType
from backendai.manager.sessions import render

from .agents import GPU, TPU
from .kernels import CONTAINER_FIELDS
from .sessions import SESSION_FIELDS, SessionView
from .texts import json_text

_MIB: Final = 1024**2


def order_of(args: Mapping[str, Any]) -> str | None:
    """From `order_key` and `order_asc`: one column, upwards unless told otherwise."""
    key = args.get("order_key")
    return None if not key else ("-" if args.get("order_asc") is False else "+") + key


def _of_main(name: str) -> Callable[[SessionView], Any]:
    render_field = CONTAINER_FIELDS[name]
    return lambda view: render_field(view.containers[0]) if view.containers else None


def _slot(name: str) -> Callable[[SessionView], float]:
    return lambda view: float(render.occupied_slots(view.kernels[:1]).get(name, "0"))


def _memory_slot(view: SessionView) -> int:
    return int(Decimal(render.occupied_slots(view.kernels[:1])["mem"])) // _MIB


def _use(name: str) -> Callable[[SessionView], int]:
    return lambda view: int(view.kernels[0].last_use.get(name, 0)) if view.containers else 0


def _processor_use(view: SessionView) -> float:
    return float(view.kernels[0].last_use.get("cpu_percent", 0)) if view.containers else 0.0


_SAME: Final = (
    "tag",
    "image",
    "architecture",
    "registry",
    "domain_name",
    "group_name",
    "group_id",
    "scaling_group",
    "access_key",
    "status",
    "status_changed",
    "status_info",
    "created_at",
    "terminated_at",
    "startup_command",
    "service_ports",
    "resource_opts",
    "num_queries",
    "user_email",
)
LEGACY_FIELDS: Final[Mapping[str, Callable[[SessionView], Any]]] = {
    **{name: SESSION_FIELDS[name] for name in _SAME},
    **{name: _of_main(name) for name in ("container_id", "live_stat", "last_stat", "role")},
    "id": lambda v: str(v.row["main_kernel_id"]),
    "sess_id": lambda v: v.row["name"],
    "session_name": lambda v: v.row["name"],
    "sess_type": lambda v: SessionType(v.row["type"]).name,
    "session_type": lambda v: SessionType(v.row["type"]).name,
    "user_uuid": lambda v: str(v.row["user_id"]),
    "result": lambda v: SessionResult(v.row["result"]).name,
    "agent": _of_main("agent"),
    "occupied_slots": lambda v: json_text(render.occupied_slots(v.kernels[:1])),
    "occupied_shares": lambda v: "{}",
    "mounts": lambda v: [[m.name, m.target, m.permission] for m in v.mounts],
    "lang": lambda v: v.row["main_image"],
    "mem_slot": _memory_slot,
    "cpu_slot": _slot("cpu"),
    "gpu_slot": _slot(GPU),
    "tpu_slot": _slot(TPU),
    "cpu_used": _use("cpu_used_milliseconds"),
    "cpu_using": _processor_use,
    "mem_max_bytes": _use("memory_bytes_max"),
    "mem_cur_bytes": _use("memory_bytes"),
    "net_rx_bytes": _use("network_received_bytes"),
    "net_tx_bytes": _use("network_sent_bytes"),
    "io_read_bytes": _use("io_read_bytes"),
    "io_write_bytes": _use("io_write_bytes"),
    "io_max_scratch_size": _use("scratch_bytes"),
    "io_cur_scratch_size": _use("scratch_bytes"),
}
