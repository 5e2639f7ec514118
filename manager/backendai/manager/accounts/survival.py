"""Nobody locks himself out, and somebody who may do everything is always left."""

from typing import Final

import sqlalchemy as sa

from backendai.common.enums import UserRole, UserStatus
from backendai.common.faults import Conflict, Forbidden
from backendai.manager.audit.change import Change
from backendai.manager.db import tables as t

_LOCK: Final = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('superadmins', 0))")
_LEFT: Final = (
    sa.select(t.users.c.id)
    .select_from(t.users.join(t.domains).join(t.keypairs))
    .where(
        t.users.c.role == UserRole.SUPERADMIN.value,
        t.users.c.status == UserStatus.ACTIVE.value,
        t.domains.c.is_active,
        t.keypairs.c.is_active,
    )
    .limit(1)
)


def refuse_self(is_self: bool, what: str) -> None:
    """Raises Forbidden. Pure."""
    if is_self:
        raise Forbidden(f"You cannot {what} yourself; another superadmin can.")


async def keep_a_superadmin(change: Change) -> None:
    """Raises Conflict when after this change nobody could undo it. Comes last in a change: two that
    remove each other wait here for one another."""
    await change.connection.execute(_LOCK)
    if await change.connection.scalar(_LEFT) is None:
        raise Conflict("No superadmin with an active keypair and domain would be left.")
