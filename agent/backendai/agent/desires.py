"""The orders this node has been given, one small file per kernel, so that a restart forgets none.

Losing or breaking these files is harmless: what runs is told by labels, and managers order again.
What they add is a memory of tombstones, and of ends whose container is not there any more.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from backendai.common.contracts.agent import Desired, EnsureKernel, KernelReport, RegistryLogin
from backendai.common.failpoints import failpoint
from backendai.common.logs import get_logger

from .durable import write_durable
from .labels import LabelError, parse_kernel_id
from .machine import Desire
from .threads import Threads

log = get_logger(__name__)

_SUFFIX: Final = ".json"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An order and what became of it: `outcome` is its last report, once it has ended.

    Of a login it tells only that there was one: `record_order` leaves it out.
    """

    order: EnsureKernel
    had_login: bool = False
    launched: bool = False
    outcome: KernelReport | None = None
    saved_at: float = 0.0

    def desire(self, *, fresh: bool, login: RegistryLogin | None = None) -> Desire:
        order = self.order
        is_over = self.launched or self.outcome is not None
        return Desire(
            kernel_id=order.kernel_id,
            generation=order.generation,
            desired=Desired(order.desired),
            spec=order.spec,
            reason=order.reason,
            grace_seconds=order.grace_seconds,
            fresh=fresh,
            launched=self.launched,
            ended=self.outcome is not None,
            login=login,
            lacks_login=self.had_login and login is None and not is_over,
        )


def record_order(order: EnsureKernel, saved_at: float) -> Record:
    """What may be written of an order. PURE."""
    had_login = order.login is not None
    return Record(order=replace(order, login=None), had_login=had_login, saved_at=saved_at)


class DesireStore(Protocol):
    async def load(self) -> list[Record]: ...

    async def save(self, record: Record) -> None:
        """Returns when the record is on the disk."""
        ...

    async def forget(self, kernel_ids: Iterable[str]) -> None: ...


class FileStore:
    """Records as fsynced files below `folder`; one that cannot be read counts as not there."""

    def __init__(self, folder: Path, threads: Threads) -> None:
        self._folder = folder
        self._threads = threads

    async def load(self) -> list[Record]:
        return await self._threads.run(self._load)

    async def save(self, record: Record) -> None:
        await failpoint("agent.desires.before_save")
        await self._threads.run(self._save, record)
        await failpoint("agent.desires.after_save")

    async def forget(self, kernel_ids: Iterable[str]) -> None:
        for kernel_id in kernel_ids:
            await self._threads.run(self._path(kernel_id).unlink, True)

    def _load(self) -> list[Record]:
        if not self._folder.is_dir():
            return []
        found = (_read(path) for path in sorted(self._folder.glob(f"*{_SUFFIX}")))
        return [record for record in found if record is not None]

    def _save(self, record: Record) -> None:
        write_durable(self._path(record.order.kernel_id), msgspec.json.encode(record))

    def _path(self, kernel_id: str) -> Path:
        return self._folder / f"{parse_kernel_id(kernel_id)}{_SUFFIX}"


class MemoryStore:
    """Records that die with the process: for simulations and tests."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}

    async def load(self) -> list[Record]:
        return list(self.records.values())

    async def save(self, record: Record) -> None:
        self.records[record.order.kernel_id] = record

    async def forget(self, kernel_ids: Iterable[str]) -> None:
        for kernel_id in kernel_ids:
            self.records.pop(kernel_id, None)


def _read(path: Path) -> Record | None:
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Record)
        is_sound = parse_kernel_id(path.stem) == record.order.kernel_id
    except (OSError, msgspec.DecodeError, LabelError) as error:
        log.warning("desire.unreadable", file=path.name, detail=str(error))
        return None
    if not is_sound:
        log.warning("desire.unreadable", file=path.name, detail="it is of another kernel")
        return None
    return record
