"""Why a container is not running any more: facts in, reason and sentence out. PURE."""

import signal
from dataclasses import dataclass
from typing import Final

from backendai.common.enums import Reason, SessionType

_SIGNAL_BASE: Final = 128
_KILLED: Final = _SIGNAL_BASE + signal.SIGKILL


@dataclass(frozen=True, slots=True)
class ExitFacts:
    """What an engine knows of an ended container. Times are Unix seconds; None: not known."""

    exit_code: int | None = None
    out_of_memory: bool = False
    started_at: float | None = None
    ended_at: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    reason: Reason
    detail: str


def explain(facts: ExitFacts, session_type: str, booted_at: float) -> Ending:
    """The reason of an end that nobody ordered. `booted_at` is when the node came up."""
    if facts.out_of_memory:
        return Ending(Reason.OUT_OF_MEMORY, "the kernel used more memory than it was given")
    if facts.started_at is not None and facts.started_at < booted_at:
        return Ending(Reason.AGENT_RESTARTED_NODE, "the node was restarted while the kernel ran")
    if facts.error:
        return Ending(Reason.FAILED_TO_START, facts.error)
    code = facts.exit_code
    if code is None:
        return Ending(Reason.KILLED_BY_EVENT, "the kernel was killed from outside")
    if code == _KILLED:
        return Ending(Reason.KILLED_BY_EVENT, "the kernel was killed from outside (SIGKILL)")
    if session_type == SessionType.BATCH:
        return _explain_batch(code)
    return Ending(Reason.SELF_TERMINATED, f"the kernel ended by itself ({name_exit(code)})")


def explain_removed() -> Ending:
    return Ending(
        Reason.NOT_FOUND_ON_AGENT, "the container was removed by somebody else than the agent"
    )


def name_exit(code: int) -> str:
    """`exit code 3`, or `killed by SIGTERM` for what a shell calls 143."""
    try:
        return f"killed by {signal.Signals(code - _SIGNAL_BASE).name}"
    except ValueError:
        return f"exit code {code}"


def _explain_batch(code: int) -> Ending:
    if code == 0:
        return Ending(Reason.TASK_DONE, "the command succeeded")
    return Ending(Reason.TASK_FAILED, f"the command failed ({name_exit(code)})")
