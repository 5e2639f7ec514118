"""Whether there is room for more bytes: in quota scopes, and on the volume itself.

Open uploads and copies count with all that they announced, from before their first byte on, so
that what is there and what is on its way together never pass a limit. Nothing of it is stored:
it is rebuilt from the records of the uploads.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Final

from backendai.common.storage_faults import StorageFull

from ..layout import ScopeId
from .quotas import Quotas, ScopeUsage

# What a scope may have open at once; each is files on the disk as well, however small it is.
OPEN_MAX: Final = 10_000


@dataclass(slots=True)
class Reservation:
    """Room for `size_bytes`, of which `written_bytes` have come.

    `is_inside` says that what was written counts for the scope already; `is_copy` that it comes
    from the volume itself, where shared blocks and holes take no space. `place` is where an upload
    goes, and `used_at` when somebody last sent something for it, by a monotonic clock.
    """

    id: str
    scope: ScopeId
    size_bytes: int
    written_bytes: int = 0
    is_inside: bool = False
    is_copy: bool = False
    place: str = ""
    used_at: float = 0.0

    @property
    def rest_bytes(self) -> int:
        return max(0, self.size_bytes - self.written_bytes)

    @property
    def promised_bytes(self) -> int:
        """Of the scope's limit, beyond what is counted there."""
        return self.rest_bytes if self.is_inside else self.size_bytes

    @property
    def space_bytes(self) -> int:
        """Of the volume's free space."""
        return 0 if self.is_copy else self.rest_bytes


class NotCounted(Exception):
    """What `scope` holds has to be counted (anew) before anything can be decided."""

    def __init__(self, scope: ScopeId, *, is_new: bool) -> None:
        super().__init__(str(scope))
        self.scope = scope
        self.is_new = is_new


class Room:
    """`find_free` gives the free bytes of the volume, None where it does not say; `list_open` the
    reservations of uploads that are on the disk. Both block."""

    def __init__(
        self,
        quotas: Quotas,
        find_free: Callable[[], int | None],
        list_open: Callable[[], Iterable[Reservation]],
    ) -> None:
        self._quotas = quotas
        self._find_free = find_free
        self._list_open = list_open
        # Whoever decides waits for the disk; nobody else is made to wait for that.
        self._deciding = Lock()
        self._guard = Lock()
        self._kept: dict[ScopeId, dict[str, Reservation]] = {}
        self._scopes: dict[str, ScopeId] = {}
        self._is_loaded = False
        self._gone: set[str] = set()

    def reserve(self, wanted: Reservation) -> None:
        """Blocks. Raises NotCounted, StorageFull, QuotaScopeNotFound."""
        with self._deciding:
            self._load()
            self._refuse_too_many(wanted.scope)
            self._decide(wanted.scope, wanted.size_bytes, wanted.space_bytes)
            with self._guard:
                self._keep(wanted)

    def reserve_counting(self, wanted: Reservation) -> None:
        """As `reserve`, and counts itself. Blocks long."""
        self._counting(partial(self.reserve, wanted))

    def extend(self, reservation: Reservation, bytes_more: int) -> None:
        """Counts where it has to. Blocks long. Raises StorageFull."""
        self._counting(partial(self._extend, reservation, bytes_more))

    def spend(self, reservation: Reservation, size_bytes: int) -> None:
        """So much is written into the scope now; extends what grew meanwhile. Blocks long.

        Raises StorageFull.
        """
        beyond = reservation.written_bytes + size_bytes - reservation.size_bytes
        if beyond > 0:
            self.extend(reservation, beyond)
        self._quotas.note(reservation.scope, size_bytes)
        with self._guard:
            reservation.written_bytes += size_bytes

    def settle(self, reservation: Reservation, size_bytes: int) -> None:
        """So much of it was written elsewhere, and has come into the scope now."""
        self._quotas.note(reservation.scope, size_bytes)
        with self._guard:
            reservation.size_bytes -= size_bytes
            reservation.written_bytes -= size_bytes

    def progress(self, upload: str, written_bytes: int, at: float = 0.0) -> None:
        with self._guard:
            scope = self._scopes.get(upload)
            if scope is not None:
                found = self._kept[scope][upload]
                found.written_bytes, found.used_at = written_bytes, max(at, found.used_at)

    def release(self, upload: str) -> None:
        """It has ended: what came of it is counted otherwise by now, or is gone."""
        with self._guard:
            if not self._is_loaded:
                self._gone.add(upload)
            scope = self._scopes.pop(upload, None)
            if scope is not None:
                kept = self._kept[scope]
                del kept[upload]
                if not kept:
                    del self._kept[scope]

    def list_idle(self, scope: ScopeId, place: str, since: float) -> list[str]:
        """Uploads to `place` for which nobody has sent anything since then."""
        with self._guard:
            found = self._kept.get(scope, {}).values()
            return [one.id for one in found if one.place == place and one.used_at <= since]

    def check_placing(self, scope: ScopeId, size_bytes: int) -> None:
        """Whether what has been reserved still fits: containers are not asked when they write.

        Blocks. Raises NotCounted, StorageFull.
        """
        self._judge(scope, lambda usage: find_lack(scope, usage, 0, size_bytes))

    def check_space(self, wanted_bytes: int) -> None:
        """Beyond what uploads have been promised. Blocks. Raises StorageFull."""
        with self._guard:
            promised = self._promised_space()
        free = self._find_free()
        if free is not None and free < promised + wanted_bytes:
            raise StorageFull(
                f"the volume has {free} bytes free, of which uploads need {promised}: no room for "
                f"{wanted_bytes} more",
                {"freeBytes": free, "openBytes": promised, "wantedBytes": wanted_bytes},
            )

    def count(self, missing: NotCounted) -> ScopeUsage:
        """Blocks long. Raises QuotaScopeNotFound, OSError."""
        quotas = self._quotas
        return quotas.renew(missing.scope) if missing.is_new else quotas.get(missing.scope)

    def _counting(self, step: Callable[[], None]) -> None:
        while True:
            try:
                return step()
            except NotCounted as missing:
                self.count(missing)

    def _extend(self, reservation: Reservation, bytes_more: int) -> None:
        with self._deciding:
            self._load()
            self._decide(reservation.scope, bytes_more, 0 if reservation.is_copy else bytes_more)
            with self._guard:
                reservation.size_bytes += bytes_more

    def _decide(self, scope: ScopeId, wanted_bytes: int, space_bytes: int) -> None:
        # What is promised is read before what is there: what comes into its place between the two
        # counts twice rather than not at all.
        with self._guard:
            promised = sum(one.promised_bytes for one in self._kept.get(scope, {}).values())
        self._judge(scope, lambda usage: find_lack(scope, usage, promised, wanted_bytes))
        if space_bytes > 0:
            self.check_space(space_bytes)

    def _judge(self, scope: ScopeId, judge: Callable[[ScopeUsage], StorageFull | None]) -> None:
        lack: StorageFull | None = None
        # Somebody may have cleaned up since it was counted: nobody is refused for an old count.
        for is_new in (False, True):
            usage = self._quotas.find(scope, is_new=is_new)
            if usage is None:
                raise NotCounted(scope, is_new=is_new)
            lack = judge(usage)
            if lack is None:
                return
        if lack is not None:
            raise lack

    def _refuse_too_many(self, scope: ScopeId) -> None:
        with self._guard:
            count = len(self._kept.get(scope, {}))
        if count >= OPEN_MAX:
            raise StorageFull(
                f"{scope} has {count} open uploads; end some, or let them expire",
                {"openUploads": count},
            )

    def _promised_space(self) -> int:
        return sum(one.space_bytes for kept in self._kept.values() for one in kept.values())

    def _load(self) -> None:
        if self._is_loaded:
            return
        found = list(self._list_open())
        with self._guard:
            for one in found:
                if one.id not in self._gone and one.id not in self._scopes:
                    self._keep(one)
            self._is_loaded = True
            self._gone.clear()

    def _keep(self, reservation: Reservation) -> None:
        self._scopes[reservation.id] = reservation.scope
        self._kept.setdefault(reservation.scope, {})[reservation.id] = reservation


def find_lack(
    scope: ScopeId, usage: ScopeUsage, promised_bytes: int, wanted_bytes: int
) -> StorageFull | None:
    """PURE: why so many bytes more do not fit, None when they do."""
    used, limit = usage.used_bytes or 0, usage.limit_bytes
    if limit is None or used + promised_bytes + wanted_bytes <= limit:
        return None
    return StorageFull(
        f"{scope} holds {used} bytes, open uploads and copies need {promised_bytes}, and it may "
        f"hold {limit}: no room for {wanted_bytes} more",
        {
            "usedBytes": used,
            "openBytes": promised_bytes,
            "limitBytes": limit,
            "wantedBytes": wanted_bytes,
        },
    )
