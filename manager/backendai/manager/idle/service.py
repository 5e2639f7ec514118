"""The rules as they are now, and more time for a session that somebody still needs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.faults import Conflict
from backendai.common.logs import get_logger
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Scope
from backendai.manager.sessions.store import get_session

from . import render, store
from .decide import judge
from .model import Case, Verdict
from .rules import RULES_PATH, Rules, read_rules

log = get_logger(__name__)


class Config(Protocol):
    """The configuration that all managers share."""

    def find_below(self, path: str) -> dict[str, str] | None:
        """What is set below `path`, by the rest of its key; None while that is not known."""
        ...


class Rulebook:
    """Reads the rules anew when they have changed, and tells once what it does not understand."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._pairs: Mapping[str, str] | None = None
        self._rules = Rules()

    def read(self) -> Rules:
        pairs = self._config.find_below(RULES_PATH)
        if pairs is None:
            # Everything may have been switched off.
            return Rules(enabled=frozenset())
        if pairs != self._pairs:
            self._pairs, self._rules = pairs, read_rules(pairs)
            for problem in self._rules.problems:
                log.error("idle.rule_not_understood", below=f"config/{RULES_PATH}", why=problem)
        return self._rules


class Idleness:
    def __init__(self, database: Database, rulebook: Rulebook, clock: Clock) -> None:
        self._database = database
        self._rulebook = rulebook
        self._clock = clock

    async def extend(self, scope: Scope, reference: str) -> dict[str, Any]:
        """Count as used now, whatever was measured before; its `idle_checks` after that.

        The lifetime is not prolonged: that is its policy's. Raises SessionNotFound, and Conflict
        where it does not run.
        """
        rules, now = self._rulebook.read(), self._clock.now()

        async def work(conn: AsyncConnection) -> dict[str, Any]:
            session = await get_session(conn, scope, reference)
            if session.status not in store.RUNNING:
                raise Conflict(f"The session is {session.status}; only a running one is extended.")
            await store.extend(conn, session.id, now)
            case = await store.find_case(conn, rules, now, session.id)
            if case is None:
                return {}
            finding = finding_of(case, judge(case, rules, now), now)
            await store.write_findings(conn, [finding], now)
            return render.idle_checks(finding.checks, now)

        return await self._database.transact(work)


def finding_of(case: Case, verdict: Verdict, now: datetime) -> store.Finding:
    """What is to be kept and told of a verdict. PURE."""
    warnings = [render.warning(case, told, now) for told in verdict.warnings]
    return store.Finding(case, verdict.warned, render.kept(verdict), warnings)
