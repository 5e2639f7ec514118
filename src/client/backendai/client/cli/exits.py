"""Exit codes by kind of fault, and how a fault is told on a terminal.

0 done, 1 failed, 2 wrong usage, 3 waited too long, 4 invalid argument, 5 not allowed to,
6 not found, 7 conflict or quota, 8 away for now, 130 interrupted.
"""

import os
import sys
from collections.abc import Iterator
from typing import Final

from backendai.client.faults import BadDocument, NotRunning, Unreachable, WaitedTooLong
from backendai.common.faults import (
    AgentNotFound,
    Fault,
    InvalidParams,
    Kind,
    QuotaExceeded,
    SessionAlreadyExists,
    SessionNotFound,
)

TRACEBACK_VARIABLE: Final = "BACKENDAI_TRACEBACK"
OK: Final = 0
FAILED: Final = 1
WAITED: Final = 3
INTERRUPTED: Final = 130
BY_KIND: Final = {
    Kind.INVALID: 4,
    Kind.UNPROCESSABLE: 4,
    Kind.TOO_LARGE: 4,
    Kind.UNAUTHENTICATED: 5,
    Kind.FORBIDDEN: 5,
    Kind.NOT_FOUND: 6,
    Kind.CONFLICT: 7,
    Kind.QUOTA: 7,
    Kind.RATE_LIMITED: 8,
    Kind.UNAVAILABLE: 8,
}


def exit_code_of(fault: Fault) -> int:
    if isinstance(fault, WaitedTooLong):
        return WAITED
    if fault.code.startswith("auth."):
        return BY_KIND[Kind.UNAUTHENTICATED]
    return BY_KIND.get(fault.kind, FAILED)


def explain(error: Exception, *, is_own: bool = True) -> int:
    """Tells of an error on stderr and gives its exit code.

    Of one that nobody foresaw only its name is told, unless BACKENDAI_TRACEBACK is set or the
    command is not `is_own`: then it is raised on.
    """
    if isinstance(error, Fault):
        lines, code = [*describe(error)], exit_code_of(error)
    elif not is_own or os.environ.get(TRACEBACK_VARIABLE):
        raise error
    elif isinstance(error, OSError) and error.strerror:
        name = f": {error.filename}" if error.filename else ""
        lines, code = [f"error: {error.strerror}{name}"], FAILED
    else:
        lines, code = [*_describe_unforeseen(error)], FAILED
    for line in lines:
        _tell(_printable(line))
    return code


def _describe_unforeseen(error: Exception) -> Iterator[str]:
    yield f"error: This command failed in itself. {type(error).__name__}: {error}"
    yield f"  Set {TRACEBACK_VARIABLE}=1 to see where, and report it."


def _tell(line: str) -> None:
    try:
        sys.stderr.write(f"{line}\n")
    except OSError:
        return  # nobody can be told; the exit code still tells


def describe(fault: Fault) -> Iterator[str]:
    """What went wrong, then what to do where we know it."""
    yield f"error: {fault}"
    if isinstance(fault, InvalidParams | QuotaExceeded | AgentNotFound | BadDocument):
        yield from (f"  {field}: {_told(message)}" for field, message in fault.facts.items())
    for match in fault.facts.get("matches") or ():
        yield f"  {match.get('id')}  {match.get('name')}  {match.get('status')}"
    if isinstance(fault, SessionNotFound):
        yield "  See which there are: backendai ps, or those that ended: backendai ps --all"
    if isinstance(fault, SessionAlreadyExists):
        yield f"  It is {fault.facts.get('existingSessionId')}. Take another --name, or --reuse."
    exception = (fault.facts.get("agent-details") or {}).get("exception")
    if exception and exception != fault.detail:
        yield f"  {exception}"
    if isinstance(fault, NotRunning):
        yield f"  See why: backendai session why {fault.facts.get('session')}"
    if isinstance(fault, Unreachable):
        yield "  See what runs with `./bai status`, start it with `./bai up`."


def _told(fact: object) -> str:
    return ", ".join(map(str, fact)) if isinstance(fact, list | tuple) else str(fact)


def _printable(text: str) -> str:
    """Without what a terminal would obey: a message may quote what a user wrote."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else " " for letter in text)
