"""PURE: what a check found, and how what was seen is judged."""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from backendai.common.enums import AgentStatus
from backendai.manager.agents.model import AgentRow, Patience
from backendai.manager.agents.render import age, note
from backendai.manager.db.revision import Schema, find_misfit
from backendai.manager.lifecycle.store import DriftRow

# Signatures are refused at 5 minutes; deadlines and idle times suffer from far less.
SKEW_SECONDS_MAX: Final = 5.0
DISK_BYTES_MIN: Final = 1 << 30
NAMED_MAX: Final = 10


class Verdict(enum.StrEnum):
    """ADVICE is worth a look and stops nothing; SKIPPED could not be looked at."""

    OK = "ok"
    ADVICE = "advice"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """`told` is what was seen; `fix` what to do about it, empty where nothing is to be done."""

    name: str
    verdict: Verdict
    told: str
    fix: str = ""


def ok(name: str, told: str) -> Finding:
    return Finding(name, Verdict.OK, told)


def advise(name: str, told: str, fix: str) -> Finding:
    return Finding(name, Verdict.ADVICE, told, fix)


def fail(name: str, told: str, fix: str) -> Finding:
    return Finding(name, Verdict.FAILED, told, fix)


def skip(names: Iterable[str], because: str) -> list[Finding]:
    return [Finding(name, Verdict.SKIPPED, because) for name in names]


def is_sound(findings: Sequence[Finding]) -> bool:
    return not any(finding.verdict is Verdict.FAILED for finding in findings)


def judge_mode(path: str, mode: int) -> Finding:
    """Of the settings file; whether others may read its secrets is checked when it is read."""
    if mode & 0o022:
        return fail("settings", f"{path} may be changed by others", f"chmod go-w {path}")
    return ok("settings", f"{path}, mode {mode:04o}")


def judge_schema(current: Schema | None, release: str) -> Finding:
    if misfit := find_misfit(current, release):
        return fail("schema", misfit.told, misfit.fix)
    at = current.revision if current else ""
    own = "" if at == release else f", which this release of {release} works with"
    return ok("schema", f"revision {at}{own}")


def judge_clock(ahead_seconds: float, round_trip_seconds: float) -> Finding:
    """`ahead_seconds` is how much this machine's clock is before PostgreSQL's, known to half a
    round trip."""
    told = f"{abs(ahead_seconds):.1f} s {'ahead of' if ahead_seconds > 0 else 'behind'} PostgreSQL"
    if abs(ahead_seconds) - round_trip_seconds / 2 <= SKEW_SECONDS_MAX:
        return ok("clock", told)
    return fail("clock", told, "let chrony or systemd-timesyncd set the clocks of both machines")


def judge_disk(free: dict[str, int]) -> Finding:
    """Folder -> bytes."""
    told = ", ".join(
        f"{count / (1 << 30):.1f} GiB free in {folder}" for folder, count in free.items()
    )
    if all(count >= DISK_BYTES_MIN for count in free.values()):
        return ok("disk", told)
    return fail("disk", told, "free some space there: 1 GiB is needed")


def judge_agents(rows: Sequence[AgentRow], patience: Patience) -> Finding:
    """Fenced ones are not waited for."""
    awaited = [row for row in rows if row.status is not AgentStatus.TERMINATED]
    if not awaited:
        fix = "start an agent whose [etcd] addr and namespace are the manager's"
        return advise("agents", "no node has registered", fix)
    silent = [row for row in awaited if row.silent_seconds >= patience.suspect_after_seconds]
    if silent:
        told = some(f"{row.id} not heard for {age(row.silent_seconds)}" for row in silent)
        fix = "start a manager and these agents; `backendai mgr agent fence ID` for what is dead"
        return fail("agents", told, fix)
    noted = [f"{row.id} {note(row)}" for row in awaited if note(row)]
    if noted:
        return advise("agents", some(noted), "see `backendai mgr agent list`")
    return ok("agents", f"{len(awaited)} heard lately")


def judge_drift(rows: Sequence[DriftRow], *, is_whole: bool) -> Finding:
    """`is_whole` says whether all nodes were asked too."""
    if rows:
        told = some(
            f"kernel {row.kernel_id} on {row.agent_id}: {row.slot} is {row.held or 'not held'},"
            f" due is {row.due or 'none'}"
            for row in rows
        )
        fix = "keep the logs, end these sessions, and report it: this must not happen"
        return fail("drift", told, fix)
    nodes = "nor with what nodes report" if is_whole else "but not every node answered"
    return ok("drift", f"none between kernels and allocations, {nodes}")


def some(told: Iterable[str]) -> str:
    every = list(told)
    more = len(every) - NAMED_MAX
    return "; ".join(every[:NAMED_MAX] + ([f"and {more} more"] if more > 0 else []))
