"""What the quota scopes of a volume are to the rest of the daemon: limits, and what they hold."""

from dataclasses import dataclass
from typing import Protocol

from ..layout import ScopeId


@dataclass(frozen=True, slots=True)
class ScopeUsage:
    """None is no limit, or not known."""

    used_bytes: int | None
    limit_bytes: int | None


class Quotas(Protocol):
    """The hard limits of quota scopes. All of it blocks."""

    @property
    def counts_parts(self) -> bool:
        """Whether bytes of an upload count for its scope before it is in its place."""
        ...

    def ensure(self, scope: ScopeId) -> None:
        """Its directory is there; a new one has no limit."""
        ...

    def make(self, scope: ScopeId, limit_bytes: int | None) -> None:
        """Raises QuotaScopeExists."""
        ...

    def get(self, scope: ScopeId) -> ScopeUsage:
        """Counted where that has to be. Blocks long. Raises QuotaScopeNotFound."""
        ...

    def renew(self, scope: ScopeId) -> ScopeUsage:
        """As `get`, counted just now."""
        ...

    def find(self, scope: ScopeId, *, is_new: bool) -> ScopeUsage | None:
        """What is known without counting: None where it has to be counted first, with `is_new` also
        where that was a while ago. Without a limit nothing is counted.

        Raises QuotaScopeNotFound."""
        ...

    def set_limit(self, scope: ScopeId, limit_bytes: int | None) -> None:
        """Raises QuotaScopeNotFound."""
        ...

    def note(self, scope: ScopeId, bytes_more: int) -> None:
        """What was written or removed by this daemon, so that the next check knows of it."""
        ...

    def adopt(self, fd: int, scope: ScopeId) -> None:
        """What is written to the new file that is open at `fd` counts for `scope`, where the file
        system counts; so it can be renamed into it. Raises OSError."""
        ...
