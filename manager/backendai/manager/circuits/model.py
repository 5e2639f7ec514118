"""The values of circuits."""

import uuid
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """One that leads somewhere. `port` is the one in the kernel, `public_port` or `subdomain` where
    the app proxy named `proxy` offers it; `owner` is the user who opened it."""

    id: uuid.UUID
    session_id: uuid.UUID
    app: str
    port: int
    protocol: str
    owner: uuid.UUID
    access_key: str
    is_public: bool
    allowed_ips: list[str] | None
    proxy: str
    subdomain: str | None
    public_port: int | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
