"""What went wrong at a prompt, as one line with the cause and what to do. PURE.

What nobody expected has no line: it leaves with its trace, as a mistake of ours.
"""

from collections.abc import Mapping
from typing import Final

from backendai.common.faults import Fault
from backendai.common.settings.sections import DbSettings

# By the beginning of Postgres' five-character state.
_FIXES: Final[Mapping[str, str]] = {
    "28": "mend [db] user and password",
    "3D": "create that database, or mend [db] name",
    "42501": "grant the user of [db] the right to create tables there",
    "42P07": "the database holds tables that are not ours: use an empty one",
}
_LOCKED, _SLOW = "55P03", "57014"
_EXHAUSTED: Final[Mapping[str, str]] = {
    "53100": "free space on its disk",
    "53200": "give it more memory, or let fewer programs use it",
    "53300": "raise its max_connections (or the user's limit), or lower [db] pool-size of managers",
}


def explain(error: BaseException) -> str | None:
    """The line for an exception that ended a command, if it is of a kind that people can mend."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, Fault):
        return _tell_fault(error)
    state = read_state(error)
    if state or _is_of_alembic(error):
        # The driver's wrapper puts the name of a class before what Postgres said.
        first = str(getattr(error, "orig", None) or error).partition("\n")[0].split(">: ")[-1]
        fixes = [fix for begin, fix in _FIXES.items() if state.startswith(begin)]
        return ": ".join(("the database refused: " + first.rstrip("."), *fixes[:1]))
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return None


def tell_outage(db: DbSettings, error: BaseException) -> str:
    """Why `db` did not do its work, and what to do; `error` is the cause of the fault."""
    state = read_state(error)
    if state in (_LOCKED, _SLOW):
        held = "a table was locked" if state == _LOCKED else "a statement ran"
        return f"{held} for longer than is allowed: run this again when fewer queries run"
    cause = str(error).partition("\n")[0] or "no answer in time"
    if state in _EXHAUSTED:
        told = str(getattr(error, "orig", None) or error).partition("\n")[0].split(">: ")[-1]
        return f"PostgreSQL at {db.addr} has run out ({told}): {_EXHAUSTED[state]}"
    return f"PostgreSQL at {db.addr} cannot be used ({cause}): start it, or mend [db] addr"


def read_state(error: BaseException | None) -> str:
    """Postgres' state code, from its own exception or from a wrapper of it; else empty."""
    for candidate in (error, getattr(error, "orig", None)):
        state = getattr(candidate, "sqlstate", None)
        if isinstance(state, str):
            return state
    return ""


def _tell_fault(fault: Fault) -> str:
    # The mistakes of a settings file are in its detail already.
    facts = {} if "mistakes" in fault.facts else fault.facts
    return str(fault) + "".join(f"\n  {key}: {value}" for key, value in facts.items())


def _is_of_alembic(error: BaseException) -> bool:
    return type(error).__module__.startswith("alembic.")
