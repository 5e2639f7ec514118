"""Templates as values."""

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


class TemplateKind(enum.StrEnum):
    """What a template describes: one session, or a cluster of them."""

    TASK = "task"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class NewTemplate:
    """One entry of a payload, checked. `content` has canonical keys (snake case)."""

    name: str
    content: Mapping[str, Any]
    project_id: uuid.UUID | None = None
    user_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template as stored. `is_guarded`: its owner is a superadmin."""

    id: uuid.UUID
    kind: TemplateKind
    name: str
    content: Mapping[str, Any]
    domain: str
    project_id: uuid.UUID
    project: str
    user_id: uuid.UUID
    email: str
    is_guarded: bool
    created_at: datetime
