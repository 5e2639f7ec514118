"""A change as the audit log keeps it, and which of them somebody asks for."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# Column -> value. A secret shows only that it was there, never what it was.
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What was changed. `domain` is the tenant whose admins may read of it; None: nobody but
    superadmins."""

    kind: str
    id: str
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the log. `as_email` and `as_access_key` name on whose behalf it was, if not own.

    `before` and `after` hold the columns that changed; a created object has no `before`, a purged
    one no `after`.
    """

    id: int
    at: datetime
    request_id: str
    user_id: uuid.UUID
    email: str
    access_key: str
    as_email: str | None
    as_access_key: str | None
    action: str
    target: Target
    before: Values
    after: Values


@dataclass(frozen=True, slots=True)
class Wanted:
    """Each set field narrows the list; `domain` is of the target.

    In words a `*` stands for anything: `user.*` begins so, `*example.com*` has it somewhere.
    """

    action: str | None = None
    target_kind: str | None = None
    target_id: str | None = None
    email: str | None = None
    access_key: str | None = None
    domain: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
