"""A session told to people: what it is, why it is so, and how it came there. PURE."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from backendai.client.cli.units import (
    read_moment,
    show_age,
    show_amount,
    show_duration,
    show_moment,
    show_past,
    show_size,
    show_slots,
    show_span,
)

if TYPE_CHECKING:
    from backendai.client.results import Move, Why

Line = tuple[str, str]
PENDING = "PENDING"
SHORT_ID_CHARS = 8
_COUNTERS = (("io_read", "read"), ("io_write", "written"), ("net_rx", "in"), ("net_tx", "out"))


def info_lines(facts: Mapping[str, Any], moves: Sequence["Move"], now: datetime) -> Iterator[Line]:
    """Name and text of what there is to say; a name of "" goes on with the one above."""
    status = str(facts.get("status"))
    yield "session", f"{facts.get('sessionName')} ({facts.get('sessionId')})"
    yield "status", f"{status} {since(moves, status, now)}".rstrip()
    yield from _reason_lines(facts)
    yield "image", _joined(facts.get("image"), facts.get("architecture"))
    yield from _amount_lines(facts)
    yield "created", show_past(facts.get("creationTime"), now)
    if facts.get("terminationTime"):
        yield "ended", show_past(facts["terminationTime"], now)
    yield from idle_lines(facts.get("idleChecks") or {})
    yield from mount_lines(facts.get("mounts") or ())
    yield from _rest_lines(facts)


def idle_lines(checks: Mapping[str, Mapping[str, Any]]) -> Iterator[Line]:
    """What would end it for being idle: `idle  ends in 9m 50s (network_timeout: last execute)`."""
    for position, (name, check) in enumerate(sorted(checks.items())):
        words = {"grace_period": "looked at in", "expire_after": "ends in"}
        remaining = check.get("remaining")
        text = "in use"
        if remaining is not None:
            kind = str(check.get("remaining_time_type"))
            text = f"{words.get(kind, kind)} {show_duration(timedelta(seconds=remaining))}"
        extra = _joined(*_idle_parts(check.get("extra") or {}))
        yield "" if position else "idle", f"{text} ({name}{': ' if extra else ''}{extra})"


def mount_lines(mounts: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    """`mounts  data/raw at /home/work/data (ro, cf14cfa0fc93480cb10bd6967f7d9343)`."""
    for position, mount in enumerate(mounts):
        inside = mount.get("subpath") or "."
        name = str(mount.get("name")) + ("" if inside == "." else f"/{inside}")
        extra = _joined(mount.get("permission"), mount.get("vfolder_id") or "deleted since")
        yield "" if position else "mounts", f"{name} at {mount.get('target')} ({extra})"


def _idle_parts(extra: Mapping[str, Any]) -> Iterator[str]:
    last = extra.get("last_activity") or {}
    if last.get("by"):
        yield f"last {last['by']}"
    for resource, (level, threshold) in (extra.get("resources") or {}).items():
        yield f"{resource} {'?' if level is None else f'{level:g}'} % of {threshold:g} %"


def why_lines(answer: "Why", moves: Sequence["Move"], now: datetime) -> tuple[str, Iterable[Line]]:
    """The sentence, and the facts behind it."""
    sentence = f"{answer.status}: {answer.text}" if answer.text else answer.status
    return sentence, _why_facts(answer, moves, now)


def waiting_text(name: str, answer: "Why", on_interrupt: str = "") -> str:
    """One line for who waits: `a waits: No node has room …; Ctrl-C leaves it in the queue`."""
    text = answer.text.rstrip(".")
    if answer.status != PENDING:
        return f"{name} is {answer.status}: {text}".rstrip(": ")
    detail = str((answer.waiting or {}).get("detail") or text).rstrip(".")
    return "; ".join(filter(None, [f"{name} waits: {detail}", on_interrupt]))


def short_reason(status_data: Mapping[str, Any]) -> str:
    """Why a session waits, in few letters: `room: not-enough-cpu 1`."""
    waiting = status_data.get("scheduler") or {}
    causes = ", ".join(f"{cause} {count}" for cause, count in _items(waiting, "causes"))
    return ": ".join(filter(None, [str(waiting.get("rule") or ""), causes]))


def move_rows(
    moves: Sequence["Move"], now: datetime, *, with_kernels: bool
) -> list[dict[str, str]]:
    """One row a move: when, how long after the one before, and why."""
    chosen = [move for move in moves if with_kernels or move.kernel_id is None]
    rows = []
    before: datetime | None = None
    for move in chosen:
        at = read_moment(move.at)
        rows.append(
            {
                "at": show_moment(move.at, now),
                "after": f"+{show_span(at - before)}" if at and before else "",
                "kernel": move.kernel_id[:SHORT_ID_CHARS] if move.kernel_id else "",
                "status": move.to_status,
                "event": move.event or "",
                "why": _joined(move.reason, *_detail_parts(move, moves)),
            }
        )
        before = at or before
    return rows


def since(moves: Sequence["Move"], status: str, now: datetime) -> str:
    """`since 22:36:45 (3m)`; empty when no move tells."""
    own = [move for move in moves if move.kernel_id is None]
    if not own or own[-1].to_status != status:
        return ""
    return f"since {show_moment(own[-1].at, now)} ({show_age(own[-1].at, now)})"


def _why_facts(answer: "Why", moves: Sequence["Move"], now: datetime) -> Iterator[Line]:
    if begun := since(moves, answer.status, now):
        yield "since", begun.removeprefix("since ")
    waiting = answer.waiting or {}
    if waiting.get("rule"):
        yield "rule", str(waiting["rule"])
    for key in ("need", "have"):
        if waiting.get(key):
            yield key, show_slots(waiting[key])
    for position, (cause, count) in enumerate(_items(waiting, "causes")):
        yield "" if position else "nodes", f"{cause}: {count}"
    if waiting.get("at"):
        yield "found", show_past(waiting["at"], now)
    yield from _kernel_lines(answer.kernels)


def _kernel_lines(kernels: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    """Where each container is; the lone one only when it is on a node."""
    told = [kernel for kernel in kernels if len(kernels) > 1 or kernel.get("agent")]
    for position, kernel in enumerate(told):
        node = f"on {kernel['agent']}" if kernel.get("agent") else None
        host, status = kernel.get("hostname"), kernel.get("status")
        yield (
            "" if position else "containers",
            _joined(f"{host} {status}", node, kernel.get("reason")),
        )


def _reason_lines(facts: Mapping[str, Any]) -> Iterator[Line]:
    data = facts.get("statusData") or {}
    waiting = data.get("scheduler") or {}
    reasons = [facts.get("statusInfo"), waiting.get("detail")]
    for told in (data.get("kernels") or {}).values():
        reasons += [told.get("detail")] if isinstance(told, dict) else []
    for position, reason in enumerate(dict.fromkeys(filter(None, reasons))):
        yield "" if position else "reason", str(reason)


def _amount_lines(facts: Mapping[str, Any]) -> Iterator[Line]:
    asked = read_mapping(facts.get("requestedSlots"))
    more = read_mapping(facts.get("resourceOpts"))
    if asked:
        shared = more.get("shmem")
        yield (
            "asked for",
            _joined(
                show_slots(asked), f"shared memory {show_amount('mem', shared)}" if shared else None
            ),
        )
    held = {
        name: amount
        for name, amount in read_mapping(facts.get("occupiedSlots")).items()
        if amount != "0"
    }
    if held != asked:
        yield "holds", show_slots(held) or "nothing"
    if use := ", ".join(_use_parts(facts.get("lastStat") or {})):
        yield "uses", use


def _use_parts(stat: Mapping[str, Any]) -> Iterator[str]:
    cores, memory = _current(stat, "cpu_util"), _current(stat, "mem")
    if cores is not None:
        yield f"cpu {cores:.1f} %"
    if memory is not None:
        most = _current(stat, "mem", "stats.max")
        yield f"mem {show_size(memory)}" + (f" (most {show_size(most)})" if most else "")
    for key, word in _COUNTERS:
        if amount := _current(stat, key):
            yield f"{word} {show_size(amount)}"


def _current(stat: Mapping[str, Any], key: str, part: str = "current") -> Decimal | None:
    try:
        return Decimal(str((stat.get(key) or {})[part]))
    except (KeyError, InvalidOperation):
        return None


def _rest_lines(facts: Mapping[str, Any]) -> Iterator[Line]:
    environ = read_mapping(facts.get("environ"))
    for position, (name, value) in enumerate(environ.items()):
        yield "" if position else "environ", f"{name}={value}"
    if facts.get("tag"):
        yield "tag", str(facts["tag"])
    if facts.get("containerId"):
        yield "container", str(facts["containerId"])[:12]
    if facts.get("numQueriesExecuted"):
        yield "executions", str(facts["numQueriesExecuted"])
    if facts.get("result") not in (None, "undefined"):
        code = facts.get("exitCode")
        yield "result", _joined(facts["result"], None if code is None else f"exit code {code}")
    yield "domain", str(facts.get("domainName"))


def _detail_parts(move: "Move", moves: Sequence["Move"]) -> Iterator[str]:
    """What a move tells beside its reason. A session's own move has the node of its kernels'."""
    details = [move.detail]
    if move.kernel_id is None:
        details += [other.detail for other in moves if other.kernel_id and other.at == move.at]
    known = [detail for detail in details if isinstance(detail, dict)]
    nodes = dict.fromkeys(str(detail["agent"]) for detail in known if detail.get("agent"))
    if nodes and move.to_status == "SCHEDULED":
        yield f"on {', '.join(nodes)}"
    yield from dict.fromkeys(str(detail["detail"]) for detail in known if detail.get("detail"))


def read_mapping(value: Any) -> dict[str, Any]:
    """A map that the wire may give as a map, as JSON or as Python's text of one; else nothing."""
    if isinstance(value, str):
        value = _read_json(value) or _read_literal(value)
    return dict(value) if isinstance(value, dict) else {}


def _read_json(text: str) -> Any:
    from msgspec import DecodeError, json

    try:
        return json.decode(text)
    except DecodeError:
        return None


def _read_literal(text: str) -> Any:
    from ast import literal_eval

    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        return None


def _items(waiting: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    return sorted((waiting.get(key) or {}).items(), key=lambda item: (-item[1], item[0]))


def _joined(*parts: Any) -> str:
    return ", ".join(str(part) for part in parts if part)
