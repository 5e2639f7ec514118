"""What the owner of a session changes of it while it lives."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sqlalchemy.exc import IntegrityError

from backendai.common.faults import Conflict, SessionAlreadyExists
from backendai.manager.accounts import fields
from backendai.manager.audit.change import Change
from backendai.manager.audit.model import Target
from backendai.manager.audit.store import record
from backendai.manager.gate.actor import Scope
from backendai.manager.lifecycle.changes import HINT_PLAN
from backendai.manager.lifecycle.moves import notify

from . import store
from .model import Session
from .names import check_name

PRIORITY_MAX: Final = 100


def _priority(value: Any) -> int:
    if not 0 <= value <= PRIORITY_MAX:
        raise ValueError(f"write a whole number from 0 to {PRIORITY_MAX}")
    return int(value)


_FIELDS: Final[Mapping[str, fields.Read]] = {"name": check_name, "priority": _priority}


async def modify(
    change: Change, scope: Scope, session_id: uuid.UUID, given: Mapping[str, Any]
) -> Session:
    """Its `name` and `priority`; null says nothing. The session as it is then.

    Raises InvalidParams, SessionNotFound, SessionAlreadyExists, and Conflict for the priority of a
    session that does not wait any more.
    """
    values = fields.read_fields(given, _FIELDS)
    session = await store.get_session(change.connection, scope, str(session_id))
    wanted = {name: value for name, value in values.items() if value != getattr(session, name)}
    if "name" in wanted:
        await _rename(change, session, wanted["name"])
    if "priority" in wanted:
        await _prefer(change, session, wanted["priority"])
    if wanted:
        target = Target("session", str(session.id), session.domain_name)
        before = {name: getattr(session, name) for name in wanted}
        await record(change, target, before=before, after=wanted)
    return replace(session, **wanted)


async def _rename(change: Change, session: Session, name: str) -> None:
    try:
        await store.rename(change.connection, session.id, name)
    except IntegrityError as error:
        raise SessionAlreadyExists(f"Another session is called {name}.") from error


async def _prefer(change: Change, session: Session, priority: int) -> None:
    if not await store.prefer(change.connection, session.id, priority):
        raise Conflict("Its priority counts only while it waits to be placed.")
    await notify(change.connection, [HINT_PLAN])
