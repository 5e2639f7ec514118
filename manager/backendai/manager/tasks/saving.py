"""Saving what a task has done: its end does not fail because the database is away for a moment."""

from typing import Any, Final

from backendai.common.clock import Clock
from backendai.common.faults import StoreUnavailable
from backendai.common.logs import get_logger
from backendai.manager.db.engine import Database, Work

log = get_logger(__name__)

RETRY_SECONDS: Final = 1.0


async def save_surely(database: Database, clock: Clock, work: Work[None], **facts: Any) -> None:
    """Run `work`, which may be done twice, until the database is back; `facts` go to the log."""
    while True:
        try:
            await database.transact(work)
        except StoreUnavailable as fault:
            log.warning("task.not_saved", **facts, detail=fault.detail)
            await clock.sleep(RETRY_SECONDS)
        else:
            return
